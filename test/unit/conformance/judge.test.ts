// The judge of the conformance cases: it must see each kind of difference and each unsound layer.
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { compareImage, differences } from '../../conformance/compare.ts';
import { readCases } from '../../conformance/case.ts';
import { flatten } from '../../support/flatten.ts';
import { readTar, type TarMember } from '../../support/tar-reader.ts';
import { type MemberToWrite, tarArchive } from '../../support/tar-writer.ts';

const strict = { compareMtime: true, compareLinks: true, ignorePaths: [], contextAt: '/workspace' };

async function members(list: readonly MemberToWrite[]): Promise<TarMember[]> {
  return readTar(Readable.from([tarArchive(list)]));
}

async function flat(...layers: readonly (readonly MemberToWrite[])[]) {
  return flatten(await Promise.all(layers.map(members)));
}

const base: readonly MemberToWrite[] = [
  { name: 'd/', type: 'dir' },
  { name: 'd/f', content: 'one' },
  { name: 'd/link', type: 'symlink', linkname: 'f' },
  { name: 'h', type: 'hardlink', linkname: 'd/f' },
];

test('readTar() reads long names, ids beyond octal, and times from pax records', async () => {
  const name = `${'n'.repeat(150)}/ünï`;
  const [member] = await members([{ name, content: 'x', pax: { uid: '4294967294', mtime: '-1.5', 'SCHILY.xattr.user.a': 'b' } }]);
  assert.equal(member?.name, name);
  assert.equal(member.uid, 4294967294);
  assert.equal(member.mtime, -2);
  assert.deepEqual([...member.xattrs], [['user.a', 'b']]);
});

test('readTar() refuses an archive that ends inside a member', async () => {
  const whole = tarArchive([{ name: 'a', content: 'x'.repeat(2000) }]);
  await assert.rejects(readTar(Readable.from([whole.subarray(0, 1200)])), /ends inside a member/);
});

test('flatten() obeys whiteouts wherever they stand in their layer', async () => {
  const { tree, problems } = await flat(base, [{ name: 'd/new', content: 'n' }, { name: 'd/.wh..wh..opq' }, { name: '.wh.h' }]);
  assert.deepEqual([...tree.keys()].toSorted(), ['/d', '/d/new']);
  assert.deepEqual(problems, []);
});

const unsound: readonly { readonly name: string; readonly layer: readonly MemberToWrite[]; readonly problem: RegExp }[] = [
  { name: 'a path twice', layer: [{ name: 'x' }, { name: './x' }], problem: /\/x is there twice/ },
  { name: 'a hard link to nothing', layer: [{ name: 'x', type: 'hardlink', linkname: 'nowhere' }], problem: /nowhere, which is not there/ },
  { name: 'a hard link before its target', layer: [{ name: 'x', type: 'hardlink', linkname: 'y' }, { name: 'y' }], problem: /not there/ },
  { name: 'an entry below a symlink', layer: [{ name: 'd/link/x' }], problem: /below \/d\/link, which is a symlink/ },
  { name: 'a whiteout of nothing', layer: [{ name: '.wh.ghost' }], problem: /hides nothing/ },
  { name: 'a whiteout of unknown kind', layer: [{ name: '.wh..wh.plnk' }], problem: /left in the flattened tree/ },
  { name: 'a name that leaves the root', layer: [{ name: '../x' }], problem: /leaves the root/ },
];

for (const row of unsound) {
  test(`flatten() reports ${row.name}`, async () => {
    const { problems } = await flat(base, row.layer);
    assert.match(problems.join('\n'), row.problem);
  });
}

const changes: readonly { readonly name: string; readonly layer: readonly MemberToWrite[]; readonly changed: readonly string[] }[] = [
  { name: 'nothing when a layer repeats what is there', layer: [{ name: 'd/link', type: 'symlink', linkname: 'f' }], changed: [] },
  { name: 'a new mode', layer: [{ name: 'd/', type: 'dir', mode: 0o700 }], changed: ['/d'] },
  { name: 'a new owner', layer: [{ name: 'd/', type: 'dir', uid: 7 }], changed: ['/d'] },
  { name: 'new content, and the links that it broke', layer: [{ name: 'd/f', content: 'two' }], changed: ['/d/f', '/h'] },
  { name: 'a new symlink target', layer: [{ name: 'd/link', type: 'symlink', linkname: 'g' }], changed: ['/d/link'] },
  {
    name: 'a new extended attribute',
    layer: [{ name: 'd/f', content: 'one', pax: { 'SCHILY.xattr.user.a': 'b' } }],
    changed: ['/d/f', '/h'],
  },
  { name: 'a new time', layer: [{ name: 'n', mtime: 5 }], changed: ['/n'] },
];

for (const row of changes) {
  test(`differences() finds ${row.name}`, async () => {
    const [before, after] = [await flat(base), await flat(base, row.layer)];
    assert.deepEqual(Object.keys(differences(after.tree, before.tree, strict).changed).toSorted(), row.changed);
  });
}

test('differences() lists what is gone, and leaves out what an engine puts there', async () => {
  const [before, after] = [await flat(base), await flat(base, [{ name: '.wh.h' }, { name: 'proc/x' }, { name: 'etc/hosts' }])];
  const found = differences(after.tree, before.tree, { ...strict, compareLinks: false });
  assert.deepEqual(found, { changed: { '/etc': { type: 'dir', mode: '0755', uid: 0, gid: 0 } }, removed: ['/h'] });
});

test('compareImage() compares the documents where a case says what is in them', async () => {
  const flattened = await flat(base);
  const history = [{ created_by: 'CMD ["sh"]', empty_layer: true }, { created_by: 'RUN x' }];
  const config = { author: 'me', config: { User: 'u' }, history };
  const image = { digest: '', mediaType: '', manifest: { annotations: { a: '1' } }, config, layers: [], flattened, problems: [] };
  const [anyCase] = readCases(`${import.meta.dirname}/../../conformance`);
  assert.ok(anyCase !== undefined);
  const nothing = { config: undefined, document: {}, history: undefined, annotations: undefined, changed: {}, removed: [], scratch: false };
  const problemsOf = (expected: object) => compareImage(image, flattened.tree, anyCase, { ...nothing, ...expected });
  const right = { config: { User: 'u' }, document: { author: 'me' }, history: [{ created_by: 'RUN x' }], annotations: { a: '1' } };
  assert.deepEqual(problemsOf(right), []);
  assert.match(problemsOf({ config: { User: 'v' } }).join(), /config\.User is "u", expected "v"/);
  assert.match(problemsOf({ document: { author: 'you' } }).join(), /author is "me", expected "you"/);
  assert.match(problemsOf({ history: [] }).join(), /1 new entries, expected 0/);
  assert.match(problemsOf({ history: [{ created_by: 'RUN x', empty_layer: true }] }).join(), /empty_layer is false, expected true/);
  assert.match(problemsOf({ annotations: { a: '1', b: '2' } }).join(), /annotations is/);
});

test('every conformance case of our own says why it is right', () => {
  // readCases() refuses one that has no reason, an unknown key, or a name that another has
  assert.ok(readCases(`${import.meta.dirname}/../../conformance`).length > 260);
});
