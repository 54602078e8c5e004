// Repositories in a real build: as the context, as a source of ADD, as a named context; over HTTP and over ssh.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { git, type GitServer, startGitServer } from '../support/git-server.ts';
import { readRegistryImage } from '../support/registry-image.ts';
import { Scene, treeOf } from '../support/scene.ts';
import { type SshServer, startSshServer, whyNoSsh } from '../support/ssh-server.ts';

const canary = 'canary-token';
const noSsh = whyNoSsh() ?? false;
let scene: Scene;
let open: GitServer;
let locked: GitServer;
let ssh: SshServer | undefined;
let commit = '';

before(async () => {
  [scene, open, locked] = await Promise.all([Scene.start(), startGitServer(), startGitServer({ login: `x-access-token:${canary}` })]);
  ssh = noSsh === false ? await startSshServer({ acceptsProtocol: true }) : undefined;
  const leaf = make(open, 'leaf.git', { 'leaf.txt': 'leaf\n' });
  const modules = `[submodule "leaf"]\n\tpath = vendor/leaf\n\turl = ${open.origin}/leaf.git\n`;
  for (const server of [open, locked]) {
    const files = {
      Dockerfile: `FROM ${scene.registry.host}/base\nCOPY . /app/\nRUN cat /app/vendor/leaf/leaf.txt > /ran\n`,
      'run.sh': '#!/bin/sh\n',
      'sub/file': 'sub\n',
      'left-out': 'left out\n',
      '.dockerignore': 'left-out\n',
      '.gitmodules': modules,
    };
    commit = make(server, 'app.git', files, { 'vendor/leaf': leaf });
  }
});

after(async () => {
  ssh?.stop();
  await Promise.all([scene?.stop(), open?.stop(), locked?.stop()]);
});

function make(
  server: GitServer,
  name: string,
  files: Readonly<Record<string, string>>,
  links: Readonly<Record<string, string>> = {},
): string {
  const work = mkdtempSync(join(server.folder, 'work-'));
  git(work, 'init', '-q');
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(work, path, '..'), { recursive: true });
    writeFileSync(join(work, path), content, { mode: content.startsWith('#!') ? 0o755 : 0o644 });
  }
  git(work, 'add', '-A');
  for (const [path, id] of Object.entries(links)) git(work, 'update-index', '--add', '--cacheinfo', `160000,${id},${path}`);
  git(work, 'commit', '-q', '-m', name);
  git(work, 'tag', 'v1');
  git(server.folder, 'clone', '-q', '--bare', work, name);
  return git(work, 'rev-parse', 'HEAD');
}

test('a private git context builds with GIT_TOKEN’s relatives, submodules and all, and the token is nowhere', async () => {
  const env = { GIT_PULL_METHOD: 'http', GIT_USERNAME: 'x-access-token', GIT_PASSWORD: canary };
  const args = [`--context=git://${locked.host}/app.git#refs/heads/main`];
  // Without a /workspace: kaniko, too, takes a Dockerfile in the working directory before one in the context.
  const destination = `${scene.registry.host}/git/context:latest`;
  const run = await scene.run({ args: [...args, `--destination=${destination}`, '--insecure', '--insecure-pull'], env });
  const result = { ...run, destination, image: await readRegistryImage(scene.registry.host, 'git/context', 'latest') };
  assert.equal(result.status, 0, result.output);
  const tree = treeOf(result);
  assert.ok(tree.has('/app/run.sh') && tree.has('/app/vendor/leaf/leaf.txt') && tree.has('/ran'), [...tree.keys()].join(' '));
  assert.ok(!tree.has('/app/.git') && !tree.has('/app/left-out'));
  assert.match(result.output, /\.dockerignore is applied, as kaniko does/);
  assert.ok(!result.output.includes(canary) && !JSON.stringify(result.image).includes(canary));
});

test('ADD takes a repository, a folder of one, and one with its .git; --checksum is looked at', async () => {
  const dockerfile = `FROM @REG@/base
ADD ${open.origin}/app.git#v1 /whole/
ADD ${open.origin}/app.git?ref=main&subdir=sub /sub/
ADD --keep-git-dir --checksum=${commit} ${open.origin}/app.git#v1 /kept/
`;
  const result = await scene.build({ dockerfile });
  assert.equal(result.status, 0, result.output);
  const tree = treeOf(result);
  for (const path of ['/whole/run.sh', '/whole/vendor/leaf/leaf.txt', '/sub/file', '/kept/.git/HEAD', '/kept/run.sh'])
    assert.ok(tree.has(path), path);
  assert.ok(!tree.has('/whole/.git') && !tree.has('/sub/run.sh'));
  const wrong = await scene.build({ dockerfile: `FROM @REG@/base\nADD --checksum=${'0'.repeat(40)} ${open.origin}/app.git#v1 /x/\n` });
  assert.notEqual(wrong.status, 0);
  assert.match(wrong.output, new RegExp(`v1 is ${commit}, not 0{40}`));
});

test('a secret opens a private repository for ADD, and a named context is a repository', async () => {
  const secrets = await scene.folder({ token: `${canary}\n` });
  const result = await scene.build({
    dockerfile: `FROM @REG@/base\nADD ${locked.origin}/app.git?submodules=false /app/\nCOPY --from=leaf leaf.txt /\n`,
    volumes: [`${secrets}:/secrets:ro`],
    args: ['--secret=id=GIT_AUTH_TOKEN,src=/secrets/token', `--build-context=leaf=${open.origin}/leaf.git`],
  });
  assert.equal(result.status, 0, result.output);
  assert.ok(treeOf(result).has('/app/run.sh') && treeOf(result).has('/leaf.txt'));
  assert.ok(!result.output.includes(canary) && !JSON.stringify(result.image).includes(canary));
});

test('ADD over ssh works in the second stage, when the root is the image’s', { skip: noSsh }, async () => {
  if (ssh === undefined) return;
  const keys = await scene.folder({ key: readFileSync(ssh.keyPath), known: ssh.knownHosts });
  const result = await scene.build({
    dockerfile: `FROM @REG@/base AS first\nRUN rm -rf /etc /lib; mkdir /made\nFROM @REG@/base\nADD ${ssh.origin}${open.folder}/leaf.git /leaf/\nCOPY --from=first /made /made\n`,
    volumes: [`${keys}:/secrets:ro`],
    args: ['--ssh=default=/secrets/key', '--secret=id=GIT_KNOWN_HOSTS,src=/secrets/known'],
  });
  assert.equal(result.status, 0, result.output);
  assert.ok(treeOf(result).has('/leaf/leaf.txt'));
});

test('a password in a URL of ADD or of a context is in no output, history or label', async () => {
  const place = locked.origin.replace('//', `//x-access-token:${canary}@`);
  const result = await scene.build({
    dockerfile: `FROM @REG@/base\nADD ${place}/app.git?submodules=false /app/\nADD --keep-git-dir ${place}/app.git?submodules=false#v1 /kept/\n`,
    args: [`--build-context=named=${place}/app.git?submodules=false`],
  });
  assert.equal(result.status, 0, result.output);
  assert.ok(treeOf(result).has('/kept/.git/config'));
  const failed = await scene.build({ dockerfile: `FROM @REG@/base\nADD ${place}/nothing.git /x/\n`, args: ['--verbosity=debug'] });
  assert.notEqual(failed.status, 0);
  for (const text of [result.output, failed.output, JSON.stringify(result.image)]) assert.ok(!text.includes(canary), text.slice(0, 4000));
});
