// The layer cache as its users have it: the builder's image, a real registry, builds that are killed.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { must } from '../support/command.ts';
import { randomFrom } from '../support/random.ts';
import { readRegistryImage } from '../support/registry-image.ts';
import { Scene, type SceneResult, type SceneRun } from '../support/scene.ts';

let scene: Scene;
before(async () => {
  scene = await Scene.start();
});
after(async () => {
  await scene.stop();
});

const dockerfile =
  'FROM @REG@/base:latest AS tool\nRUN echo tool > /tool\n' +
  'FROM @REG@/base:latest\nARG SOURCE_DATE_EPOCH\nWORKDIR /app\nCOPY package .\nRUN cat package > built\nCOPY --from=tool /tool /tool\nCOPY source .\nRUN cat source /tool >> built\nCMD ["x"]\n';
const files = { package: 'p', source: 's' };

/** How many steps came from the cache. */
const recalled = ({ output }: SceneResult): number => output.match(/ from the cache, /g)?.length ?? 0;

/** The lines of steps that made a layer, or took one from the cache. */
const stepsIn = (output: string): readonly string[] =>
  output.match(/^\[\d+\/\d+\] .*(?:from the cache, |done in [^,]*, )layer of .*/gm) ?? [];

test('the second of two builds in fresh containers unpacks and downloads nothing, and has the same digest', async () => {
  const args = ['--cache', '--cache-copy-layers'];
  const first = await scene.build({ dockerfile, files, args, repository: 'cached/app' });
  assert.equal(first.status, 0, first.output);
  const second = await scene.build({ dockerfile, files, args, repository: 'cached/app' });
  assert.equal(second.status, 0, second.output);
  assert.equal(recalled(second), 6, second.output);
  assert.doesNotMatch(second.output, /^(?:pulled|unpacked) /m);
  // The config is sent without asking whether it is there: it is smaller than the question is slow.
  assert.equal(second.output.match(/^pushed /gm)?.length, 1, second.output);
  assert.match(second.output, /stage tool is not built/);
  assert.equal(second.image?.digest, first.image?.digest);
  assert.deepEqual(second.image?.problems, []);
  const other = await scene.build({ dockerfile, files: { ...files, source: 'other' }, args, repository: 'cached/app' });
  assert.equal(recalled(other), 4, other.output);
  assert.match(other.output, /not in the cache: file source changed/);
});

test('what is in the cache can be read by others', async () => {
  const tags: unknown = await (await fetch(`http://${scene.registry.host}/v2/cached/app/cache/tags/list`)).json();
  const list = typeof tags === 'object' && tags !== null && 'tags' in tags && Array.isArray(tags.tags) ? tags.tags.map(String) : [];
  const key = list.find((tag) => /^[0-9a-f]{64}$/.test(tag));
  const shown = await must(['skopeo', 'inspect', '--tls-verify=false', `docker://${scene.registry.host}/cached/app/cache:${key}`]);
  assert.match(shown, /"dev\.yadokari\.cache\.step": "(?:RUN|COPY|WORKDIR) /);
});

test('a repository that does not answer is a warning', async () => {
  const args = ['--cache', '--cache-repo=127.0.0.1:1/none'];
  const result = await scene.build({ dockerfile, files, args });
  assert.equal(result.status, 0, result.output);
  assert.match(result.output, /warning: the cache 127\.0\.0\.1:1\/none is not used: /);
  assert.ok(result.image !== undefined);
});

test('people can list a cache, ask what a build would find in it, and take away what is old', async () => {
  const context = await scene.folder({ ...files, source: 'changed', Dockerfile: dockerfile.replaceAll('@REG@', scene.registry.host) });
  const command = async (...words: readonly string[]): Promise<string> => {
    const volumes = [`${context}:/workspace:ro`];
    const { status, output } = await (await scene.engine.start({ image: scene.builder, command: words, volumes })).ended;
    assert.equal(status, 0, output);
    return output;
  };
  const cache = `${scene.registry.host}/cached/app/cache`;
  const list = await command('cache', 'list', cache);
  assert.match(list, /^[0-9a-f]{12} {2}20\d\d-\d\d-\d\d \d\d:\d\d +[\d.]+ B {2}step {5}RUN cat package > built$/m);
  const explained = await command(
    'cache',
    'explain',
    '--insecure-pull',
    '--cache-copy-layers',
    `--destination=${scene.registry.host}/cached/app`,
    '/workspace',
  );
  assert.match(explained, /^ {2}RUN cat package > built: in the cache since 20.*Z$/m);
  assert.match(explained, /^ {2}COPY source \.: not in the cache: file source changed$/m);
  assert.match(await command('cache', 'prune', cache), /^removed 0 results of \d+, 0 B, from /m);
  assert.match(await command('cache', 'prune', '--max-size=0', cache), /^removed 9 results of 10, /m);
  assert.equal(await keptIn('cached/app'), 0);
});

/** How many results the cache of a repository has. */
async function keptIn(repository: string): Promise<number> {
  const answer = await fetch(`http://${scene.registry.host}/v2/${repository}/cache/tags/list`);
  if (answer.status === 404) return 0;
  return (await answer.text()).match(/"[0-9a-f]{64}"/g)?.length ?? 0;
}

test('a build that is killed at 15 moments goes on from what was finished, and comes to the same digest', async () => {
  const random = randomFrom(20261126);
  const steps = Array.from({ length: 6 }, (_, index) => `RUN sleep 0.2; echo ${index} > /${index}\n`).join('');
  const slow = `FROM @REG@/base:latest\n${steps}`;
  const epoch = '--build-arg=SOURCE_DATE_EPOCH=1600000000';
  // How long a container takes to begin says nothing of the build: moments are counted from its first line.
  const begin = async (repository: string, args: readonly string[]): Promise<{ readonly run: SceneRun; readonly talks: Promise<void> }> => {
    const { promise: talks, resolve } = Promise.withResolvers<void>();
    const run = await scene.start({ dockerfile: slow, args: [...args, epoch], repository }, { onOutput: () => resolve() });
    return { run, talks };
  };
  const plain = await begin('killed/plain', []);
  await plain.talks;
  const started = performance.now();
  const { status, output } = await plain.run.ended;
  const durationMs = Math.ceil(performance.now() - started);
  assert.equal(status, 0, output);
  const digestOf = async (repository: string): Promise<string | undefined> =>
    (await readRegistryImage(scene.registry.host, repository, 'latest'))?.digest;
  let killed = 0;
  let [resumed, lost] = [0, 0];
  for (let round = 0; killed < 15; round++) {
    const repository = `killed/${round}`;
    for (let isDone = false; !isDone;) {
      const kept = await keptIn(repository);
      resumed += kept;
      const { run, talks } = await begin(repository, ['--cache']);
      if (killed < 15) {
        await Promise.race([talks.then(async () => await setTimeout(random(durationMs))), run.ended]);
        await run.kill('SIGKILL');
      }
      const ended = await run.ended;
      const repeated = stepsIn(ended.output)
        .slice(0, kept)
        .filter((line) => !line.includes(' from the cache, '));
      assert.deepEqual(repeated, [], `of ${kept} results in the cache:\n${ended.output}`);
      isDone = ended.status === 0;
      if (isDone) continue;
      killed++;
      // What is finished is kept while the next step runs.
      lost += stepsIn(ended.output).length - (await keptIn(repository));
    }
    assert.equal(await digestOf(repository), await digestOf('killed/plain'));
  }
  assert.ok(resumed > killed / 2 && lost <= killed / 2, `${resumed} steps went on, ${lost} finished ones were lost by ${killed} kills`);
});
