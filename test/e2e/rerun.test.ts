// CI systems run several builds, one after the other, in the one container of a job.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { must } from '../support/command.ts';
import { podVolumes } from '../support/pod-shape.ts';
import { readRegistryImage } from '../support/registry-image.ts';
import { Scene, treeOf } from '../support/scene.ts';

const busybox = '/bin/busybox';
const whyNot = existsSync(busybox) ? false : `${busybox} is not installed (apt-get install busybox-static)`;

describe('several builds in one container', { skip: whyNot }, () => {
  let scene: Scene;
  let image = '';
  before(async () => {
    scene = await Scene.start();
    // podman makes a name of the path, and names are in lower case
    const layout = resolve(import.meta.dirname, '../../build/rerun-image');
    const script = resolve(import.meta.dirname, '../../scripts/image.ts');
    await must([process.execPath, script, '--debug', '--busybox', busybox, '--output', layout]);
    image = await scene.engine.load(layout, 'debug');
  });
  after(() => scene?.stop());

  const build = (name: string): string => {
    const { host } = scene.registry;
    return `/kaniko/executor --context /workspace --dockerfile ${name} --destination ${host}/rerun/${name}:latest --insecure --insecure-pull`;
  };
  const pathsOf = async (name: string): Promise<readonly string[]> => {
    const found = await readRegistryImage(scene.registry.host, `rerun/${name}`, 'latest');
    return [...(found?.flattened.tree.keys() ?? [])];
  };

  test('the second image has nothing of the first, and the job keeps its shell and its files', async () => {
    const base = `${scene.registry.host}/base`;
    const context = await scene.folder({
      first: `FROM ${base}\nRUN mkdir -p /of-the-first/deep /etc && touch /of-the-first/deep/file /etc/of-the-first\nCOPY first /app/first\n`,
      second: `FROM ${base}\nRUN test ! -e /of-the-first && test ! -e /etc/of-the-first && test ! -e /app && test ! -e /tmp/first && test ! -e /tmp/Dockerfile && test ! -e /root/.docker\nRUN touch /of-the-second\n`,
      third: `FROM ${base}\nRUN test ! -e /of-the-second\nCOPY third /third\n`,
    });
    const job = [
      'set -e; mkdir -p /tmp /builds/job && echo kept > /builds/job/file',
      `${build('first')} --digest-file=/tmp/first --tar-path=/srv/first.tar --cleanup > /tmp/log 2>&1; cat /tmp/log`,
      'mkdir -p /artifacts && echo kept > /artifacts/file',
      'mkdir -p /root/.docker && echo {} > /root/.docker/config.json && cp /workspace/second /tmp/Dockerfile',
      `${build('second').replace('--dockerfile second', '--dockerfile /tmp/Dockerfile')} --digest-file=/tmp/second`,
      build('third'),
      'cat /tmp/first /tmp/second; test -s /srv/first.tar; test -s /tmp/log; test -s /root/.docker/config.json; test -s /tmp/Dockerfile; cat /builds/job/file /artifacts/file; test ! -e /of-the-second; /busybox/sh -c "echo shell works"; ls / > /dev/null',
    ].join('\n');
    const entrypoint = '/busybox/sh';
    const { ended } = await scene.engine.start({ image, entrypoint, command: ['-c', job], volumes: podVolumes('kubernetes', { context }) });
    const { status, output } = await ended;
    assert.equal(status, 0, output);
    assert.match(output, /(?:sha256:[0-9a-f]{64}){2}kept\nkept\nshell works/);
    assert.ok((await pathsOf('first')).includes('/of-the-first/deep/file'));
    const strangers = (await pathsOf('second')).filter((path) => /first|artifacts|builds|^\/busybox/.test(path));
    assert.deepEqual(strangers, []);
    assert.ok((await pathsOf('second')).includes('/of-the-second'));
    assert.ok(!(await pathsOf('third')).includes('/of-the-second'));
  });

  test("an image with a /busybox of its own gets it, and RUN the job's, which is said once", async () => {
    const result = await scene.build({
      image,
      dockerfile: `FROM @REG@/base\nCOPY tool /busybox/tool\nRUN test ! -e /busybox/tool && /busybox/echo seen\nRUN true\n`,
      files: { tool: 'of the image' },
    });
    const paths = [...treeOf(result).keys()].filter((path) => path.startsWith('/busybox'));
    assert.deepEqual(paths.toSorted(), ['/busybox', '/busybox/tool']);
    assert.match(result.output, /\| ?seen/);
    assert.equal(result.output.match(/RUN can't see the image's \/busybox:/g)?.length, 1, result.output);
  });

  test("--preserve-context puts the job's own files back, in a container whose files are a lower layer's", async () => {
    const base = `${scene.registry.host}/base`;
    const context = await scene.folder({
      own: `FROM ${base}\nRUN test ! -e /etc/job && rm -rf /var/run && echo image > /bin/of-the-image\n`,
    });
    const job = [
      'set -e; mkdir /tmp; echo kept | tee /etc/job > /tmp/job',
      `${build('own')} --preserve-context --tar-path=/tmp/own.tar`,
      'cat /etc/job; cmp /etc/job /tmp/job; test -s /tmp/own.tar; test ! -e /bin/of-the-image; test -L /var/run; /bin/sh -c "echo shell works"',
    ].join('\n');
    const entrypoint = '/busybox/sh';
    const { ended } = await scene.engine.start({ image, entrypoint, command: ['-c', job], volumes: podVolumes('kubernetes', { context }) });
    const { status, output } = await ended;
    assert.equal(status, 0, output);
    assert.match(output, /kept\nshell works/);
    assert.ok((await pathsOf('own')).includes('/bin/of-the-image'));
    assert.ok(!(await pathsOf('own')).includes('/etc/job'));
  });

  test('a build that failed, or was killed, leaves nothing to the next one', async () => {
    const base = `${scene.registry.host}/base`;
    const context = await scene.folder({
      failing: `FROM ${base}\nRUN mkdir /half && touch /half/made; exit 3\n`,
      killed: `FROM ${base}\nRUN mkdir /killed && touch /killed/made && sleep 60\n`,
      next: `FROM ${base}\nRUN test ! -e /half && test ! -e /killed && touch /next\n`,
    });
    const job = [
      `${build('failing')} || echo failed with $?`,
      `${build('killed')} & builder=$!; while [ ! -e /killed/made ]; do sleep 0.1; done; kill -9 $builder; wait $builder`,
      `exec ${build('next')}`,
    ].join('\n');
    const entrypoint = '/busybox/sh';
    const { ended } = await scene.engine.start({ image, entrypoint, command: ['-c', job], volumes: podVolumes('kubernetes', { context }) });
    const { status, output } = await ended;
    assert.equal(status, 0, output);
    assert.match(output, /failed with 3/);
    assert.deepEqual(
      (await pathsOf('next')).filter((path) => /half|killed/.test(path)),
      [],
    );
  });
});
