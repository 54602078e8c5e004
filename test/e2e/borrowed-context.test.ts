// The image works in the very folder where the context is mounted, as everybody's first try has it: `-v $PWD:/workspace` and
// `WORKDIR /workspace`. The image is as if it did not, and the folder is afterwards as it was, to the inode.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { builderContainer } from '../support/builder.ts';
import { must } from '../support/command.ts';
import { chosenEngine, type StartOptions, type StopSignal } from '../support/engine.ts';
import { podVolumes } from '../support/pod-shape.ts';
import { readRegistryImage } from '../support/registry-image.ts';
import { Scene, type SceneBuild, treeOf } from '../support/scene.ts';

let scene: Scene;

before(async () => {
  scene = await Scene.start();
});

after(() => scene?.stop());

const files = {
  'go.mod': 'module\n',
  'cmd/main.go': 'main\n',
  'cmd/deep/secret.env': 'secret\n',
  '.git/HEAD': 'ref\n',
  '.dockerignore': '**/*.env\n.git\n',
};
const scaffold = `FROM @REG@/base AS build
WORKDIR /workspace
COPY go.mod go.mod
COPY cmd cmd
RUN cat go.mod cmd/main.go > manager && rm cmd/main.go && find . -type f 2> /dev/null | sort > list
RUN echo again >> list
FROM @REG@/base
COPY --from=build /workspace/manager /workspace/list /got/
`;
const note = /the image works in \/workspace, where the context is mounted/;

const shell = (folder: string, script: string): string => execFileSync('sh', ['-ec', script], { cwd: folder, encoding: 'utf8' });
const portrait = (folder: string): string =>
  shell(folder, 'find . -printf "%p %i %y %m %U %G %T@ %n %l\\n" | sort; find . -type f -exec md5sum {} + 2> /dev/null | sort');

async function build(dockerfile: string, more: Partial<SceneBuild> = {}, signal?: { readonly name: StopSignal; readonly when: RegExp }) {
  let portraitBefore = '';
  let context = '';
  const arrange = (folder: string): void => {
    shell(folder, "ln cmd/main.go linked; chown 1234:1235 cmd/main.go; chmod 2770 .; touch -d '2001-02-03 04:05:06.5' cmd/main.go cmd .");
    context = folder;
    portraitBefore = portrait(folder);
  };
  let seen = '';
  const started = Promise.withResolvers<(name: StopSignal) => Promise<void>>();
  const options: StartOptions = {
    onOutput: (text) => {
      seen += text;
      if (signal === undefined || !signal.when.test(seen)) return;
      seen = '';
      void started.promise.then((kill) => kill(signal.name));
    },
  };
  const run = await scene.start({ dockerfile, files, arrange, pod: 'kubernetes', ...more }, options);
  started.resolve(run.kill);
  const result = await run.ended;
  const image = await readRegistryImage(scene.registry.host, run.repository, 'latest');
  return { result: { ...result, destination: run.destination, image }, context, portraitBefore };
}

/** Another container with the same folder. */
async function buildAgain(context: string, dockerfile: string) {
  const given = await scene.folder({ Dockerfile: dockerfile.replaceAll('@REG@', scene.registry.host) });
  const container = builderContainer({
    image: scene.builder,
    context,
    volumes: [`${given}:/given:ro`],
    args: [`--destination=${scene.registry.host}/borrow/again:latest`, '--insecure', '--insecure-pull', '--dockerfile=/given/Dockerfile'],
  });
  return await (
    await scene.engine.start(container)
  ).ended;
}

test('the image gets what it gets elsewhere, and the context is as it was', async () => {
  const { result, context, portraitBefore } = await build(scaffold);
  const tree = treeOf(result);
  assert.ok(tree.has('/got/manager') && tree.has('/got/list'));
  assert.equal(portrait(context), portraitBefore);
  assert.equal(result.output.split('\n').filter((line) => note.test(line)).length, 1, result.output);
  assert.doesNotMatch(result.output, /context changed/);
});

test('RUN sees an empty folder where WORKDIR made one, and what it makes there is the image’s', async () => {
  const { result, context, portraitBefore } = await build(
    'FROM @REG@/base\nWORKDIR /workspace\nRUN test -z "$(ls)" && echo made > made && mkdir -p sub/folder\nCOPY go.mod .\nRUN test "$(ls | tr "\\n" " ")" = "go.mod made sub "\n',
  );
  const paths = [...treeOf(result).keys()].filter((path) => path.startsWith('/workspace'));
  assert.deepEqual(paths.toSorted(), ['/workspace', '/workspace/go.mod', '/workspace/made', '/workspace/sub', '/workspace/sub/folder']);
  assert.equal(portrait(context), portraitBefore);
});

test('where the image has nothing there, RUN sees the mount as in any engine, before and after', async () => {
  const { result, context, portraitBefore } = await build(
    'FROM @REG@/base AS a\nRUN cat /workspace/go.mod > /seen\nFROM @REG@/base AS b\nWORKDIR /workspace\nRUN test ! -e go.mod && echo b > b\n' +
      'FROM @REG@/base\nRUN cat /workspace/go.mod && test ! -e /workspace/b\nCOPY --from=a /seen /\nCOPY --from=b /workspace /b\n',
  );
  assert.ok(treeOf(result).has('/b/b') && treeOf(result).has('/seen'), result.output);
  assert.equal(portrait(context), portraitBefore);
});

test('a base that has the folder is seen by the first RUN', async () => {
  const base = await build('FROM @REG@/base\nCOPY go.mod /workspace/of-the-base\n', { repository: 'borrow/base' });
  assert.equal(base.result.status, 0, base.result.output);
  assert.doesNotMatch(base.result.output, note);
  const { result, context, portraitBefore } = await build(
    'FROM @REG@/borrow/base\nRUN test ! -e /workspace/go.mod && cat /workspace/of-the-base && echo x > /workspace/made\nCOPY cmd /workspace/cmd\n',
  );
  const paths = [...treeOf(result).keys()].filter((path) => path.startsWith('/workspace'));
  assert.ok(paths.includes('/workspace/of-the-base') && paths.includes('/workspace/made') && paths.includes('/workspace/cmd/main.go'));
  assert.equal(portrait(context), portraitBefore);
});

test('bind mounts and COPY read the context while it is out of the way', async () => {
  const { result, context, portraitBefore } = await build(
    'FROM @REG@/base\nWORKDIR /workspace\nRUN --mount=type=bind,source=cmd,target=/mnt cat /mnt/main.go > main\nCOPY linked linked\nRUN cat linked main\n',
  );
  assert.ok(treeOf(result).has('/workspace/linked') && treeOf(result).has('/workspace/main'));
  assert.equal(portrait(context), portraitBefore);
});

test('a build that fails leaves the context as it was', async () => {
  const { result, context, portraitBefore } = await build(
    'FROM @REG@/base\nWORKDIR /workspace\nCOPY . .\nRUN echo half > go.mod; exit 3\n',
  );
  assert.equal(result.status, 3, result.output);
  assert.match(result.output, note);
  assert.equal(portrait(context), portraitBefore);
});

const sleeping =
  'FROM @REG@/base\nWORKDIR /workspace\nCOPY . .\nRUN echo half > go.mod; mkdir -p made/deep; echo x > made/deep/x; echo now-asleep; sleep 600\n';
const asleep = /^.*\| ?now-asleep/m;

test('a command that comes upon what is hidden is explained, and what it reached is as it was', async () => {
  const { result, context, portraitBefore } = await build(
    'FROM @REG@/base\nWORKDIR /workspace\nCOPY . .\nRUN chown -R 7:8 . || true\nRUN rm -rf /workspace/.[!.]* /workspace/* || true\n',
  );
  assert.equal(result.status, 0, result.output);
  assert.match(result.output, /this command came upon the folder that has the context's files meanwhile; mount the context where/);
  assert.equal(portrait(context), portraitBefore);
});

test('SIGTERM leaves the context as it was', async () => {
  const { result, context, portraitBefore } = await build(sleeping, {}, { name: 'SIGTERM', when: asleep });
  assert.equal(result.status, 143, result.output);
  assert.equal(portrait(context), portraitBefore);
});

test('after a kill -9 the next start in another container makes it what it was', async () => {
  const { context, portraitBefore } = await build(sleeping, {}, { name: 'SIGKILL', when: asleep });
  assert.notEqual(portrait(context), portraitBefore);
  const again = await buildAgain(context, 'FROM @REG@/base\nCOPY go.mod /go.mod\n');
  assert.equal(again.status, 0, again.output);
  assert.match(again.output, /\/workspace has its files back/);
  assert.equal(portrait(context), portraitBefore);
});

test('what somebody writes there after the kill stays', async () => {
  const { context } = await build(sleeping, {}, { name: 'SIGKILL', when: asleep });
  await sleep(1500);
  shell(context, 'echo mine > mine; echo edited > go.mod');
  const again = await buildAgain(context, 'FROM @REG@/base\nCOPY go.mod /go.mod\n');
  assert.equal(again.status, 0, again.output);
  assert.equal(shell(context, 'cat mine go.mod go.mod.yadokari-1; test ! -e made'), 'mine\nmodule\nedited\n');
});

const busybox = '/bin/busybox';

test(
  'after a kill -9 the next start in the same container makes it what it was',
  { skip: existsSync(busybox) ? false : `${busybox} is not installed (apt-get install busybox-static)` },
  async () => {
    const layout = resolve(import.meta.dirname, '../../build/borrow-image');
    const script = resolve(import.meta.dirname, '../../scripts/image.ts');
    await must([process.execPath, script, '--debug', '--busybox', busybox, '--output', layout]);
    const image = await scene.engine.load(layout, 'debug');
    const context = await scene.folder({
      ...files,
      killed: sleeping.replaceAll('@REG@', scene.registry.host),
      next: `FROM ${scene.registry.host}/base\nCOPY go.mod /go.mod\n`,
    });
    const portraitBefore = portrait(context);
    const executor = (name: string): string =>
      `/kaniko/executor --context /workspace --dockerfile ${name} --destination ${scene.registry.host}/borrow/${name}:latest --insecure --insecure-pull`;
    const job = [
      `${executor('killed')} & builder=$!; while [ ! -e /workspace/made/deep/x ]; do sleep 0.1; done; kill -9 $builder; wait $builder`,
      `exec ${executor('next')}`,
    ].join('\n');
    const { ended } = await scene.engine.start({
      image,
      entrypoint: '/busybox/sh',
      command: ['-c', job],
      volumes: podVolumes('kubernetes', { context }),
    });
    const { status, output } = await ended;
    assert.equal(status, 0, output);
    assert.match(output, /\/workspace has its files back/);
    assert.equal(portrait(context), portraitBefore);
  },
);

test('a context that is a folder of what is mounted there is read while all of that is out of the way', async () => {
  const { result, context, portraitBefore } = await build(
    'FROM @REG@/base\nWORKDIR /workspace\nCOPY deep .\nRUN test ! -e go.mod && cat here\nCOPY main.go .\nRUN ls > list\n',
    {
      files: { ...files, 'cmd/deep/here': 'here\n' },
      args: ['--context=/workspace/cmd', '--dockerfile=/workspace/Dockerfile'],
    },
  );
  assert.equal(treeOf(result).get('/workspace/list')?.type, 'file');
  assert.ok(!treeOf(result).has('/workspace/go.mod'));
  assert.equal(portrait(context), portraitBefore);
});

test('what is mounted inside of the context stays where it is', async () => {
  const inner = await scene.folder({ cached: 'cached\n' });
  const { result, context } = await build(
    'FROM @REG@/base\nWORKDIR /workspace\nCOPY . /copied\nRUN test ! -e go.mod && cat cache/cached && echo x > made\n',
    {
      volumes: [`${inner}:/workspace/cache`],
    },
  );
  const paths = [...treeOf(result).keys()];
  assert.ok(paths.includes('/copied/cache/cached') && paths.includes('/copied/go.mod') && paths.includes('/workspace/made'));
  assert.ok(!paths.includes('/workspace/cache/cached'));
  assert.equal(shell(context, 'ls; cat go.mod'), 'Dockerfile\ncache\ncmd\ngo.mod\nlinked\nmodule\n');
  assert.equal(readFileSync(`${inner}/cached`, 'utf8'), 'cached\n');
});

test('result files that are wanted in the context are there', async () => {
  const { result, context } = await build(scaffold, { args: ['--digest-file=/workspace/digest', '--oci-layout-path=/workspace/layout'] });
  assert.equal(result.status, 0, result.output);
  assert.match(shell(context, 'cat digest; ls layout'), /^sha256:[^]*index\.json/);
});

test('a read-only context is refused before anything runs, with what to do', async () => {
  const { result } = await build(`FROM @REG@/base\nRUN echo has-run\n${scaffold}`, { contextIsReadOnly: true });
  assert.equal(result.status, 1);
  assert.doesNotMatch(result.output, /has-run/);
  assert.match(
    result.output,
    /Cannot run in \/workspace: the image has that folder, but the context is mounted there, and can't be written/,
  );
  assert.match(result.output, /-v \$PWD:\/context, --context=dir:\/\/\/context/);
});

test('a read-only context is refused before the first RUN where only the build can know', async () => {
  const { result } = await build('FROM @REG@/base\nARG where=/workspace\nWORKDIR $where\nRUN echo has-run\n', { contextIsReadOnly: true });
  assert.equal(result.status, 1);
  assert.doesNotMatch(result.output, /\| ?has-run/);
  assert.match(result.output, /Cannot run in \/workspace/);
});

test('a read-only context does not matter without a RUN', async () => {
  const { result } = await build('FROM @REG@/base\nWORKDIR /workspace\nCOPY . .\n', { contextIsReadOnly: true });
  assert.ok(treeOf(result).has('/workspace/cmd/main.go'));
});

test(
  'somebody at a terminal is asked first',
  { skip: chosenEngine() === 'podman' ? false : 'only podman gives a terminal here' },
  async () => {
    const asked = await build(scaffold, { extra: ['-t'] });
    assert.equal(asked.result.status, 1, asked.result.output);
    assert.match(asked.result.output.replaceAll(/\s+/g, ' '), /--borrow-context/);
    assert.equal(portrait(asked.context), asked.portraitBefore);
    const { result, context, portraitBefore } = await build(scaffold, { extra: ['-t'], args: ['--borrow-context'] });
    assert.ok(treeOf(result).has('/got/manager'));
    assert.equal(portrait(context), portraitBefore);
  },
);
