// WORKDIR between real folders, as root.
import assert from 'node:assert/strict';
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { workingDirAfter } from '../../../src/build/instructions/workdir.ts';
import { CopyFixture } from '../../support/copy-fixture.ts';

const skip = process.getuid?.() === 0 ? false : 'needs root to give directories away';
const passwd = "printf 'app:x:1000:1001::/:\\n' > etc/passwd; printf 'svc:x:3000:\\n' > etc/group";

for (const [word, before, after] of [
  ['/a', '/', '/a'],
  ['b', '/a', '/a/b'],
  ['../c/./d/', '/a/b', '/a/c/d'],
  ['../../..', '/a', '/'],
  ['//x//y', '/', '//x//y'],
  ['/one/', '/', '/one/'],
  ['two/', '/one/', '/one/two'],
  ['/a/b/../c', '/', '/a/b/../c'],
  ['./d/.', '/a/b/../c', '/a/c/d'],
  ['', '/one/', '/one/'],
  ['rel', undefined, '/rel'],
] as const) {
  test(`WORKDIR ${word} after ${before} is ${after}`, () => assert.equal(workingDirAfter(word, before), after));
}

for (const { user, owner } of [
  { user: undefined, owner: '0:0' },
  { user: 'app', owner: '1000:1001' },
  { user: 'app:svc', owner: '1000:3000' },
  { user: '77', owner: '77:77' },
  { user: '1000', owner: '1000:1000' },
]) {
  test(`WORKDIR makes all missing directories for USER ${user}`, { skip }, async () => {
    using fixture = new CopyFixture();
    fixture.sh('root', `${passwd}; mkdir -m 711 there`);
    const effect = await fixture.workdir('x/y', { workingDir: '/there', ...(user === undefined ? {} : { user }) });
    assert.deepEqual(fixture.lines('there'), [`there/x/ 0755 ${owner}`, `there/x/y/ 0755 ${owner}`]);
    assert.deepEqual(fixture.touched, ['there', 'there/x', 'there/x/y']);
    assert.equal(effect.state.config.workingDir, '/there/x/y');
    assert.equal(effect.history?.createdBy, 'WORKDIR /there/x/y');
  });
}

test('WORKDIR leaves an existing directory alone and makes an empty layer', { skip }, async () => {
  using fixture = new CopyFixture();
  fixture.sh('root', 'mkdir -m 700 d');
  const effect = await fixture.workdir('/d', { user: '5' });
  assert.deepEqual(fixture.lines(), ['d/ 0700 0:0']);
  assert.equal(effect.touched.kind, 'drafted');
  assert.deepEqual(fixture.layer, []);
});

test('WORKDIR that no command could be in is refused at once, wherever its path comes from', { timeout: 20_000 }, async () => {
  using fixture = new CopyFixture();
  const workingDir = '/a'.repeat(500_000);
  const says = /^Cannot make \/(?:a\/)+…: its path has 1000003 bytes, and Linux takes 4095$/;
  await assert.rejects(fixture.workdir('sub', { workingDir }), { code: 'ERR_ROOTFS', message: says });
});

test('WORKDIR / makes no layer', async () => {
  using fixture = new CopyFixture();
  const effect = await fixture.workdir('/');
  assert.deepEqual(effect.touched, { kind: 'nothing' });
});

test('WORKDIR follows links inside the root', { skip }, async () => {
  using fixture = new CopyFixture();
  fixture.sh('root', 'mkdir real; ln -s /real l');
  const effect = await fixture.workdir('/l/new');
  assert.deepEqual(fixture.lines(), ['l -> /real 0:0', 'real/ 0755 0:0', 'real/new/ 0755 0:0']);
  assert.equal(effect.state.config.workingDir, '/l/new');
});

test("WORKDIR in the builder's folder makes it in the image, and leaves the builder's alone", { skip }, async () => {
  using fixture = new CopyFixture();
  fixture.sh('root', 'mkdir kaniko; ln -s /kaniko w');
  await fixture.workdir('/w/x', { protect: ['kaniko'], user: '5' });
  assert.deepEqual(fixture.layer, ['kaniko', 'kaniko/x']);
  assert.deepEqual(fixture.lines('kaniko'), []);
});

test('WORKDIR where something is mounted that the image lacks makes it in the image', { skip }, async () => {
  using fixture = new CopyFixture();
  fixture.sh('root', 'mkdir -m 700 workspace');
  await fixture.workdir('/workspace', { protect: ['workspace'] });
  assert.deepEqual(fixture.layer, ['workspace']);
  assert.deepEqual(fixture.lines(), ['workspace/ 0700 0:0']);
});

test('WORKDIR where a file is fails', { skip }, async () => {
  using fixture = new CopyFixture();
  fixture.sh('root', 'touch f');
  await assert.rejects(fixture.workdir('/f/x'), /'\/f' is not a directory/);
});

test('WORKDIR gives new directories the time of SOURCE_DATE_EPOCH', { skip }, async () => {
  using fixture = new CopyFixture();
  await fixture.workdir('/a/b', { sourceDateEpoch: 5 });
  assert.equal(lstatSync(join(fixture.root, 'a')).mtimeMs, 5000);
});
