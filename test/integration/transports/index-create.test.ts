// `yadokari index create` as a person runs it, with a real registry; skopeo judges what came of it.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestOf } from '../../../src/oci/digest.ts';
import { must, type CommandResult } from '../../support/command.ts';
import { pushImage, writeOciLayout, pushParts } from '../../support/image-writer.ts';
import { tar } from '../../support/tar.ts';
import { commandScene } from '../../support/command-scene.ts';

const scene = commandScene(['skopeo'], pushParts);
const { skip } = scene;

/** `onWaiting` is called as soon as it says anything. */
async function create(args: readonly string[], input = '', onWaiting?: () => void): Promise<CommandResult> {
  let begin = onWaiting;
  const onOutput = (): void => {
    begin?.();
    begin = undefined;
  };
  return await scene.run(['index', 'create', '--insecure', '--insecure-pull', ...args], { input, onOutput });
}

const inspect = async (place: string): Promise<string> => await must(['skopeo', 'inspect', '--raw', '--tls-verify=false', place]);
/** All images of an index, whole: skopeo verifies each blob. */
const copyAll = async (place: string, name: string): Promise<void> =>
  void (await must(['skopeo', 'copy', '--all', '--quiet', '--src-tls-verify=false', place, `dir:${join(scene.folder, name)}`]));

test('images of two repositories become an index in a third, under several names, with all their blobs', { skip }, async () => {
  const at = `${scene.registry.host}/made/app`;
  const [digest, refs, images] = ['digest', 'refs', 'images'].map((name) => join(scene.folder, name));
  const { status, stderr } = await create([
    `--tag=${at}:1`,
    `--tag=${at}:latest`,
    `--tag=${scene.registry.host}/also/app:1`,
    '--annotation=a=b',
    `--from=${scene.registry.host}/parts/amd,${scene.registry.host}/parts/arm:latest`,
    `--platform=${scene.registry.host}/parts/arm:latest=linux/arm64`,
    `--digest-file=${digest}`,
    `--image-name-tag-with-digest-file=${refs}`,
    `--images-file=${images}`,
  ]);
  assert.equal(status, 0, stderr);
  const raw = await inspect(`docker://${at}:1`);
  assert.deepEqual([await inspect(`docker://${at}:latest`), await inspect(`docker://${scene.registry.host}/also/app:1`)], [raw, raw]);
  assert.equal(await readFile(digest ?? '', 'utf8'), digestOf(raw));
  assert.match(await readFile(refs ?? '', 'utf8'), new RegExp(`^${at}:1@${digestOf(raw)}\n`));
  const { manifests, annotations } = JSON.parse(raw) as { manifests: { digest: string; platform: object }[]; annotations: object };
  assert.deepEqual(
    manifests.map(({ platform }) => platform),
    [
      { architecture: 'amd64', os: 'linux' },
      { architecture: 'arm64', os: 'linux' },
    ],
  );
  assert.deepEqual(annotations, { a: 'b' });
  assert.equal(await readFile(images ?? '', 'utf8'), manifests.map((item) => `${at}@${item.digest}`).join(','));
  await copyAll(`docker://${at}:1`, 'copied');
  // By digests, from JSON on standard input, in a layout: the same images give the same bytes.
  const list = JSON.stringify([{ image: `${at}@${manifests[0]?.digest}` }, { image: `${at}@${manifests[1]?.digest}`, platform: 'arm64' }]);
  const again = await create(['--tag', `oci:${scene.folder}/layout:1`, '--annotation=a=b', '--from-json=-'], list);
  assert.equal(again.status, 0, again.stderr);
  assert.equal(await inspect(`oci:${scene.folder}/layout:1`), raw);
  const flat = await create(['--dry-run', '--annotation=a=b', `--from-json=["${at}:1"]`]);
  assert.equal(flat.stdout.trimEnd(), raw);
});

test('duplicates and names that are nowhere are one clear line, and no name is written', { skip }, async () => {
  const at = `${scene.registry.host}/refused/app:1`;
  const twice = await create(['--tag', at, `${scene.registry.host}/parts/amd`, `${scene.registry.host}/parts/arm`]);
  assert.match(twice.stderr, /error: Cannot make the index: .*parts\/amd.* and .*parts\/arm.* are both for linux\/amd64\n {2}try: /);
  const nowhere = await create(['--tag', at, `${scene.registry.host}/parts/none:1`]);
  assert.match(nowhere.stderr, /^error: Cannot pull .*parts\/none:1: there is no such image/);
  await assert.rejects(inspect(`docker://${at}`));
});

test('--wait takes what comes, in a registry and in a folder, and not the tag of an earlier build', { skip }, async () => {
  const [at, late, layout] = [`${scene.registry.host}/met/app:1`, `${scene.registry.host}/late/arm`, join(scene.folder, 'late-layout')];
  const stale = await create(['--tag', at, `${scene.registry.host}/parts/amd`, '--match-annotation=build-id=42', '--wait=1s']);
  assert.match(stale.stderr, /after 1s still waiting for Cannot use .*parts\/amd.*: it has no annotation build-id, not "42"/);
  const sources = [`${scene.registry.host}/parts/amd`, late, `oci:${layout}:x`];
  const { status, stderr } = await create(
    ['--tag', at, '--wait=60s', ...sources, `--platform=${late}=arm64,oci:${layout}:x=s390x`],
    '',
    () => {
      void pushImage(scene.registry.host, 'late/arm', { layers: [tar([{ path: 'late', content: 'late' }])] });
      void writeOciLayout(join(scene.folder, 'late-layout'), 'x', { layers: [] });
    },
  );
  assert.equal(status, 0, stderr);
  assert.match(stderr, /waiting up to 60s for 2 of 3 images: Cannot pull .*late\/arm:latest: there is no such image/);
  assert.match(stderr, /found .*late\/arm:latest/);
  await copyAll(`docker://${at}`, 'met');
});

test('one image without --always-build-index gets the name itself', { skip }, async () => {
  const at = `${scene.registry.host}/single/app:1`;
  const { stdout, status } = await create(['--always-build-index=false', '-q', '-t', at, `${scene.registry.host}/parts/amd`]);
  assert.equal(status, 0);
  const raw = await inspect(`docker://${at}`);
  assert.equal(raw, await inspect(`docker://${scene.registry.host}/parts/amd`));
  assert.equal(stdout, `${at}@${digestOf(raw)}\n`);
  await writeFile(join(scene.folder, 'list.json'), JSON.stringify([at]));
  const made = await create(['-t', at, `--from-json=${join(scene.folder, 'list.json')}`]);
  assert.equal(made.status, 0, made.stderr);
  assert.match(await inspect(`docker://${at}`), /"manifests"/);
});
