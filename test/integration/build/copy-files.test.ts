// COPY of what is more than content: links, times, attributes, kinds, heredocs, and places that are not the image's.
import assert from 'node:assert/strict';
import { lstatSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { CopyFixture } from '../../support/copy-fixture.ts';

const skip = process.getuid?.() === 0 ? false : 'needs root to give files away';

test('COPY keeps hard links among the files of one source, and makes none between sources', { skip }, async () => {
  using fixture = new CopyFixture();
  fixture.sh('context', 'mkdir d; echo a > d/a; ln d/a d/b; ln d/a c');
  await fixture.copy('d c /x/');
  const inode = (name: string): number => lstatSync(join(fixture.root, 'x', name)).ino;
  assert.equal(inode('a'), inode('b'));
  assert.notEqual(inode('a'), inode('c'));
});

test('COPY does not write through a hard link of the image', { skip }, async () => {
  using fixture = new CopyFixture();
  fixture.sh('context', 'echo new > f');
  fixture.sh('root', 'echo old > f; ln f other');
  await fixture.copy('f /f');
  assert.deepEqual(fixture.lines(), ["f 0644 0:0 'new'", "other 0644 0:0 'old'"]);
});

test('COPY keeps times to the nanosecond, those of merged directories too', { skip }, async () => {
  using fixture = new CopyFixture();
  fixture.sh(
    'context',
    "mkdir -p d/n; touch d/n/f; touch -d '2003-03-03 03:03:03.123456789' d/n/f; touch -d '1960-01-01 00:00:00.5' d/n; touch -d '2001-01-01' d",
  );
  fixture.sh('root', 'mkdir -p x/n');
  await fixture.copy('d /x');
  const time = (path: string): bigint => lstatSync(join(fixture.root, path), { bigint: true }).mtimeNs;
  assert.equal(time('x/n/f'), 1_046_660_583_123_456_789n);
  assert.equal(time('x/n'), -315_619_199_500_000_000n);
  assert.equal(time('x'), 978_307_200_000_000_000n);
});

test('COPY gives everything it makes the time of SOURCE_DATE_EPOCH', { skip }, async () => {
  using fixture = new CopyFixture();
  fixture.sh('context', 'mkdir -p d/n; touch d/n/f');
  await fixture.copy('d /new/x/', { sourceDateEpoch: 1_000_000 });
  for (const path of ['new', 'new/x', 'new/x/n', 'new/x/n/f'])
    assert.equal(lstatSync(join(fixture.root, path)).mtimeMs, 1_000_000_000, path);
});

test('COPY tells all that it made, changed, or whose directory it changed', { skip }, async () => {
  using fixture = new CopyFixture();
  fixture.sh('context', 'mkdir -p d/n; touch d/n/f d/g');
  fixture.sh('root', 'mkdir -p there/x');
  await fixture.copy('d /there/x/y');
  assert.deepEqual(fixture.touched, ['there/x', 'there/x/y', 'there/x/y/g', 'there/x/y/n', 'there/x/y/n/f']);
});

test('COPY copies extended attributes and file capabilities', { skip }, async (t) => {
  using fixture = new CopyFixture();
  fixture.sh('context', 'touch f');
  const { setXattr, getXattr } = await import('../../../src/linux/xattr.ts');
  const { bytesFromText } = await import('../../../src/bytes.ts');
  const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex');
  try {
    setXattr(bytesFromText(join(fixture.context, 'f')), 'security.capability', capability);
  } catch {
    return t.skip('this filesystem takes no file capabilities');
  }
  setXattr(bytesFromText(join(fixture.context, 'f')), 'trusted.note', Buffer.from('x'));
  await fixture.copy('--chown=5 f /f');
  assert.deepEqual(getXattr(bytesFromText(join(fixture.root, 'f')), 'security.capability'), capability);
  assert.deepEqual(getXattr(bytesFromText(join(fixture.root, 'f')), 'trusted.note'), Buffer.from('x'));
});

test('COPY makes FIFOs and devices anew and leaves sockets out with a warning', { skip }, async () => {
  using fixture = new CopyFixture();
  fixture.sh('context', 'mkdir d; mkfifo -m 600 d/p; mknod d/n c 1 3');
  const { createServer } = await import('node:net');
  const server = createServer().listen(join(fixture.context, 'd/s'));
  await new Promise((resolve) => server.once('listening', resolve));
  await fixture.copy('d /x');
  server.close();
  assert.deepEqual(fixture.lines('x'), ['x/n 0644 0:0 special', 'x/p 0600 0:0 special']);
  assert.equal(lstatSync(join(fixture.root, 'x/n')).rdev, 0x103);
  const warned = fixture.events.find((event) => event.kind === 'warning' && event.code === 'copy-socket');
  assert.match(warned?.kind === 'warning' ? warned.message : '', /^'[^'/][^']*' in .+ is a socket/);
});

test('COPY writes heredocs as files, expanded unless quoted', { skip }, async () => {
  using fixture = new CopyFixture();
  const heredocs = [
    { name: 'one', body: 'is $X\n', expand: true, chomp: false },
    { name: 'two', body: 'is $X\n', expand: false, chomp: false },
  ];
  const effect = await fixture.copy('--chmod=0751 /many/', { heredocs, variables: { X: 'y' } });
  assert.deepEqual(fixture.lines('many'), ["many/one 0751 0:0 'is y'", "many/two 0751 0:0 'is $X'"]);
  assert.equal(effect.history?.createdBy, 'COPY --chmod=0751 <<one <<two /many/ # buildkit');
});

test('COPY to where the builder or a mount stands goes into the image, and RUN goes on seeing what stands there', { skip }, async () => {
  using fixture = new CopyFixture();
  fixture.sh('context', 'mkdir -p d/kaniko; echo new > d/kaniko/tini; echo new > tini');
  fixture.sh('root', 'mkdir kaniko; echo good > kaniko/tini; ln -s /kaniko w');
  for (const [copy, layer] of [
    ['tini /kaniko/', ['kaniko', 'kaniko/tini']],
    ['tini /w/tini', ['kaniko', 'kaniko/tini']],
    ['tini /kaniko/new/', ['kaniko', 'kaniko/new', 'kaniko/new/tini']],
    ['d /', ['kaniko', 'kaniko/tini']],
    ['--link tini /kaniko', ['kaniko']],
  ] as const) {
    await fixture.copy(copy, { protect: ['kaniko'] });
    assert.deepEqual(fixture.layer, layer, copy);
  }
  assert.deepEqual(fixture.lines('kaniko'), ["kaniko/tini 0644 0:0 'good'"]);
});

test('COPY of a whole root gives the image also what is mounted over here', { skip }, async () => {
  using fixture = new CopyFixture();
  fixture.sh('stage', 'mkdir -p etc proc dev usr; echo s > etc/hosts; touch dev/null usr/x');
  fixture.sh('root', 'mkdir -p proc dev; echo host > etc/hosts');
  await fixture.copy('--from=s / /', { protect: ['proc', 'dev', 'etc/hosts'] });
  assert.deepEqual(fixture.layer, ['dev', 'dev/null', 'etc', 'etc/hosts', 'proc', 'usr', 'usr/x']);
  assert.deepEqual(fixture.lines(), ['dev/ 0755 0:0', "etc/hosts 0644 0:0 'host'", 'proc/ 0755 0:0', 'usr/ 0755 0:0', "usr/x 0644 0:0 ''"]);
});

test('COPY keeps inside the root when every destination link points out of it', { skip }, async () => {
  using fixture = new CopyFixture();
  const canary = join(fixture.folder, 'canary');
  writeFileSync(canary, 'intact');
  symlinkSync(canary, join(fixture.root, 'abs'));
  symlinkSync('../canary', join(fixture.root, 'rel'));
  fixture.sh('context', 'echo evil > a; mkdir d; echo evil > d/rel');
  for (const copy of ['a /abs', 'a /rel', 'd /', '--link a /abs']) await fixture.copy(copy);
  assert.equal(readFileSync(canary, 'utf8'), 'intact');
});

test('COPY says in the history what it copied, after expansion and without --from', { skip }, async () => {
  using fixture = new CopyFixture();
  fixture.sh('stage', 'mkdir d; touch d/f');
  const effect = await fixture.copy('--from=s --parents --chown=1:2 $D /x/', { variables: { D: 'd' } });
  assert.equal(effect.history?.createdBy, 'COPY --parents --chown=1:2 d /x/ # buildkit');
});
