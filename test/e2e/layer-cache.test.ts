// The layer cache as its users have it: the builder's image, a real registry, builds that are killed.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { must } from '../support/command.ts';
import { Scene, type SceneResult } from '../support/scene.ts';

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

test('the second of two builds in fresh containers unpacks and downloads nothing, and has the same digest', async () => {
  const args = ['--cache', '--cache-copy-layers'];
  const first = await scene.build({ dockerfile, files, args, repository: 'cached/app' });
  assert.equal(first.status, 0, first.output);
  const second = await scene.build({ dockerfile, files, args, repository: 'cached/app' });
  assert.equal(second.status, 0, second.output);
  assert.equal(recalled(second), 6, second.output);
  assert.doesNotMatch(second.output, /^(?:pulled|pushed|unpacked) .* [\d.]+ [kM]B /m);
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

test('a build that is killed again and again comes to the same digest, and goes on from what was finished', async () => {
  const steps = Array.from({ length: 6 }, (_, index) => `RUN sleep 0.3; echo ${index} > /${index}\n`).join('');
  const slow = `FROM @REG@/base:latest\n${steps}`;
  const args = ['--cache', '--cache-copy-layers', '--build-arg=SOURCE_DATE_EPOCH=1600000000'];
  const plain = await scene.build({ dockerfile: slow, args: ['--build-arg=SOURCE_DATE_EPOCH=1600000000'] });
  assert.equal(plain.status, 0, plain.output);
  let killed = 0;
  for (let delayMs = 300; delayMs < 4000; delayMs += 450) {
    const run = await scene.start({ dockerfile: slow, args, repository: 'killed/app' });
    await Promise.race([setTimeout(delayMs), run.ended]);
    await run.kill('SIGKILL');
    if ((await run.ended).status !== 0) killed++;
  }
  assert.ok(killed > 0);
  const last = await scene.build({ dockerfile: slow, args, repository: 'killed/app' });
  assert.equal(last.status, 0, last.output);
  assert.equal(last.image?.digest, plain.image?.digest);
  assert.ok(recalled(last) > 0, last.output);
});
