// `yadokari index create` as a person runs it, with a real registry; skopeo judges what came of it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { digestOf } from '../../../src/oci/digest.ts';
import { must } from '../../support/command.ts';
import { type RunningRegistry, missingDockerRegistry, startDockerRegistry } from '../../support/docker-registry.ts';
import { pushImage, writeOciLayout } from '../../support/image-writer.ts';
import { tar } from '../../support/tar.ts';

const program = join(import.meta.dirname, '../../../bin/yadokari');
const skip = missingDockerRegistry() ?? (existsSync('/usr/bin/skopeo') ? false : 'skopeo is not installed');

let folder = '';
let registry: RunningRegistry;
before(async () => {
  if (skip !== false) return;
  folder = await mkdtemp(join(tmpdir(), 'yadokari-index-'));
  registry = await startDockerRegistry();
  for (const name of ['amd', 'arm']) await pushImage(registry.host, `parts/${name}`, { layers: [tar([{ path: name, content: name }])] });
});
after(async () => {
  if (skip !== false) return;
  await registry.stop();
  await rm(folder, { recursive: true, force: true });
});

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function create(args: readonly string[], input = '', onWaiting?: () => void): Promise<Ended> {
  const child = spawn(program, ['index', 'create', '--insecure', '--insecure-pull', ...args], { env: { ...process.env, HOME: folder } });
  child.stdin.end(input);
  if (onWaiting !== undefined) child.stderr.once('data', onWaiting);
  const closed = new Promise<number | null>((end) => child.once('close', end));
  const [stdout, stderr, status] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  return { status, stdout, stderr };
}

const inspect = async (place: string): Promise<string> => await must(['skopeo', 'inspect', '--raw', '--tls-verify=false', place]);
/** All images of an index, whole: skopeo verifies each blob. */
const copyAll = async (place: string, name: string): Promise<void> =>
  void (await must(['skopeo', 'copy', '--all', '--quiet', '--src-tls-verify=false', place, `dir:${join(folder, name)}`]));

test('images of two repositories become an index in a third, under several names, with all their blobs', { skip }, async () => {
  const at = `${registry.host}/made/app`;
  const [digest, refs, images] = ['digest', 'refs', 'images'].map((name) => join(folder, name));
  const { status, stderr } = await create([
    `--tag=${at}:1`,
    `--tag=${at}:latest`,
    `--tag=${registry.host}/also/app:1`,
    '--annotation=a=b',
    `--from=${registry.host}/parts/amd,${registry.host}/parts/arm:latest`,
    `--platform=${registry.host}/parts/arm:latest=linux/arm64`,
    `--digest-file=${digest}`,
    `--image-name-tag-with-digest-file=${refs}`,
    `--images-file=${images}`,
  ]);
  assert.equal(status, 0, stderr);
  const raw = await inspect(`docker://${at}:1`);
  assert.deepEqual([await inspect(`docker://${at}:latest`), await inspect(`docker://${registry.host}/also/app:1`)], [raw, raw]);
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
  const again = await create(['--tag', `oci:${folder}/layout:1`, '--annotation=a=b', '--from-json=-'], list);
  assert.equal(again.status, 0, again.stderr);
  assert.equal(await inspect(`oci:${folder}/layout:1`), raw);
  const flat = await create(['--dry-run', '--annotation=a=b', `--from-json=["${at}:1"]`]);
  assert.equal(flat.stdout.trimEnd(), raw);
});

test('duplicates and names that are nowhere are one clear line, and no name is written', { skip }, async () => {
  const at = `${registry.host}/refused/app:1`;
  const twice = await create(['--tag', at, `${registry.host}/parts/amd`, `${registry.host}/parts/arm`]);
  assert.match(twice.stderr, /error: Cannot make the index: .*parts\/amd.* and .*parts\/arm.* are both for linux\/amd64\n {2}try: /);
  const nowhere = await create(['--tag', at, `${registry.host}/parts/none:1`]);
  assert.match(nowhere.stderr, /^error: Cannot pull .*parts\/none:1: there is no such image/);
  await assert.rejects(inspect(`docker://${at}`));
});

test('--wait takes what comes, in a registry and in a folder, and not the tag of an earlier build', { skip }, async () => {
  const [at, late, layout] = [`${registry.host}/met/app:1`, `${registry.host}/late/arm`, join(folder, 'late-layout')];
  const stale = await create(['--tag', at, `${registry.host}/parts/amd`, '--match-annotation=build-id=42', '--wait=1s']);
  assert.match(stale.stderr, /after 1s still waiting for Cannot use .*parts\/amd.*: it has no annotation build-id, not "42"/);
  const sources = [`${registry.host}/parts/amd`, late, `oci:${layout}:x`];
  const { status, stderr } = await create(
    ['--tag', at, '--wait=60s', ...sources, `--platform=${late}=arm64,oci:${layout}:x=s390x`],
    '',
    () => {
      void pushImage(registry.host, 'late/arm', { layers: [tar([{ path: 'late', content: 'late' }])] });
      void writeOciLayout(join(folder, 'late-layout'), 'x', { layers: [] });
    },
  );
  assert.equal(status, 0, stderr);
  assert.match(stderr, /waiting up to 60s for 2 of 3 images: Cannot pull .*late\/arm:latest: there is no such image/);
  assert.match(stderr, /found .*late\/arm:latest/);
  await copyAll(`docker://${at}`, 'met');
});

test('one image without --always-build-index gets the name itself', { skip }, async () => {
  const at = `${registry.host}/single/app:1`;
  const { stdout, status } = await create(['--always-build-index=false', '-q', '-t', at, `${registry.host}/parts/amd`]);
  assert.equal(status, 0);
  const raw = await inspect(`docker://${at}`);
  assert.equal(raw, await inspect(`docker://${registry.host}/parts/amd`));
  assert.equal(stdout, `${at}@${digestOf(raw)}\n`);
  await writeFile(join(folder, 'list.json'), JSON.stringify([at]));
  const made = await create(['-t', at, `--from-json=${join(folder, 'list.json')}`]);
  assert.equal(made.status, 0, made.stderr);
  assert.match(await inspect(`docker://${at}`), /"manifests"/);
});
