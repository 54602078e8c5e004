import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BuildPlan, beginsAgain, isNeededAfter, isReadAtOnce, isPartOfTarget, isRunUpon, planBuild } from '../../../src/build/plan.ts';
import { parseFlags } from '../../../src/cli/flags.ts';
import { buildFlags } from '../../../src/cli/tables/build.ts';
import { makeBuildRequest } from '../../../src/cli/requests/build-request.ts';
import { Settings } from '../../../src/cli/settings.ts';
import { parseDockerfile } from '../../../src/dockerfile/parse.ts';
import { emptyImageConfig } from '../../../src/oci/image-config.ts';
import { formatPlatform } from '../../../src/oci/platform.ts';

interface Planned {
  readonly plan: BuildPlan;
  /** Images that were asked about, with platform. */
  readonly described: readonly string[];
}

/** Plans with bases that have these ONBUILD triggers. */
async function plan(
  text: string,
  triggers: Readonly<Record<string, readonly string[]>> = {},
  argv: readonly string[] = [],
): Promise<Planned> {
  const flags = parseFlags(['--no-push', ...argv], buildFlags);
  const places = { env: {}, workingDirectory: '/w', nodeArch: 'x64', builderFolder: '/kaniko', defaultContext: '/workspace/' };
  const request = makeBuildRequest(new Settings(flags, buildFlags, {}), flags.positionals, places);
  const described: string[] = [];
  const made = await planBuild(parseDockerfile(text, 'Dockerfile'), request, async (name, platform) => {
    described.push(`${name} ${formatPlatform(platform)}`);
    const config = emptyImageConfig(platform);
    const image = { layers: [], family: 'oci', annotations: new Map<string, string>() } as const;
    return { ...image, config: { ...config, config: { ...config.config, onBuild: triggers[name] ?? [] } } };
  });
  return { plan: made, described };
}

const indexes = ({ stages }: BuildPlan): readonly number[] => stages.map((planned) => planned.stage.index);

test('planBuild() asks about each base that is needed, once, and about no other', async () => {
  const { described } = await plan('FROM a AS one\nFROM unused AS two\nFROM b\nCOPY --from=one /x /x\n');
  assert.deepEqual(described, ['a linux/amd64', 'b linux/amd64']);
});

test("planBuild() builds a stage that only a base's ONBUILD trigger reads from", async () => {
  const text = 'FROM a AS tools\nFROM b\n';
  assert.deepEqual(indexes((await plan(text)).plan), [1]);
  const { plan: made, described } = await plan(text, { b: ['COPY --from=tools /x /x', 'RUN x'] });
  assert.deepEqual(indexes(made), [0, 1]);
  assert.equal(made.triggerCounts.get(1), 2);
  assert.deepEqual(described, ['b linux/amd64', 'a linux/amd64']);
});

test('planBuild() gives each stage the platform of its FROM', async () => {
  const text = 'FROM --platform=linux/arm64 a AS one\nFROM b\nCOPY --from=one /x /x\n';
  const { described } = await plan(text);
  assert.deepEqual(described, ['a linux/arm64', 'b linux/amd64']);
});

test('planBuild() points at the FROM whose platform makes no sense', async () => {
  await assert.rejects(plan('FROM --platform=a/b/c/d/e base\n'), (error) => error instanceof Error && error.name === 'DockerfileError');
});

test('beginsAgain() sees through stages that only name or set something', async () => {
  const rows: readonly (readonly [setting: string, base: string, others: string, again: boolean])[] = [
    ['ENV x=1', 'a', 'FROM a AS two', true],
    ['ENV x=1', 'a', 'FROM b AS two', false],
    ['ENV x=1', 'a', 'FROM base AS two', true],
    ['ENV x=1', 'base', 'FROM base AS two', true],
    ['ENV x=1', 'base', 'FROM base AS between\nUSER 1\nFROM between AS two', true],
    ['WORKDIR /w', 'base', 'FROM base AS two', false],
  ];
  for (const [setting, base, others, again] of rows) {
    const text = `FROM a AS base\n${setting}\nFROM ${base} AS one\nRUN one\n${others}\nRUN two\nFROM c\nCOPY --from=one /x /x\nCOPY --from=two /y /y\n`;
    const { plan: made } = await plan(text);
    const position = made.stages.findIndex(({ stage }) => stage.name === 'one');
    assert.equal(beginsAgain(made, made.stages[position] ?? assert.fail(), position + 1), again, text);
  }
});

test('isReadAtOnce() is true of a stage that one other reads, with no RUN in between', async () => {
  const rows: readonly (readonly [rest: string, isAtOnce: boolean])[] = [
    ['FROM b\nCOPY --from=one /x /x\nRUN r', true],
    ['FROM b\nCOPY --from=one /x /x\nWORKDIR /w\nCOPY --from=0 /y .\nRUN r', true],
    ['FROM b\nRUN --mount=from=one,target=/m r\nRUN r', true],
    ['FROM b\nCOPY --from=one /x /x\nRUN r\nCOPY --from=one /y /y', false],
    ['FROM b\nCOPY --from=one /x /x\nRUN --mount=from=one,target=/m r', false],
    ['FROM b AS two\nCOPY --from=one /x /x\nRUN r\nFROM two\nCOPY --from=one /y /y', false],
    ['FROM one AS two\nRUN r\nFROM b\nCOPY --from=two /x /x\nCOPY --from=one /x /x\nRUN r', false],
    ['FROM trigger\nCOPY --from=one /x /x\nRUN r', false],
  ];
  for (const [rest, isAtOnce] of rows) {
    const { plan: made } = await plan(`FROM a AS one\nRUN r\n${rest}\n`, { trigger: ['COPY --from=one /t /t', 'RUN t'] });
    assert.equal(isReadAtOnce(made, made.stages.at(-1) ?? assert.fail(), 0), isAtOnce, rest);
  }
  const { plan: made } = await plan('FROM a AS one\nFROM b\nCOPY --from=one /x /x\n');
  assert.equal(isReadAtOnce({ ...made, targets: [0, 1] }, made.stages[1] ?? assert.fail(), 0), false, 'a target is an image of its own');
});

test('isNeededAfter() ends with the last stage that reads', async () => {
  const { plan: made } = await plan('FROM a AS one\nFROM one AS two\nFROM b\nCOPY --from=two /x /x\n');
  assert.deepEqual(indexes(made), [0, 1, 2]);
  assert.equal(isNeededAfter(made, 0, 1, ['base']), true);
  assert.equal(isNeededAfter(made, 0, 1, ['copy']), false);
  assert.equal(isNeededAfter(made, 0, 2, ['base', 'copy', 'mount']), false);
  assert.equal(isNeededAfter(made, 1, 2, ['copy']), true);
});

test('isPartOfTarget() is true of the target and the stages that it is FROM, not of those it copies from', async () => {
  const text = 'FROM a AS base\nFROM base AS tools\nFROM base AS middle\nFROM middle\nCOPY --from=tools /x /x\n';
  const { plan: made } = await plan(text);
  assert.deepEqual(
    [0, 1, 2, 3].map((index) => isPartOfTarget(made, index)),
    [true, false, true, true],
  );
});

test('isRunUpon() is true below a RUN, however far, and asks about each stage once', async () => {
  const chain = Array.from({ length: 300 }, (_, at) => `FROM ${at === 0 ? 'x' : `s${at - 1}`} AS s${at}\n`).join('');
  const { plan: made } = await plan(`FROM y AS other\n${chain}RUN true\nCOPY --from=other / /\n`);
  let asked = 0;
  const isUpon = made.stages.map((planned) => {
    return isRunUpon(made, planned, ({ stage }) => (asked++, stage.instructions.some(({ kind }) => kind === 'run')));
  });
  assert.deepEqual(
    [isUpon.length, isUpon.filter((is) => !is).length, isUpon[made.stages.findIndex(({ stage }) => stage.name === 'other')]],
    [301, 1, false],
  );
  assert.ok(asked <= (301 * 302) / 2, `it asked ${asked} times`);
});

test('beginsAgain() sees through thousands of stages that begin with each other', async () => {
  const chain = Array.from({ length: 20_000 }, (_, index) => `FROM s${index} AS s${index + 1}`);
  const { plan: made } = await plan(['FROM a AS s0', ...chain].join('\n'));
  const { stages } = made;
  assert.equal(beginsAgain(made, stages[0] ?? assert.fail(), stages.length - 1), true);
  assert.equal(beginsAgain(made, stages.at(-1) ?? assert.fail(), stages.length), false);
});
