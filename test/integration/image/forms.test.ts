// --image-format, --compression, --metadata-file and --iidfile as the command line has them, read back from the layout.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { asList, asObject, asText, type ParsedObject } from '../../support/parsed.ts';

const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));
let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'yadokari-forms-'));
  writeFileSync(join(folder, 'Dockerfile'), 'FROM scratch\nCOPY Dockerfile /\n');
});
after(() => rmSync(folder, { recursive: true, force: true }));

function build(...flags: readonly string[]): { readonly status: number | null; readonly stderr: string } {
  const argv = ['--no-warnings', main, 'build', folder, '--no-push', '--verbosity=error', ...flags];
  return spawnSync(process.execPath, argv, { encoding: 'utf8', cwd: folder });
}
const parsed = (path: string): ParsedObject => asObject(JSON.parse(readFileSync(path, 'utf8')));

const docker = 'application/vnd.docker.';
const oci = 'application/vnd.oci.image.';
const forms: readonly (readonly [flags: readonly string[], manifest: string, config: string, layer: string, magic: string])[] = [
  [
    ['--image-format=docker'],
    `${docker}distribution.manifest.v2+json`,
    `${docker}container.image.v1+json`,
    `${docker}image.rootfs.diff.tar.gzip`,
    '1f8b',
  ],
  [['--image-format=oci'], `${oci}manifest.v1+json`, `${oci}config.v1+json`, `${oci}layer.v1.tar+gzip`, '1f8b'],
  [['--compression=zstd'], `${oci}manifest.v1+json`, `${oci}config.v1+json`, `${oci}layer.v1.tar+zstd`, '28b5'],
];
for (const [flags, manifestType, configType, layerType, magic] of forms)
  test(`${flags.join(' ')} gives an image of ${manifestType} with ${layerType}, which the files about it name`, () => {
    const layout = mkdtempSync(join(folder, 'layout-'));
    const { status, stderr } = build(...flags, `--oci-layout-path=${layout}`, `--metadata-file=${layout}.json`, `--iidfile=${layout}.id`);
    assert.equal(status, 0, stderr);
    const blob = (digest: unknown): string => join(layout, 'blobs/sha256', asText(digest).slice(7));
    const root = asObject(asList(parsed(join(layout, 'index.json'))['manifests'])[0]);
    const manifest = parsed(blob(root['digest']));
    const [config, layer] = [asObject(manifest['config']), asObject(asList(manifest['layers'])[0])];
    assert.deepEqual(
      [root['mediaType'], manifest['mediaType'], config['mediaType'], layer['mediaType']],
      [manifestType, manifestType, configType, layerType],
    );
    assert.equal(readFileSync(blob(layer['digest'])).toString('hex', 0, 2), magic);
    assert.equal(readFileSync(`${layout}.id`, 'utf8').trim(), config['digest']);
    const metadata = parsed(`${layout}.json`);
    assert.equal(metadata['containerimage.digest'], root['digest']);
    assert.equal(metadata['containerimage.config.digest'], config['digest']);
    assert.deepEqual(metadata['containerimage.descriptor'], { mediaType: manifestType, digest: root['digest'], size: root['size'] });
  });

test('--compression=estargz is refused by its name, and nothing is written', () => {
  const { status, stderr } = build('--compression=estargz', `--digest-file=${join(folder, 'digest')}`);
  assert.equal(status, 1);
  assert.match(stderr, /^error: Cannot honour --compression=estargz: it is not written here$/m);
  assert.throws(() => readFileSync(join(folder, 'digest')), { code: 'ENOENT' });
});
