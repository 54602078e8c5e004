// `yadokari build` by somebody who has one id and no more: the image must be as if he had them all, as far as that can be.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { readTar } from '../../support/tar-reader.ts';

const checkout = join(import.meta.dirname, '../../..');
const uid = 61_003;
const asUser = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--'] as const;

describe('yadokari build as a user without id ranges', { skip: reasonToSkip(), timeout: 180_000 }, () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync('/var/tmp/ordinary-');
    cpSync(join(checkout, 'test/conformance/base'), join(folder, 'base'), { recursive: true });
    chownSync(folder, uid, uid);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const build = (dockerfile: string) => {
    writeFileSync(join(folder, 'Dockerfile'), dockerfile);
    rmSync(join(folder, 'layout'), { recursive: true, force: true });
    const args = ['build', `--build-context=base=oci-layout://${folder}/base:base`, `--oci-layout-path=${folder}/layout`, '.'];
    const [program, ...words] = [...asUser, join(checkout, 'bin/yadokari'), ...args];
    const env = { PATH: '/usr/bin:/bin', HOME: folder };
    const { status, stdout, stderr } = spawnSync(program, words, { cwd: folder, encoding: 'utf8', env });
    return { status, output: stdout + stderr };
  };

  test('keeps the owners of the base, in its layers and in directories that change, and says what can not be', async () => {
    const { status, output } = build('FROM base\nRUN echo made > /home/app/made && echo x > /new && id -u\n');
    assert.equal(status, 0, output);
    assert.match(output, /warning: \d+ files? of the image can't have their owners here \(".*" of \d+:\d+\)/);
    const manifest = readManifest(join(folder, 'layout'));
    const baseLayers = readManifest(join(folder, 'base')).layers;
    assert.deepEqual(manifest.layers.slice(0, baseLayers.length), baseLayers, 'the layers of the base are referenced as they are');
    const owners = new Map<string, string>();
    for (const layer of manifest.layers.slice(baseLayers.length)) {
      const bytes = readFileSync(join(folder, 'layout/blobs', layer.replace(':', '/')));
      for (const { name, uid: user, gid } of await readTar(Readable.from([gunzipSync(bytes)]))) owners.set(name, `${user}:${gid}`);
    }
    assert.deepEqual(Object.fromEntries([...owners].filter(([path]) => /home\/app|new/.test(path))), {
      'home/app/': '1000:1000',
      'home/app/made': '0:0',
      new: '0:0',
    });
  });

  test('a step that needs another user says what gives the ids for it', () => {
    for (const step of ['USER 1000\nRUN id', 'RUN chown 5:5 /etc/passwd']) {
      const { status, output } = build(`FROM base\n${step}\n`);
      assert.notEqual(status, 0, output);
      assert.match(output, /^ {2}try: as root: usermod --add-subuids (\d+-\d+) --add-subgids \1 /m);
    }
  });
});

function readManifest(layout: string): { readonly layers: readonly string[] } {
  const read = (path: string): { manifests?: { digest: string }[]; layers?: { digest: string }[] } =>
    JSON.parse(readFileSync(join(layout, path), 'utf8')); // a layout of our own
  const digest = read('index.json').manifests?.[0]?.digest ?? '';
  return { layers: (read(`blobs/${digest.replace(':', '/')}`).layers ?? []).map((layer) => layer.digest) };
}

function reasonToSkip(): string | false {
  if (process.getuid?.() !== 0) return 'needs root, to become another user';
  if (spawnSync(asUser[0], [...asUser.slice(1), 'unshare', '--user', '--map-root-user', 'true']).status !== 0)
    return 'this machine forbids user namespaces';
  return spawnSync(asUser[0], [...asUser.slice(1), 'test', '-x', join(checkout, 'bin/yadokari')]).status === 0
    ? false
    : 'the checkout is not readable for other users';
}
