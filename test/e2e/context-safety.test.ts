// A context is mounted as people mount it, writable, and a RUN is root: the folder has to be as it was afterwards.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { run } from '../support/command.ts';
import { Scene, treeOf } from '../support/scene.ts';
import { readRegistryImage } from '../support/registry-image.ts';

let scene: Scene;

before(async () => {
  scene = await Scene.start();
});

after(() => scene?.stop());

const files = { 'app/main': 'main\n', 'app/deep/er': 'deeper\n', '.git/HEAD': 'ref\n' };
const shell = (folder: string, script: string): string => execFileSync('sh', ['-c', script], { cwd: folder, encoding: 'utf8' });
const portrait = (folder: string): string =>
  shell(folder, 'find . -printf "%p %y %m %U %G %T@ %n %l\\n" | sort; find . -type f -exec md5sum {} + | sort');

async function buildIn(dockerfile: string, more: { readonly args?: readonly string[]; readonly readOnly?: boolean } = {}) {
  const { command, repository, context } = await scene.prepare({
    dockerfile,
    files,
    ...(more.args === undefined ? {} : { args: more.args }),
  });
  shell(context, "chmod 0640 app/main; chown 1234:1235 app/main; touch -d '2001-02-03 04:05:06.5' app/main app/deep app .");
  const portraitBefore = portrait(context);
  const result = await run(command.map((word) => (more.readOnly === true && word === `${context}:/workspace` ? `${word}:ro` : word)));
  const image = await readRegistryImage(scene.registry.host, repository, 'latest');
  return { result: { ...result, destination: '', image }, context, portraitBefore };
}

test('a RUN that destroys the context leaves it as it was, and the next COPY copies it', async () => {
  const { result, context, portraitBefore } = await buildIn(
    'FROM @REG@/base\nRUN rm -rf /workspace/* /workspace/.git; echo x > /workspace/new; chmod 777 /workspace\nCOPY . /copied\nRUN test ! -e /workspace/new && test -e /workspace/app/main\n',
  );
  assert.equal(result.status, 0, result.output);
  assert.equal(portrait(context), portraitBefore);
  const paths = [...treeOf(result).keys()].filter((path) => path.startsWith('/copied/'));
  assert.deepEqual(paths.sort(), [
    '/copied/.git',
    '/copied/.git/HEAD',
    '/copied/Dockerfile',
    '/copied/app',
    '/copied/app/deep',
    '/copied/app/deep/er',
    '/copied/app/main',
  ]);
  const warnings = result.output.split('\n').filter((line) => line.includes('changed the context'));
  assert.equal(warnings.length, 1, result.output);
  assert.match(warnings[0] ?? '', /\/workspace\/.*all is as it was.*line 2/);
});

test('a RUN that fails leaves the context as it was', async () => {
  const { result, context, portraitBefore } = await buildIn('FROM @REG@/base\nRUN echo evil > /workspace/app/main; exit 9\n');
  assert.equal(result.status, 9, result.output);
  assert.equal(portrait(context), portraitBefore);
});

test('a RUN that touches nothing of the context says nothing about it', async () => {
  const { result, context, portraitBefore } = await buildIn('FROM @REG@/base\nRUN cat /workspace/app/main > /made\nRUN true\n');
  assert.equal(result.status, 0, result.output);
  assert.doesNotMatch(result.output, /context/);
  assert.equal(portrait(context), portraitBefore);
});

test('a context that is mounted read-only needs no copy', async () => {
  const { result, context, portraitBefore } = await buildIn('FROM @REG@/base\nRUN ! rm -rf /workspace/app\nCOPY app /app\n', {
    readOnly: true,
  });
  assert.equal(result.status, 0, result.output);
  assert.doesNotMatch(result.output, /changed the context/);
  assert.equal(portrait(context), portraitBefore);
});

test('a signal in the middle of a RUN leaves the context as it was', async () => {
  const { command, context } = await scene.prepare({
    dockerfile: 'FROM @REG@/base\nRUN rm -rf /workspace/*; echo now-gone; sleep 600\n',
    files,
    name: 'yadokari-context-safety',
  });
  const portraitBefore = portrait(context);
  const kill = (): string => execFileSync('podman', ['kill', '--signal', 'TERM', 'yadokari-context-safety'], { encoding: 'utf8' });
  let isKilled = false;
  const result = await run(command, {
    onOutput: (text) => {
      if (isKilled || !/\| ?now-gone/.test(text)) return;
      isKilled = true;
      kill();
    },
  });
  assert.equal(result.status, 143, result.output);
  assert.equal(portrait(context), portraitBefore);
});
