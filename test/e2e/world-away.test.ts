// The branch we sit on: after the base image is unpacked, and even when a RUN deletes all of it, the builder lives on.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Scene, treeOf, stackTrace } from '../support/scene.ts';

let scene: Scene;

before(async () => {
  scene = await Scene.start();
});

after(() => scene?.stop());

test('a RUN that deletes everything it can reach leaves a builder that copies, snapshots and pushes', async () => {
  const keep = ['proc', 'sys', 'dev', 'yadokari', 'kaniko', 'workspace'].map((name) => `! -name ${name}`).join(' ');
  const result = await scene.build({
    dockerfile: `FROM @REG@/base\nRUN find / -mindepth 1 -maxdepth 1 ${keep} -exec rm -rf {} + 2>/dev/null; true\nCOPY f /f\nWORKDIR /new/dir\n`,
    files: { f: 'still here' },
    pod: 'kubernetes',
  });
  assert.equal(result.status, 0, result.output);
  assert.deepEqual(result.image?.problems, []);
  const paths = [...treeOf(result).keys()].filter((path) => !/^\/(?:proc|sys|dev|etc|run|var|tmp)(?:\/|$)/.test(path));
  assert.deepEqual(paths.filter((path) => path !== '/').toSorted(), ['/f', '/new', '/new/dir']);
});

test("with --kaniko-dir elsewhere, even the builder's own files may go, and an image may have files in their place", async () => {
  const keep = ['proc', 'sys', 'dev', 'build', 'workspace'].map((name) => `! -name ${name}`).join(' ');
  const result = await scene.build({
    dockerfile: `FROM @REG@/base AS away\nRUN ls / > /seen; find / -mindepth 1 -maxdepth 1 ${keep} -exec rm -rf {} + 2>/dev/null; true\nFROM @REG@/base\nCOPY f /kaniko/executor\nRUN cat /kaniko/executor && ls -A / && ! ls /kaniko/app /yadokari\nCOPY --from=away / /away/\n`,
    files: { f: 'not a builder' },
    args: ['--kaniko-dir=/build'],
    pod: 'kubernetes',
  });
  assert.deepEqual(result.image?.problems, [], result.output);
  assert.equal(treeOf(result).get('/kaniko/executor')?.size, 'not a builder'.length);
  assert.match(result.output, /\| ?not a builder/);
});

test('--kaniko-dir may be a link, and what is built does not touch the folder that it leads to', async () => {
  const result = await scene.build({
    dockerfile: 'FROM @REG@/base\nCOPY f /a\nRUN ls /kaniko/app > /seen\nFROM @REG@/base\nRUN true\nCOPY --from=0 /a /seen /\n',
    files: { f: 'f' },
    args: ['--kaniko-dir=/yadokari'],
  });
  assert.equal(result.status, 0, result.output);
  assert.ok(treeOf(result).has('/seen'));
  assert.deepEqual(
    [...treeOf(result).keys()].filter((path) => /^\/(?:kaniko|yadokari)/.test(path)),
    [],
  );
});

test('a base image without a single program is built on', async () => {
  const result = await scene.build({ dockerfile: 'FROM scratch\nCOPY f /a/b/f\nUSER 5:6\nWORKDIR /w\n', files: { f: 'f' } });
  assert.equal(result.status, 0, result.output);
  assert.deepEqual(result.image?.problems, []);
  assert.deepEqual([...treeOf(result).keys()].filter((path) => path !== '/').toSorted(), ['/a', '/a/b', '/a/b/f', '/w']);
});

test('a RUN in an image without a shell says so', async () => {
  const result = await scene.build({ dockerfile: 'FROM scratch\nCOPY f /f\nRUN echo hi\n', files: { f: 'f' } });
  assert.notEqual(result.status, 0);
  assert.match(result.output, /\/bin\/sh/);
  assert.ok(!stackTrace.test(result.output), `a stack trace: ${result.output}`);
});
