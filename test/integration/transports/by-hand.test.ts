// layer, config, manifest and assemble, run as a person runs them; what they make is read by skopeo and umoci.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, lstatSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { digestOf } from '../../../src/oci/digest.ts';
import { type CommandResult, must, run } from '../../support/command.ts';
import { tar } from '../../support/tar.ts';
import { describe, temporaryFolder, tree } from '../../support/tree.ts';

const program = join(import.meta.dirname, '../../../bin/yadokari');
const needed = ['/usr/bin/skopeo', '/usr/bin/umoci'].find((tool) => !existsSync(tool));
const skip = needed === undefined ? false : `${needed} is not installed`;
const exec = promisify(execFile);

interface Bench {
  readonly at: string;
  readonly yadokari: (...words: readonly string[]) => Promise<CommandResult>;
  /** The digest that `--quiet` prints. */
  readonly digest: (...words: readonly string[]) => Promise<string>;
}

function bench(context: TestContext): Bench {
  const at = temporaryFolder(context);
  const yadokari = async (...words: readonly string[]): Promise<CommandResult> => await run([program, ...words], { cwd: at });
  const digest = async (...words: readonly string[]): Promise<string> => (await must([program, ...words, '--quiet'], { cwd: at })).trim();
  return { at, yadokari, digest };
}

test('pieces in a layout become an image that umoci unpacks as the folders were', { skip }, async (context) => {
  const { at, digest } = bench(context);
  tree(at, {
    one: { dir: { 'etc/a': 'x', 'etc/b': { hardlink: 'one/etc/a' }, 'etc/c': { link: 'a' }, 'usr/gone': 'y' } },
    two: { dir: { 'etc/d': { file: 'z', mode: 0o4755 } } },
  });
  const lower = await digest('layer', '--mtime', '0', 'one', 'oci:p');
  const upper = await digest('layer', '--mtime', '0', '--whiteout', '/usr/gone', '--compress-format', 'none', 'two', 'oci:p');
  const config = await digest('config', '--layer', lower, '--layer', upper, '--cmd', 'a b', 'oci:p');
  const manifest = await digest('manifest', '--config', config, '--layer', lower, '--layer', upper, '-a', 'org.example=1', 'oci:p');
  assert.ok(!existsSync(join(at, 'p/index.json')), 'no piece has a name yet');
  assert.equal(await digest('assemble', manifest, 'oci:p:v1'), manifest);
  await exec('umoci', ['raw', 'unpack', '--rootless', '--image', 'p:v1', 'out'], { cwd: at });
  assert.deepEqual(
    describe(join(at, 'out'), false).map((line) => line.replace(/ [0-9]+:[0-9]+ /, ' ')),
    describe(joined(at), false).map((line) => line.replace(/ [0-9]+:[0-9]+ /, ' ')),
  );
  const { stdout } = await exec('skopeo', ['inspect', '--raw', `oci:${at}/p:v1`]);
  assert.equal(digestOf(stdout), manifest);
  assert.match(stdout, /"annotations":\{"org\.example":"1"\}/);
});

/** What the two folders are one above the other. */
function joined(at: string): string {
  tree(at, {
    both: {
      dir: {
        'etc/a': 'x',
        'etc/b': { hardlink: 'both/etc/a' },
        'etc/c': { link: 'a' },
        'etc/d': { file: 'z', mode: 0o4755 },
        usr: { dir: {} },
      },
    },
  });
  return join(at, 'both');
}

test('dir: keeps pieces too, and after assemble holds the image alone', { skip }, async (context) => {
  const { at, digest } = bench(context);
  tree(at, { one: { dir: { a: 'x' } } });
  const unused = await digest('layer', '--mtime', '1', 'one', 'dir:p');
  const layer = await digest('layer', '--mtime', '0', 'one', 'dir:p');
  const config = await digest('config', '--layer', layer, 'dir:p');
  const manifest = await digest('manifest', '--config', config, '--layer', layer, 'dir:p');
  assert.ok(existsSync(join(at, 'p', unused.slice(7))));
  assert.equal(await digest('assemble', manifest, 'dir:p'), manifest);
  assert.deepEqual(readdirSync(join(at, 'p')).toSorted(), [config.slice(7), layer.slice(7), 'manifest.json', 'version'].toSorted());
  await exec('skopeo', ['--insecure-policy', 'copy', '--preserve-digests', `dir:${at}/p`, `dir:${at}/again`]);
});

test("files are pieces as well: to any place, in Docker's format, with a base below", { skip }, async (context) => {
  const { at, yadokari, digest } = bench(context);
  tree(at, { one: { dir: { a: 'x' } }, two: { dir: { b: 'y' } } });
  await digest('layer', 'one', '-o', 'one.tgz');
  await digest('config', '--layer', 'one.tgz', '--env', 'A=1', '--user', '7', '--created', '0', '-o', 'config.json');
  const manifest = await digest('manifest', '--format', 'v2s2', '--config', 'config.json', '--layer', 'one.tgz', '-o', 'manifest.json');
  assert.equal(await digest('assemble', 'manifest.json', 'one.tgz', 'config.json', 'dir:base'), manifest);
  await digest('assemble', 'manifest.json', 'one.tgz', 'config.json', 'docker-archive:base.tar:example.test/base:1');
  assert.match((await exec('skopeo', ['inspect', '--config', `docker-archive:${at}/base.tar`])).stdout, /"User": "7"/);
  // What lies on top takes the base from its place.
  const top = await digest('layer', 'two', 'oci:p');
  const config = await digest('config', '--from', 'dir:base', '--layer', top, '--env', 'B=2', '--user=', '--created-by', 'me', 'oci:p');
  await digest('assemble', await digest('manifest', '--from', 'dir:base', '--config', config, '--layer', top, 'oci:p'), 'oci:p:v1');
  const { stdout } = await exec('skopeo', ['inspect', '--config', `oci:${at}/p:v1`]);
  const read = JSON.parse(stdout) as { config: unknown; rootfs: { diff_ids: unknown[] }; history: unknown };
  assert.deepEqual(read.config, { Env: ['A=1', 'B=2'] });
  assert.equal(read.rootfs.diff_ids.length, 2);
  assert.deepEqual(read.history, [{ created: '1970-01-01T00:00:00Z', created_by: 'yadokari layer' }, { created_by: 'me' }]);
  const lost = await yadokari('assemble', 'manifest.json', 'config.json', 'dir:lost');
  assert.match(lost.stderr, /^error: Cannot assemble the image: it lacks 1 of 2 pieces: sha256:[0-9a-f]{64}\n/);
  assert.deepEqual([lost.status, existsSync(join(at, 'lost'))], [1, false]);
});

test('a piece goes to standard output alone, and what is told of it is JSON where that is wanted', { skip }, async (context) => {
  const { at, yadokari } = bench(context);
  writeFileSync(join(at, 'a.tar'), tar([{ path: 'a', content: 'x', uid: 5, gid: 6 }]));
  const { stdout } = await exec(program, ['layer', '-o', '-', 'a.tar'], { cwd: at, encoding: 'buffer' });
  const told = JSON.parse((await yadokari('layer', '--json', 'a.tar')).stdout) as Record<string, unknown>;
  assert.deepEqual(told, {
    digest: digestOf(stdout),
    diffId: digestOf(gunzipSync(stdout)),
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
    size: stdout.length,
    plainSize: gunzipSync(stdout).length,
    entries: 1,
    owners: ['5:6'],
  });
  // A device is written to, and is still one.
  assert.equal((await yadokari('layer', '-o', '/dev/null', 'a.tar')).status, 0);
  assert.ok(lstatSync('/dev/null').isCharacterDevice());
});

test('mistakes are one line, and leave nothing behind', { skip }, async (context) => {
  const { at, yadokari, digest } = bench(context);
  tree(at, {
    one: { dir: { a: 'x' } },
    'deep.json': '['.repeat(200_000) + ']'.repeat(200_000),
    'big.json': ' '.repeat(9_000_000),
    other: { dir: { file: 'mine' } },
  });
  await digest('layer', 'one', '-o', 'one.tgz');
  await digest('config', '--layer', 'one.tgz', '-o', 'config.json');
  await digest('layer', '--compress-format', 'zstd', 'one', '-o', 'one.zst');
  const mistakes: readonly (readonly [line: string, message: RegExp])[] = [
    ['layer gone', /Cannot make a layer of gone: there is no such file or folder/],
    ['layer one docker://x/y', /Cannot put a piece into docker:.*: only whole images go there/],
    ['layer one oci:p:v1', /Cannot use oci:p:v1 for pieces: they have no names/],
    ['copy tarball:one.tgz dir:p', /Cannot use tarball:one\.tgz: tarball: is not a place for images here/],
    ['layer one dir:other', /Cannot write an image to other: it holds other files/],
    ['layer --owner root one', /Cannot use --owner root: expected numbers/],
    ['layer --mtime soon one', /Cannot use --mtime soon: it is no time/],
    ['layer --as-is --mtime 0 one.tgz', /Cannot use --as-is with --mtime/],
    ['layer --compress-level 12 one', /gzip has levels 0 to 9/],
    ['layer --whiteout .. one', /it names nothing below the root/],
    ['layer config.json', /Cannot make a layer of config\.json: it ends too early/],
    ['config --from deep.json', /Cannot use deep\.json as a config: it is nested too deep/],
    ['config --from big.json', /Cannot use big\.json: it has more than 8388608 bytes/],
    ['config --layer config.json', /Cannot use config\.json as a layer: it ends too early/],
    ['config --annotation a=b', /a manifest has annotations/],
    ['manifest oci:p', /there is no --config/],
    ['manifest --config config.json oci:p', /of config\.json's layers, which are 1, 0 are named/],
    ['manifest --config one.tgz oci:p', /Cannot use one\.tgz as a config: /],
    ['manifest --config config.json --layer one.zst --format v2s2 oci:p', /Docker's format with zstd: it has no word for that/],
    ['assemble config.json dir:p', /Cannot use config\.json as a manifest: schemaVersion is not 2/],
  ];
  for (const [line, message] of mistakes) {
    const { status, stdout, stderr } = await yadokari(...line.split(' '));
    // `config` is a command of buildah's too, and fails as that does.
    assert.deepEqual([status, stdout], [line.startsWith('config') ? 125 : 1, ''], line);
    assert.match(stderr.split('\n')[0] ?? '', message, line);
  }
  assert.ok(!existsSync(join(at, 'p')));
  assert.deepEqual(readFileSync(join(at, 'other/file'), 'utf8'), 'mine');
});
