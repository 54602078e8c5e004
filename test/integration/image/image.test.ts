// The builder image as files and as a layout. Starting its Node alone needs root, for chroot(2).
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sharedObjects } from '../../../scripts/image-files.ts';

const script = join(import.meta.dirname, '../../../scripts/image.ts');
const folder = mkdtempSync(join(tmpdir(), 'yadokari-image-'));
const rootfs = join(folder, 'rootfs');
const isRoot = process.getuid?.() === 0;
const needsRoot = isRoot ? {} : { skip: 'chroot needs root' };
const needsBusybox = existsSync('/bin/busybox') ? {} : { skip: 'there is no /bin/busybox (Debian: busybox-static)' };
const needsSkopeo = spawnSync('skopeo', ['--version']).status === 0 ? {} : { skip: 'there is no skopeo' };

function runScript(...args: string[]): string {
  return execFileSync(process.execPath, ['--disable-warning=ExperimentalWarning', script, ...args], { encoding: 'utf8' });
}

/** Runs a program of the image with the image's files as its whole world. */
function inRoot(...argv: string[]): string {
  return execFileSync('chroot', [rootfs, ...argv], { encoding: 'utf8', env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } });
}

before(() => runScript('--rootfs', rootfs));
after(() => rmSync(folder, { recursive: true, force: true }));

test('the image keeps to its folder, the link to it and the link that pods mount their token through', () => {
  assert.deepEqual(readdirSync(rootfs).sort(), ['kaniko', 'run', 'var', 'yadokari']);
  assert.equal(readlinkSync(join(rootfs, 'var/run')), '/run');
  assert.equal(statSync(join(rootfs, 'kaniko')).mode & 0o7777, 0o1777);
  assert.equal(readlinkSync(join(rootfs, 'yadokari')), 'kaniko');
});

test('the image has the certificates that Node was made with', () => {
  const bundle = readFileSync(join(rootfs, 'kaniko/ssl/certs/ca-certificates.crt'), 'latin1');
  assert.ok(bundle.split('BEGIN CERTIFICATE').length > 100);
});

test("the image's Node starts where nothing else is, with all packages", needsRoot, () => {
  writeFileSync(
    join(rootfs, 'kaniko/app/probe.js'),
    `import 'undici'; import 'pino'; import 'minimatch'; import 'tar-stream'; import 'dockerfile-ast'; import { load } from 'koffi';
     console.log(process.version, process.execPath, load(null).func('int getpid()')() === process.pid);`,
  );
  assert.equal(inRoot('/kaniko/node', '/kaniko/app/probe.js').trim(), `${process.version} /kaniko/node true`);
});

test('a base image cannot lend the builder a library by ld.so.preload, ld.so.cache, nsswitch.conf or openssl.cnf', needsRoot, () => {
  const libc = sharedObjects().find((path) => path.endsWith('/libc.so.6')) ?? '';
  const libraries = join(rootfs, 'lib/x86_64-linux-gnu');
  mkdirSync(libraries, { recursive: true });
  mkdirSync(join(rootfs, 'etc/ssl'), { recursive: true });
  for (const name of ['libnss_evil.so.2', 'libatomic.so.1', 'libstdc++.so.6']) writeFileSync(join(libraries, name), 'not a library');
  copyFileSync(libc, join(libraries, 'evil.so'));
  writeFileSync(join(rootfs, 'etc/ld.so.preload'), '/lib/x86_64-linux-gnu/evil.so\n');
  writeFileSync(join(rootfs, 'etc/ld.so.cache'), 'not a cache');
  writeFileSync(join(rootfs, 'etc/nsswitch.conf'), 'hosts: evil\n');
  writeFileSync(join(rootfs, 'etc/hosts'), '192.0.2.7 found.example\n');
  // A configuration that stops Node where it is read.
  writeFileSync(
    join(rootfs, 'etc/ssl/openssl.cnf'),
    'nodejs_conf = n\n[n]\nproviders = p\n[p]\nevil = e\n[e]\nmodule = /evil.so\nactivate = 1\n',
  );
  writeFileSync(
    join(rootfs, 'kaniko/app/lookup.js'),
    `import { lookup } from 'node:dns';
     lookup('found.example', { family: 4 }, (error, address) => console.log(error?.code ?? address, JSON.stringify(process.report.getReport().sharedObjects)));`,
  );
  const [found = '', loaded = ''] = inRoot('/kaniko/node', '/kaniko/app/lookup.js').trim().split(' ');
  assert.equal(found, '192.0.2.7', 'the look-up used our nss.conf: files, then dns');
  const objects: unknown = JSON.parse(loaded);
  assert.ok(Array.isArray(objects) && objects.length > 5);
  assert.deepEqual(
    objects.filter((path) => typeof path !== 'string' || !/^(?:\/kaniko\/|linux-vdso)/.test(path)),
    [],
  );
});

test('the same files give the same image, and other tools take it', { ...needsBusybox, ...needsSkopeo }, () => {
  const first = runScript('--debug', '--output', join(folder, 'first'));
  const second = runScript('--debug', '--output', join(folder, 'second'));
  const digests = (text: string): readonly string[] => text.match(/sha256:[0-9a-f]{64}/g) ?? [];
  assert.equal(digests(first).length, 2);
  assert.deepEqual(digests(first), digests(second));
  const inspected = execFileSync('skopeo', ['inspect', '--format', '{{.Digest}}', `oci:${join(folder, 'first')}:debug`], {
    encoding: 'utf8',
  });
  assert.equal(inspected.trim(), digests(first)[1]);
  const config = execFileSync('skopeo', ['inspect', '--config', `oci:${join(folder, 'first')}:latest`], { encoding: 'utf8' });
  assert.match(config, /"Entrypoint":\s*\[\s*"\/kaniko\/executor"\s*\]/);
});
