// A real distribution, a real package manager, several stages; other programs judge what came of it.
import assert from 'node:assert/strict';
import { lstat, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { must } from '../support/command.ts';
import { debianBase } from '../support/debian-base.ts';
import { asList, asObject, isObject } from '../support/parsed.ts';
import { podman, runContainer } from '../support/podman.ts';
import { Scene, type SceneResult, treeOf } from '../support/scene.ts';
import { tarArchive } from '../support/tar-writer.ts';

const dockerfile = `
FROM @REG@/debian:bookworm AS tool
RUN apt-get update && apt-get install -y --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY src .
RUN make

FROM @REG@/debian:bookworm
ARG GREETING=hello
ENV GREETING=$GREETING LANG=C.UTF-8
RUN useradd --create-home --uid 4321 crab && install -d -o crab -m 2750 /data \\
 && apt-get update && apt-get install -y --no-install-recommends hostname iputils-ping && apt-get clean
ADD bundle.tar /opt/bundle/
COPY --from=tool --chown=crab:crab /src/out.txt /data/
COPY --chmod=0755 greet /usr/local/bin/
USER crab
WORKDIR /home/crab/work
RUN --mount=type=bind,from=tool,target=/mnt id -un > who && umask > mask && test -f /mnt/src/out.txt
LABEL maker=yadokari
HEALTHCHECK --interval=5s CMD true
EXPOSE 8080
ENTRYPOINT ["greet"]
CMD ["world"]
`;

const files = {
  'src/Makefile': 'out.txt:\n\tuname -s > $@\n',
  greet: '#!/bin/sh\necho "$GREETING $1 from $(id -un) in $(pwd)"\n',
  'bundle.tar': tarArchive([
    { name: 'bundle/', type: 'dir', mode: 0o750 },
    { name: 'bundle/a', content: 'a', uid: 7, gid: 8 },
    { name: 'bundle/b', type: 'symlink', linkname: 'a' },
  ]),
};

let scene: Scene;
let built: SceneResult;

before(
  async () => {
    scene = await Scene.start();
    await debianBase(scene.registry.host);
    built = await scene.build({
      dockerfile,
      files,
      pod: 'kubernetes',
      args: ['--build-arg=GREETING=ahoy', '--digest-file=/workspace/digest'],
    });
    assert.equal(built.status, 0, built.output.slice(-4000));
  },
  { timeout: 900_000 },
);

after(() => scene?.stop());

test('the pushed image is sound in itself', () => {
  assert.deepEqual(built.image?.problems, []);
});

test('podman runs the image as its user, with its entrypoint, environment and working directory', async () => {
  await must(['podman', 'pull', '-q', '--tls-verify=false', built.destination]);
  const greeted = await runContainer({ image: built.destination });
  assert.equal(greeted.stdout, 'ahoy world from crab in /home/crab/work\n', greeted.output);
  const packages = await runContainer({ image: built.destination, entrypoint: 'dpkg', command: ['--audit'] });
  assert.equal(packages.status, 0, packages.output);
  assert.equal(packages.stdout, '');
  await podman(['rmi', '-f', built.destination]);
});

test('skopeo sees the config that the Dockerfile asks for', async () => {
  const text = await must(['skopeo', 'inspect', '--config', '--tls-verify=false', `docker://${built.destination}`]);
  const image = asObject(JSON.parse(text));
  const config = asObject(image['config']);
  assert.equal(config['User'], 'crab');
  assert.equal(config['WorkingDir'], '/home/crab/work');
  assert.deepEqual(config['Entrypoint'], ['greet']);
  assert.deepEqual(config['Cmd'], ['world']);
  assert.deepEqual(config['ExposedPorts'], { '8080/tcp': {} });
  assert.deepEqual(config['Labels'], { maker: 'yadokari' });
  assert.deepEqual(asList(config['Env']).slice(1), ['GREETING=ahoy', 'LANG=C.UTF-8']);
  const history = asList(image['history']).filter((entry) => isObject(entry) && entry['empty_layer'] !== true);
  assert.equal(history.length, built.image?.layers.length);
});

test('umoci unpacks the same tree: owners, modes, links and capabilities', async () => {
  const folder = await scene.folder();
  const layout = join(folder, 'layout');
  await must(['skopeo', 'copy', '--quiet', '--src-tls-verify=false', `docker://${built.destination}`, `oci:${layout}:latest`]);
  await must(['umoci', 'unpack', '--image', `${layout}:latest`, join(folder, 'bundle')]);
  const root = join(folder, 'bundle/rootfs');
  const data = await lstat(join(root, 'data'));
  assert.deepEqual([data.uid, data.gid, data.mode & 0o7777], [4321, 0, 0o2750]);
  assert.equal(await readFile(join(root, 'data/out.txt'), 'utf8'), 'Linux\n');
  assert.deepEqual([(await lstat(join(root, 'data/out.txt'))).uid, (await lstat(join(root, 'data/out.txt'))).gid], [4321, 4321]);
  assert.equal(await readFile(join(root, 'home/crab/work/who'), 'utf8'), 'crab\n');
  assert.equal(await readFile(join(root, 'home/crab/work/mask'), 'utf8'), '0022\n');
  assert.equal((await lstat(join(root, 'opt/bundle/bundle/a'))).uid, 7);
  assert.equal(await readlink(join(root, 'opt/bundle/bundle/b')), 'a');
  const ping = treeOf(built).get('/usr/bin/ping');
  assert.ok(ping?.xattrs.has('security.capability') || (ping?.mode ?? 0) & 0o4000, 'ping lost its file capability');
  assert.equal((await lstat(join(root, 'usr/bin/passwd'))).mode & 0o7777, 0o4755);
});

test('no file of the first stage is in the image', () => {
  const tree = treeOf(built);
  assert.ok(!tree.has('/usr/bin/make'));
  assert.ok(!tree.has('/src'));
});

test('the digest file names the pushed manifest', async () => {
  const { ended, context } = await scene.start({
    dockerfile: 'FROM @REG@/base\nCOPY a /a\n',
    files: { a: 'a' },
    pod: 'kubernetes',
    args: ['--digest-file=/workspace/digest', '--reproducible'],
    repository: 'out/digest',
  });
  const { status, output } = await ended;
  assert.equal(status, 0, output);
  const digest = (await readFile(join(context, 'digest'), 'utf8')).trim();
  const tag = `docker://${scene.registry.host}/out/digest:latest`;
  const inspected = asObject(JSON.parse(await must(['skopeo', 'inspect', '--tls-verify=false', tag])));
  assert.equal(digest, inspected['Digest']);
});
