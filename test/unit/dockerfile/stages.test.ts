import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BuilderError, DockerfileError } from '../../../src/errors.ts';
import { automaticArgs, readGlobalArgs } from '../../../src/dockerfile/global-args.ts';
import { mountFrom, splitCsv } from '../../../src/dockerfile/csv.ts';
import { parseDockerfile, parseOnbuild } from '../../../src/dockerfile/parse.ts';
import { resolveSource } from '../../../src/dockerfile/stage-needs.ts';
import { type PlanOptions, planStages, type StagePlan } from '../../../src/dockerfile/stages.ts';

const amd64 = { os: 'linux', architecture: 'amd64' };
const armv7 = { os: 'linux', architecture: 'arm', variant: 'v7' };
const none = { buildArgs: new Map<string, string>(), targetPlatform: armv7, buildPlatform: amd64 };

function plan(text: string, options: Partial<PlanOptions> = {}): StagePlan {
  return planStages(parseDockerfile(text, 'Dockerfile'), { ...none, ...options });
}

const order = ({ stages }: StagePlan): readonly string[] => stages.map(({ stage }) => stage.name ?? String(stage.index));

test('only stages the last one needs are built, each behind its needs', () => {
  const text = 'FROM a AS one\nFROM b AS unused\nFROM one AS two\nFROM c\nCOPY --from=two /x /x\n';
  assert.deepEqual(order(plan(text)), ['one', 'two', '3']);
});

test('stages that begin with each other may be as many as a file can have', () => {
  const lines = Array.from({ length: 20_000 }, (_, index) => `FROM ${index === 0 ? 'a' : `s${index - 1}`} AS s${index}`);
  const { stages } = plan(`${lines.join('\n')}\n`);
  assert.deepEqual([stages.length, stages[0]?.stage.name, stages.at(-1)?.stage.name], [20_000, 's0', 's19999']);
});

test('a target is found by name in any case, or by number', () => {
  const text = 'FROM a AS Build\nFROM b\nFROM c AS last\n';
  assert.deepEqual(order(plan(text, { targets: ['BUILD'] })), ['build']);
  assert.deepEqual(order(plan(text, { targets: ['1'] })), ['1']);
  assert.deepEqual(plan(text, { targets: ['last', '0'] }).targets, [2, 0]);
});

test('an unknown target is an error that lists the stages and the nearest name', () => {
  assert.throws(
    () => plan('FROM a AS build\nFROM b\n', { targets: ['biuld'] }),
    (error) => {
      assert.ok(error instanceof BuilderError && error.code === 'ERR_USAGE');
      assert.equal(error.message, 'Cannot build target "biuld": Dockerfile has no such stage');
      assert.equal(error.hint, 'did you mean build? stages are build, 1');
      return true;
    },
  );
  assert.throws(() => plan('FROM a\n', { targets: ['1'] }), /Cannot build target "1"/);
});

test('unused stages above the target are built when asked for', () => {
  const text = 'FROM a AS one\nFROM b AS two\nFROM c AS three\n';
  assert.deepEqual(order(plan(text, { targets: ['two'], includesUnused: true })), ['one', 'two']);
});

test('a mount needs the stage it comes from, by name only', () => {
  const text = 'FROM a AS one\nFROM b AS two\nRUN --mount=type=bind,from=ONE,target=/x --mount=target=/y,from=0 make\n';
  const { stages } = plan(text);
  assert.deepEqual(order({ stages, targets: [], globalArgs: new Map() }), ['one', 'two']);
  assert.deepEqual(
    stages[1]?.needs.map(({ index, why }) => [index, why]),
    [[0, 'mount']],
  );
});

test('COPY may take a stage by number, and none from further down', () => {
  assert.deepEqual(order(plan('FROM a\nFROM b\nCOPY --from=0 /x /x\n')), ['0', '1']);
  const below = (text: string): void => {
    assert.throws(
      () => plan(text, { targets: ['first'] }),
      /^DockerfileError: Cannot read from stage \w+ in stage first: it stands below$/,
    );
  };
  below('FROM a AS first\nCOPY --from=later /x /x\nFROM b AS later\n');
  below('FROM a AS first\nCOPY --from=1 /x /x\nFROM b AS later\n');
  below('FROM a AS first\nRUN --mount=from=Later,target=/x make\nFROM b AS later\n');
  below('FROM x AS later\nFROM a AS first\nCOPY --from=later /x /x\nFROM b AS later\n');
  const contexts = new Set(['later']);
  assert.deepEqual(order(plan('FROM a AS first\nCOPY --from=later / /\nFROM b AS later\n', { contexts, targets: ['first'] })), ['first']);
});

test('FROM takes stages above it only, and never by number', () => {
  const { stages } = plan('FROM debian\nFROM 0\n');
  assert.deepEqual(
    stages.map(({ base }) => base),
    [{ kind: 'image', image: '0' }],
  );
  const below = plan('FROM later\nFROM x AS later\n', { targets: ['0'] });
  assert.deepEqual(below.stages[0]?.base, { kind: 'image', image: 'later' });
});

test('of two stages with one name, the later is meant', () => {
  const { stages } = plan('FROM a AS x\nFROM b AS x\nFROM x\n');
  assert.deepEqual(
    stages.map(({ stage }) => stage.index),
    [1, 2],
  );
});

test('FROM scratch has no image, unless a stage took the name', () => {
  assert.deepEqual(plan('FROM scratch\n').stages[0]?.base, { kind: 'scratch' });
  assert.deepEqual(plan('FROM a AS scratch\nFROM scratch\n').stages[1]?.base, { kind: 'stage', index: 0 });
});

test('FROM expands global and automatic ARGs only', () => {
  const text =
    'ARG V=1\nARG IMAGE=debian:$V\nFROM --platform=$BUILDPLATFORM ${IMAGE} AS build\nARG V=2\nFROM debian:$V-$TARGETARCH$TARGETVARIANT-$NOPE\nCOPY --from=build a b\n';
  const { stages } = plan(text);
  assert.deepEqual(
    stages.map(({ base, platform, unset }) => ({ base, platform, unset })),
    [
      { base: { kind: 'image', image: 'debian:1' }, platform: 'linux/amd64', unset: [] },
      { base: { kind: 'image', image: 'debian:1-armv7-' }, platform: undefined, unset: ['NOPE'] },
    ],
  );
});

test('a --build-arg goes before a default, and is not expanded', () => {
  const { stages } = plan('ARG A=x\nARG B=${A}-b\nFROM $B\n', { buildArgs: new Map([['A', '$HOME']]) });
  assert.deepEqual(stages[0]?.base, { kind: 'image', image: '$HOME-b' });
});

test('a --build-arg nobody declared does not reach FROM', () => {
  assert.throws(() => plan('FROM $IMAGE\n', { buildArgs: new Map([['IMAGE', 'x']]) }), /it expands to nothing/);
});

test('a FROM that becomes a stage name means the stage', () => {
  const { stages } = plan('ARG MODE=prod\nFROM a AS dev\nFROM b AS prod\nFROM ${MODE}\n');
  assert.deepEqual(order({ stages, targets: [], globalArgs: new Map() }), ['prod', '2']);
});

test('a trigger of a stage brings its needs to the stage built on it', () => {
  const text = 'FROM x AS tools\nFROM y AS base\nONBUILD COPY --from=tools /t /t\nFROM base\n';
  assert.deepEqual(order(plan(text)), ['base', 'tools', '2']);
});

test('a trigger of a base image brings its needs in a second plan', () => {
  const text = 'FROM x AS tools\nFROM y AS app\n';
  assert.deepEqual(order(plan(text)), ['app']);
  const range = { start: { line: 2, column: 1 }, end: { line: 2, column: 14 } };
  const triggers = new Map([[1, [parseOnbuild('RUN --mount=from=tools,target=/t make', range)]]]);
  const { stages } = plan(text, { triggers });
  assert.deepEqual(
    stages.map(({ stage }) => stage.name),
    ['tools', 'app'],
  );
  assert.equal(stages[1]?.needs[0]?.range, range);
});

test('a circle is refused at the word that closes it', () => {
  const text = 'FROM x AS a\nCOPY --from=c / /\nFROM a AS b\nFROM b AS c\n';
  assert.throws(
    () => plan(text),
    (error) => {
      assert.ok(error instanceof DockerfileError);
      assert.equal(error.message, 'Cannot read from stage c in stage a: it stands below');
      assert.deepEqual(error.range.start, { line: 2, column: 6 });
      return true;
    },
  );
});

test('a named context replaces an image, a source and a whole stage', () => {
  const text = 'FROM deps AS deps\nRUN make\nFROM ctx\nCOPY --from=other / /\nCOPY --from=deps / /\n';
  const contexts = new Set(['ctx', 'deps']);
  const { stages } = plan(text, { contexts });
  assert.deepEqual(
    stages.map(({ base }) => base),
    [{ kind: 'context', name: 'ctx', replacesStage: false }],
  );
  assert.deepEqual(plan('FROM image AS deps\nRUN make\nFROM deps\n', { contexts }).stages[0]?.base, {
    kind: 'context',
    name: 'deps',
    replacesStage: true,
  });
  const at = { stage: 3, allowsNumbers: true, range: { start: { line: 1, column: 1 }, end: { line: 1, column: 2 } } };
  assert.deepEqual(resolveSource({ stages: [] }, 'CTX', contexts, at), { kind: 'context', name: 'ctx' });
  const dockerfile = parseDockerfile(text, 'Dockerfile');
  assert.deepEqual(resolveSource(dockerfile, 'Deps', contexts, at), { kind: 'context', name: 'deps' });
  assert.deepEqual(resolveSource(dockerfile, '0', contexts, at), { kind: 'context', name: 'deps' });
  assert.deepEqual(resolveSource({ stages: [] }, 'Other:1', contexts, at), { kind: 'image', image: 'Other:1' });
});

test('automaticArgs() describes both platforms and the target, and --build-arg overrides', () => {
  const args = automaticArgs({ ...none, buildArgs: new Map([['TARGETARCH', 'riscv64']]), targetStage: 'app' });
  assert.deepEqual(Object.fromEntries(args), {
    BUILDPLATFORM: 'linux/amd64',
    BUILDOS: 'linux',
    BUILDOSVERSION: '',
    BUILDARCH: 'amd64',
    BUILDVARIANT: '',
    TARGETPLATFORM: 'linux/arm/v7',
    TARGETOS: 'linux',
    TARGETOSVERSION: '',
    TARGETARCH: 'riscv64',
    TARGETVARIANT: 'v7',
    TARGETSTAGE: 'app',
  });
});

test('TARGETSTAGE is the name of the target, or default', () => {
  assert.equal(plan('FROM a AS Final\n').globalArgs.get('TARGETSTAGE'), 'final');
  assert.equal(plan('FROM a\n').globalArgs.get('TARGETSTAGE'), 'default');
});

test('readGlobalArgs() keeps an ARG without a value as declared and unset', () => {
  const dockerfile = parseDockerfile('ARG A\nARG B=1\nARG B\nFROM x\n', 'Dockerfile');
  const args = readGlobalArgs(dockerfile, { ...none, targetStage: 'default' });
  assert.equal(args.has('A'), true);
  assert.equal(args.get('A'), undefined);
  assert.equal(args.get('B'), '1');
});

test('splitCsv() reads quoted fields and refuses open quotes', () => {
  assert.deepEqual(splitCsv('a=b,"c=d,e",f="g"'), undefined);
  assert.deepEqual(splitCsv('a=b,"c=d,""e""",f'), ['a=b', 'c=d,"e"', 'f']);
  assert.deepEqual(splitCsv('a,'), ['a', '']);
  assert.deepEqual(splitCsv('"a'), undefined);
});

test('mountFrom() finds from in any case and nothing else', () => {
  assert.equal(mountFrom('type=bind,From=x,target=/from=y'), 'x');
  assert.equal(mountFrom('type=cache,target=/x'), undefined);
});
