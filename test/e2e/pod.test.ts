// What a pod gives: seven capabilities and no way to more, a read-only context, mounts in odd places, no TTY.
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { debianBase } from '../support/debian-base.ts';
import { chosenEngine } from '../support/engine.ts';
import { contextPlaces, type PodShape, secretPlace } from '../support/pod-shape.ts';
import { Scene, type SceneResult, treeOf, stackTrace } from '../support/scene.ts';

const capabilities = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'SETUID', 'SETGID', 'SETFCAP'];

let scene: Scene;

before(
  async () => {
    scene = await Scene.start();
    await debianBase(scene.registry.host);
  },
  { timeout: 600_000 },
);

after(() => scene?.stop());

const dockerfile = `
FROM @REG@/debian:bookworm
RUN useradd --create-home bob && install -d -o bob -m 0700 /home/bob/private && chmod 4755 /bin/ls && chown bob:bob /srv
USER bob
RUN id -un > /home/bob/private/who && touch /srv/mine
USER root
RUN su bob -c 'id -un' > /su && ls -l /home/bob/private
COPY --chown=bob f /home/bob/f
`;

test('seven capabilities without new privileges are enough for users, modes and su', async () => {
  const result = await scene.build({ dockerfile, files: { f: 'f' }, capabilities });
  assert.equal(result.status, 0, result.output);
  const tree = treeOf(result);
  assert.deepEqual(result.image?.problems, []);
  assert.equal(tree.get('/bin/ls')?.mode ?? tree.get('/usr/bin/ls')?.mode, 0o4755);
  assert.equal(tree.get('/home/bob/private')?.uid, 1000);
  assert.equal(tree.get('/home/bob/f')?.uid, 1000);
  assert.equal(tree.get('/su')?.size, 4);
});

test('without capabilities a base image that belongs to others fails in one line that names what is missing', async () => {
  const result = await scene.build({ dockerfile, files: { f: 'f' }, capabilities: [] });
  assert.notEqual(result.status, 0);
  assert.match(result.output, /^ {2}try: securityContext\.capabilities\.add: \[CHOWN, /m);
  assert.ok(!stackTrace.test(result.output), `a stack trace: ${result.output}`);
});

test('without FSETID a build says which bits a RUN can not keep', async () => {
  const dockerfile = 'FROM @REG@/base\nRUN mkdir /d && chown 7:7 /d && chmod 2750 /d && false\n';
  const result = await scene.build({ dockerfile, capabilities: capabilities.filter((name) => name !== 'FSETID') });
  assert.equal(result.status, 1, result.output);
  assert.match(result.output, /^warning: without CAP_FSETID, /m);
  assert.match(result.output, /^ {2}try: .*\[FSETID\]/m);
});

test('mounts inside the root stay as they are and stay out of the image', async () => {
  const folder = await scene.folder({ 'ca.crt': 'mounted', 'token/token': 'mounted' });
  const result = await scene.build({
    dockerfile: `FROM @REG@/debian:bookworm\nRUN cat /etc/ssl/certs/mounted.crt /run/token/token && rm -rf /etc/ssl/certs/mounted.crt; echo x > /run/own\n`,
    volumes: [`${folder}/ca.crt:/etc/ssl/certs/mounted.crt:ro`, `${folder}/token:/run/token:ro`],
  });
  assert.equal(result.status, 0, result.output);
  const tree = treeOf(result);
  assert.ok(tree.has('/run/own'));
  assert.ok(!tree.has('/etc/ssl/certs/mounted.crt') && !tree.has('/run/token/token'));
  assert.match(result.output, /mountedmounted/);
});

// The builder has a link there, images a link or a folder: a volume is found by where it was mounted, not by its name afterwards.
for (const { shape, prepare, folder } of [
  { shape: 'a link', prepare: 'test -L /var/run', folder: '/run' },
  { shape: 'a folder', prepare: 'rm /var/run && mkdir /var/run', folder: '/var/run' },
])
  test(`volumes below /var/run get what is meant for them where the image has ${shape} there`, async () => {
    const volume = await scene.folder();
    const result = await scene.build({
      dockerfile: `FROM @REG@/base\nRUN ${prepare} && echo own > /var/run/own && test -e ${folder}/own\nCOPY f /var/run/f\nRUN cat /var/run/f\n`,
      files: { f: 'f' },
      volumes: [`${volume}:/var/run/shared`],
      args: [
        '--cache',
        '--cache-repo=oci:/var/run/shared/cache',
        '--oci-layout-path=/var/run/shared/layout',
        '--digest-file=/var/run/shared/digest',
        '--ignore-path=/var/run/left-out',
      ],
    });
    const tree = treeOf(result);
    assert.ok(!result.output.includes('RUN sees two folders'), result.output);
    assert.deepEqual((await readdir(volume)).toSorted(), ['cache', 'digest', 'layout']);
    assert.equal(await readFile(join(volume, 'digest'), 'utf8'), result.image?.digest);
    assert.ok((await readdir(join(volume, 'cache'))).length >= 2, 'nothing was kept');
    assert.equal(tree.get(`${folder}/f`)?.size, 1);
    assert.deepEqual(
      [...tree.keys()].filter((path) => path.includes('shared')),
      [],
    );
  });

// A driver is mounted file by file, below names of which one is a link to the other in most images.
test('a pod with a GPU builds what any pod builds', async () => {
  const folder = await scene.folder({ driver: 'mounted' });
  const mount = (path: string): string => `${folder}/driver:${path}:ro`;
  const build = {
    dockerfile: `FROM @REG@/debian:bookworm
RUN echo own > /lib/x86_64-linux-gnu/libown.so && mkdir -p /lib/firmware/own && touch /usr/lib/firmware/own/f && ls -l /lib/firmware/own
COPY f /usr/bin/nvidia-smi
RUN rm /usr/lib/x86_64-linux-gnu/libown.so && ls -l /lib
`,
    files: { f: 'f' },
  };
  const plain = await scene.build(build);
  const withDriver = await scene.build({
    ...build,
    volumes: [
      '/usr/lib/x86_64-linux-gnu/libcuda.so.535',
      '/lib64/libnvidia-ml.so.535',
      '/lib/firmware/nvidia/535/gsp.bin',
      '/usr/bin/nvidia-smi',
      '/var/run/nvidia-persistenced/socket',
    ].map(mount),
  });
  assert.ok(!withDriver.output.includes('RUN sees two folders'), withDriver.output);
  const lines = (result: SceneResult): readonly string[] =>
    [...treeOf(result)].map(([path, { type, mode, size }]) => `${path} ${type} ${mode} ${size}`).toSorted();
  assert.deepEqual(lines(withDriver), lines(plain));
});

test('a read-only context is no obstacle', async () => {
  const context = await scene.folder({ Dockerfile: `FROM ${scene.registry.host}/base\nCOPY . /all/\n`, f: 'f' });
  const result = await scene.build({
    dockerfile: '',
    volumes: [`${context}:/given:ro`],
    args: ['--context=/given', '--dockerfile=/given/Dockerfile'],
  });
  assert.equal(result.status, 0, result.output);
  assert.ok(treeOf(result).has('/all/f'));
});

test('the pod that every build of these tests runs in has what a pod has, and none of it is in the image', async () => {
  const places = [...Object.values(contextPlaces), secretPlace].map((place) => `${place}/`);
  for (const pod of Object.keys(contextPlaces) as readonly PodShape[]) {
    const result = await scene.build({
      pod,
      dockerfile:
        'FROM @REG@/debian:bookworm\nRUN cd /var/run/secrets/kubernetes.io/serviceaccount && cat token namespace ca.crt && ! touch mine && sed "s/^/mount /" /proc/self/mountinfo\n',
    });
    assert.equal(result.status, 0, result.output);
    assert.match(result.output, /\| ?\S*token\S*/);
    const mounted = [...result.output.matchAll(/mount(?: \S+){4} (\S+)/g)].map((match) => match[1] ?? '');
    for (const place of ['/etc/hosts', '/etc/hostname', '/etc/resolv.conf', contextPlaces[pod]]) assert.ok(mounted.includes(place), place);
    assert.ok(
      mounted.some((place) => place.endsWith('/run/secrets/kubernetes.io/serviceaccount')),
      mounted.join(' '),
    );
    const strangers = [...treeOf(result).keys()].filter(
      (path) => /kubernetes\.io/.test(path) || places.some((place) => path.startsWith(place)),
    );
    assert.deepEqual(strangers, []);
    assert.equal(treeOf(result).get('/var/run')?.type, 'symlink');
  }
});

for (const { name, extra, says } of [
  { name: 'runAsUser: 1000', extra: ['--user=1000'], says: /try: securityContext\.runAsUser: 0/ },
  { name: 'readOnlyRootFilesystem: true', extra: ['--read-only'], says: /try: securityContext\.readOnlyRootFilesystem: false/ },
]) {
  test(`${name} is answered with the line to change`, { skip: chosenEngine() === 'pods' && 'said in the words of podman' }, async () => {
    const result = await scene.build({ dockerfile: 'FROM @REG@/base\nRUN true\n', extra });
    assert.equal(result.status, 1, result.output);
    assert.match(result.output, says);
    assert.match(result.output.trim(), /^error: .*\n  try: .*\n  code: ERR_UNSUPPORTED \(docs\/errors\.md\)$/);
  });
}
