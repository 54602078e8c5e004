// Base images that were not made by a friend: layers that reach out of the root, into the builder's folder or into mounts.
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { run } from '../support/command.ts';
import { pushImage } from '../support/image-writer.ts';
import { Scene, stackTrace } from '../support/scene.ts';
import { type MemberToWrite, tarArchive } from '../support/tar-writer.ts';

const password = 'canary-47806-shell';

let scene: Scene;
let busybox: Buffer;

before(async () => {
  scene = await Scene.start();
  const found = await run(['sh', '-c', 'command -v busybox']);
  busybox = await readFile(found.stdout.trim());
});

after(() => scene?.stop());

const floor = (): readonly MemberToWrite[] => [
  { name: 'bin/', type: 'dir' },
  { name: 'bin/busybox', content: busybox, mode: 0o755 },
  ...['sh', 'cat', 'ls', 'sha256sum', 'find', 'sort', 'xargs', 'true', 'echo', 'mv', 'rm'].map((name): MemberToWrite => ({
    name: `bin/${name}`,
    type: 'symlink',
    linkname: 'busybox',
  })),
];

let count = 0;

/** Builds on a base of these layers, with a mounted context and mounted credentials to steal. */
async function buildOn(layers: readonly (readonly MemberToWrite[])[], steps: readonly string[] = ['RUN true', 'COPY own /own']) {
  const repository = `hostile/${++count}`;
  await pushImage(scene.registry.host, repository, { layers: layers.map(tarArchive), config: { Cmd: ['sh'] } });
  const secrets = await scene.folder({
    'config.json': JSON.stringify({ auths: { 'registry.example': { auth: Buffer.from(`u:${password}`).toString('base64') } } }),
  });
  const build = {
    dockerfile: [`FROM @REG@/${repository}`, ...steps, ''].join('\n'),
    files: { own: 'own' },
    pod: 'kubernetes' as const,
    volumes: [`${secrets}/config.json:/kaniko/.docker/config.json:ro`],
    repository: `${repository}-built`,
  };
  const { ended, context, repository: pushed } = await scene.start(build, { timeoutMs: 180_000 });
  const result = await ended;
  const untouched =
    (await readdir(context)).toSorted().join(' ') === 'Dockerfile own' && (await readFile(join(context, 'own'), 'utf8')) === 'own';
  return { ...result, untouched, isPushed: await scene.hasTag(pushed) };
}

// what has no harmless reading is refused
const refused: readonly { readonly name: string; readonly layers: readonly (readonly MemberToWrite[])[] }[] = [
  { name: 'a hard link to a file of a mount', layers: [[{ name: 'exfil', type: 'hardlink', linkname: 'workspace/own' }]] },
  {
    name: "a hard link to the builder's credentials",
    layers: [[{ name: 'exfil', type: 'hardlink', linkname: 'kaniko/.docker/config.json' }]],
  },
  { name: 'a hard link that climbs out', layers: [[{ name: 'exfil', type: 'hardlink', linkname: '../../../workspace/own' }]] },
  { name: 'the root itself as a symlink', layers: [[{ name: './', type: 'symlink', linkname: '/workspace' }]] },
  { name: 'the root itself as a file', layers: [[{ name: '/', content: 'x' }]] },
  { name: 'a negative size', layers: [[{ name: 'f', content: 'x', pax: { size: '-1' } }]] },
];

for (const row of refused) {
  test(`a base image with ${row.name} is refused in one line, and nothing outside changes`, async () => {
    const result = await buildOn([floor(), ...row.layers]);
    assert.notEqual(result.status, 0, result.output);
    assert.ok(!stackTrace.test(result.output), `a stack trace: ${result.output}`);
    assert.ok(result.untouched, 'the context changed');
    assert.equal(result.isPushed, false);
  });
}

// what may be read harmlessly must end harmlessly: refused, or confined to the root
const confined: readonly { readonly name: string; readonly layers: readonly (readonly MemberToWrite[])[] }[] = [
  { name: 'a name with ..', layers: [[{ name: '../../workspace/pwned', content: 'x' }]] },
  { name: 'a name with .. in the middle', layers: [[{ name: 'a/../../../workspace/pwned', content: 'x' }]] },
  { name: 'an absolute name', layers: [[{ name: '/workspace/pwned', content: 'x' }]] },
  {
    name: 'a symlink to a mount and a file through it',
    layers: [
      [
        { name: 'l', type: 'symlink', linkname: '/workspace' },
        { name: 'l/pwned', content: 'x' },
      ],
    ],
  },
  {
    name: 'a symlink in one layer and a file through it in the next',
    layers: [[{ name: 'l', type: 'symlink', linkname: '../../workspace' }], [{ name: 'l/own', content: 'x' }]],
  },
  {
    name: 'a chain of symlinks',
    layers: [
      [
        { name: 'a/b/c/up', type: 'symlink', linkname: '../..' },
        { name: 'a/b/escape', type: 'symlink', linkname: 'c/up/../../workspace' },
        { name: 'a/b/escape/pwned', content: 'x' },
      ],
    ],
  },
  {
    name: 'a whiteout of a mounted folder',
    layers: [[{ name: '.wh.workspace' }], [{ name: 'workspace/.wh..wh..opq' }], [{ name: 'workspace/.wh.own' }]],
  },
  { name: 'a mounted folder as a symlink', layers: [[{ name: 'workspace', type: 'symlink', linkname: '/tmp' }]] },
  { name: 'a mounted folder as a file', layers: [[{ name: 'workspace', content: 'x' }]] },
];

for (const row of confined) {
  test(`a base image with ${row.name} changes nothing outside the root`, async () => {
    const result = await buildOn([floor(), ...row.layers]);
    assert.ok(!stackTrace.test(result.output), `a stack trace: ${result.output}`);
    assert.ok(result.untouched, 'the context changed');
    assert.equal(result.isPushed, result.status === 0, result.output);
  });
}

const builderFiles: readonly (readonly MemberToWrite[])[] = [
  [
    { name: 'kaniko/', type: 'dir', mode: 0o777 },
    { name: 'kaniko/executor', content: '#!/bin/sh\necho pwned\n', mode: 0o755 },
    { name: 'kaniko/app/start.js', content: 'console.log("pwned");' },
    { name: 'kaniko/node', content: '#!/bin/sh\necho pwned\n', mode: 0o755 },
    { name: 'kaniko/ld', content: 'pwned' },
  ],
  [{ name: '.wh.kaniko' }, { name: '.wh.yadokari' }],
  [{ name: 'kaniko', type: 'symlink', linkname: '/tmp' }],
];

test("a base image with the builder's own paths does not change the builder, and the build goes on or says why", async () => {
  const result = await buildOn([floor(), ...builderFiles], ['RUN cat /kaniko/app/start.js /kaniko/executor', 'COPY own /own']);
  assert.ok(!result.output.includes('pwned'), result.output);
  assert.ok(!stackTrace.test(result.output), `a stack trace: ${result.output}`);
  assert.equal(result.isPushed, result.status === 0, result.output);
});

test('a base image with a poisoned name service, loader and helpers is built on as any other', async () => {
  const evil = '#!/bin/sh\necho pwned > /pwned\n';
  const programs = ['gzip', 'zstd', 'tar', 'git', 'node', 'docker-credential-desktop', 'unshare', 'ld.so'];
  const result = await buildOn(
    [
      floor(),
      [
        { name: 'etc/nsswitch.conf', content: 'hosts: evil\npasswd: evil\n' },
        { name: 'etc/ld.so.preload', content: '/lib/evil.so\n' },
        { name: 'lib/libnss_evil.so.2', content: 'evil' },
        { name: 'lib/evil.so', content: 'evil' },
        { name: 'lib/x86_64-linux-gnu/libc.so.6', content: 'evil' },
        { name: 'lib64/ld-linux-x86-64.so.2', content: evil, mode: 0o755 },
        { name: 'etc/ssl/openssl.cnf', content: 'openssl_conf = evil\n' },
        ...programs.map((name): MemberToWrite => ({ name: `bin/${name}`, content: evil, mode: 0o755 })),
      ],
    ],
    ['RUN echo built', 'COPY own /own', 'RUN if [ -e /pwned ]; then echo pwned; fi'],
  );
  assert.equal(result.status, 0, result.output);
  assert.ok(!/\| ?pwned/.test(result.output), result.output);
});
