// A context is mounted as people mount it, writable, and others work in it meanwhile: the builder changes nothing there, and tells
// what changed.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { StartOptions } from '../support/engine.ts';
import { Scene, type SceneBuild, treeOf } from '../support/scene.ts';
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

async function buildIn(dockerfile: string, more: Partial<SceneBuild> = {}, options: StartOptions = {}) {
  let portraitBefore = '';
  const arrange = (folder: string): void => {
    shell(folder, "chmod 0640 app/main; chown 1234:1235 app/main; touch -d '2001-02-03 04:05:06.5' app/main app/deep app .");
    portraitBefore = portrait(folder);
  };
  const { ended, context, repository, destination } = await scene.start(
    { dockerfile, files, arrange, pod: 'kubernetes', ...more },
    options,
  );
  const result = await ended;
  const image = await readRegistryImage(scene.registry.host, repository, 'latest');
  return { result: { ...result, destination, image }, context, portraitBefore };
}

test('a RUN that changes the context is named, and so is the COPY that reads it', async () => {
  const { result, context } = await buildIn(
    'FROM @REG@/base\nRUN rm -rf /workspace/.git; echo x > /workspace/new; echo run >> /workspace/app/main\nCOPY app /copied\nCOPY app/deep /deep\n',
  );
  assert.equal(result.status, 0, result.output);
  assert.deepEqual(shell(context, 'ls -A; cat app/main new').split('\n'), ['Dockerfile', 'app', 'new', 'main', 'run', 'x', '']);
  const tree = treeOf(result);
  assert.ok(tree.has('/copied/main') && tree.has('/deep/er'));
  const warnings = result.output.split('\n').filter((line) => line.includes('/workspace/'));
  const [changed = '', read = ''] = warnings.filter((line) => !line.includes('RUN rm'));
  assert.match(
    changed,
    /context changed while this RUN ran.*3 paths: \/workspace\/\.git, \/workspace\/app\/main, \/workspace\/new.*line 2/,
  );
  assert.match(read, /this step reads \/workspace\/app\/main, which changed while a RUN ran \(line 2\).*line 3/);
});

test('a COPY, or a mount, of what a RUN took away from the context says which RUN, and how it can be kept from that', async () => {
  for (const last of ['COPY app/main /', 'RUN --mount=type=bind,source=app/main,target=/main cat /main']) {
    const { result } = await buildIn(`FROM @REG@/base\nRUN rm -rf /workspace/*\n${last}\n`);
    assert.equal(result.status, 1, result.output);
    assert.match(result.output, /it was there until the RUN in line 2 ran: mount the context read-only \(:ro, readOnly: true\)/);
  }
});

test('what somebody edits, adds and deletes in the context while a RUN runs stays', async () => {
  let folder = '';
  let isEdited = false;
  const onOutput = (text: string): void => {
    if (isEdited || !/\| ?started/.test(text)) return;
    isEdited = true;
    shell(folder, 'echo edited > app/main; echo added > added; rm .git/HEAD');
  };
  const dockerfile = 'FROM @REG@/base\nRUN echo started; sleep 3\nCOPY . /copied\n';
  const { result, context } = await buildIn(dockerfile, { arrange: (made) => (folder = made) }, { onOutput });
  assert.equal(result.status, 0, result.output);
  assert.deepEqual(shell(context, 'cat app/main added; ls .git').split('\n'), ['edited', 'added', '']);
  assert.match(result.output, /context changed while this RUN ran, by it or by somebody else \(3 paths/);
});

test('a build log that is written into the context is whole', async () => {
  let log = '';
  const arrange = (made: string): void => {
    log = `${made}/build.log`;
  };
  const dockerfile = 'FROM @REG@/base\nRUN echo one; sleep 1\nRUN echo two\n';
  const { result } = await buildIn(dockerfile, { arrange }, { onOutput: (text) => appendFileSync(log, text) });
  assert.equal(result.status, 0, result.output);
  const written = readFileSync(log, 'utf8');
  assert.match(written, /one[^]*two/);
  assert.ok(!written.includes('\0'), 'no holes');
});

test('a RUN that touches nothing of the context says nothing about it', async () => {
  const { result, context, portraitBefore } = await buildIn('FROM @REG@/base\nRUN cat /workspace/app/main > /made\nRUN true\n');
  assert.equal(result.status, 0, result.output);
  assert.doesNotMatch(result.output, /context/);
  assert.equal(portrait(context), portraitBefore);
});

test('a context that is mounted read-only is not watched', async () => {
  const { result, context, portraitBefore } = await buildIn('FROM @REG@/base\nRUN ! rm -rf /workspace/app\nCOPY app /app\n', {
    contextIsReadOnly: true,
  });
  assert.equal(result.status, 0, result.output);
  assert.doesNotMatch(result.output, /changed the context/);
  assert.equal(portrait(context), portraitBefore);
});
