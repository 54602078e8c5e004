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

test('the image keeps to its folder, the link to it and the links that pods mount through', () => {
  assert.deepEqual(readdirSync(rootfs).sort(), ['kaniko', 'lib', 'lib64', 'run', 'var', 'yadokari']);
  assert.equal(readlinkSync(join(rootfs, 'var/run')), '/run');
  assert.equal(readlinkSync(join(rootfs, 'lib')), 'usr/lib');
  assert.equal(statSync(join(rootfs, 'kaniko')).mode & 0o7777, 0o1777);
  assert.equal(readlinkSync(join(rootfs, 'yadokari')), 'kaniko');
});

test('the image has the certificates that Node was made with', () => {
  const bundle = readFileSync(join(rootfs, 'kaniko/ssl/certs/ca-certificates.crt'), 'latin1');
  assert.ok(bundle.split('BEGIN CERTIFICATE').length > 100);
});

test("the image's Node starts where nothing else is, with its native library", needsRoot, () => {
  writeFileSync(
    join(rootfs, 'kaniko/app/probe.js'),
    "console.log(process.version, process.execPath, require('./koffi.node').load(null).func('int getpid()')() === process.pid);",
  );
  assert.equal(inRoot('/kaniko/node', '/kaniko/app/probe.js').trim(), `${process.version} /kaniko/node true`);
});

test('V8 takes the code that was compiled for the image, whatever the size of the heap, and nothing is written', needsRoot, () => {
  writeFileSync(
    join(rootfs, 'kaniko/app/compiled.js'),
    `const vm = require('node:vm');
     const { Script } = vm;
     vm.Script = class extends Script {
       constructor(...args) {
         super(...args);
         console.log(this.cachedDataRejected);
       }
     };
     process.argv[2] = '--version';
     require('./main.js');`,
  );
  const before = readdirSync(join(rootfs, 'kaniko/app'));
  for (const options of [[], ['--max-old-space-size=96'], ['--disable-sigusr1', '--max-semi-space-size=4', '--max-old-space-size=1024']])
    assert.match(inRoot('/kaniko/node', ...options, '/kaniko/app/compiled.js'), /^false\nyadokari /);
  assert.deepEqual(readdirSync(join(rootfs, 'kaniko/app')), before);
});

test('the builder is there after the work of a few bare Nodes', needsRoot, () => {
  mkdirSync(join(rootfs, 'proc'));
  const world = 'mount -t proc proc "$0/proc" && for i in 1 2 3 4 5; do chroot "$0" "$@" > /dev/null || exit 1; done; times';
  // Of the processor, so that others on the machine count little, and the least of several for the same reason: of the ratios,
  // since one lucky round of Node's alone would say nothing.
  const cost = (...argv: string[]): number => {
    const text = execFileSync('unshare', ['--mount', 'sh', '-c', world, rootfs, ...argv], {
      encoding: 'utf8',
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    });
    const children = (text.split('\n')[1] ?? '').matchAll(/(\d+)m([\d.]+)s/g);
    return [...children].reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds), 0);
  };
  const rounds = Array.from({ length: 4 }, () => cost('/kaniko/executor', '--version') / cost('/kaniko/node', '-e', '0'));
  // A Node, and what the builder itself takes: three in all. Sources as they are would make eleven.
  assert.ok(Math.min(...rounds) < 5, `${rounds.map((ratio) => ratio.toFixed(1)).join(', ')} times what Node takes`);
});

test('stack traces name the sources, with the lines of the repository', needsRoot, () => {
  const { stderr } = spawnSync('chroot', [rootfs, '/kaniko/node', '/kaniko/app/main.js', '--invocation-fd=1'], { encoding: 'utf8' });
  const [, path = '', line = ''] = /^ +at receiveInvocation \((.*):(\d+)\)$/m.exec(stderr) ?? [];
  assert.equal(path, 'src/linux/invocation.ts', stderr);
  const source = readFileSync(join(import.meta.dirname, '../../..', path), 'utf8').split('\n');
  assert.match(source[Number(line) - 1] ?? '', /throw new BuilderError\('ERR_USAGE'/);
});

test('a base image cannot lend the builder a library by ld.so.preload, ld.so.cache, nsswitch.conf or openssl.cnf', needsRoot, () => {
  const libc = sharedObjects().find((path) => path.endsWith('/libc.so.6')) ?? '';
  const libraries = join(rootfs, 'usr/lib/x86_64-linux-gnu');
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
    `const { lookup } = require('node:dns');
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
  assert.equal(digests(first).length, 3);
  assert.deepEqual(digests(first), digests(second));
  const inspected = execFileSync('skopeo', ['inspect', '--format', '{{.Digest}}', `oci:${join(folder, 'first')}:debug`], {
    encoding: 'utf8',
  });
  assert.equal(inspected.trim(), digests(first)[2]);
  const config = execFileSync('skopeo', ['inspect', '--config', `oci:${join(folder, 'first')}:latest`], { encoding: 'utf8' });
  assert.match(config, /"Entrypoint":\s*\[\s*"\/kaniko\/executor"\s*\]/);
});
