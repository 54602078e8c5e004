// What a draft makes of a tree, its layer must make of the tree before it: checked by hand, and with random drafts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ByteString } from '../../../src/bytes.ts';
import type { OpenContent } from '../../../src/files/file-view.ts';
import { draftDifference } from '../../../src/rootfs/draft-difference.ts';
import { type ContentSource, TreeDraft, readDraft } from '../../../src/rootfs/tree-draft.ts';
import { treeView } from '../../../src/rootfs/tree-view.ts';
import type { ImageTree } from '../../../src/tree/image-tree.ts';
import { randomFrom } from '../../support/random.ts';
import { type TreeLiteral, applied, linesOf, node, treeOf } from '../../support/tree-lines.ts';

const signal = new AbortController().signal;
const now = { seconds: 5000, nanoseconds: 0 };
const at = (path: string): ByteString => path as ByteString; // ASCII

function contentOf(text: string): OpenContent {
  return { size: text.length, chunks: [Buffer.from(text)], close: () => undefined };
}

function sourceOf(text: string): ContentSource {
  return { open: () => contentOf(text) };
}

/** The layer as `path`, `path = first` and `gone path`. */
function entriesOf(draft: TreeDraft): readonly string[] {
  return draft
    .entries()
    .map((each) => (each.kind === 'gone' ? `gone ${each.path}` : each.kind === 'link' ? `${each.path} = ${each.first}` : each.path));
}

interface Row {
  readonly title: string;
  readonly before: TreeLiteral;
  readonly act: (draft: TreeDraft) => void;
  readonly layer: readonly string[];
}

const file = (text: string) => [node('file', { size: text.length }), sourceOf(text)] as const;
const rows: readonly Row[] = [
  { title: 'nothing', before: { a: 'file' }, act: () => undefined, layer: [] },
  {
    title: 'a new file, with its directory',
    before: { d: 'dir' },
    act: (draft) => draft.put(at('d/f'), ...file('x')),
    layer: ['d', 'd/f'],
  },
  { title: 'a new file at the top, without the root', before: {}, act: (draft) => draft.put(at('f'), ...file('x')), layer: ['f'] },
  { title: 'a file in place of another', before: { f: 'file' }, act: (draft) => draft.put(at('f'), ...file('x')), layer: ['f'] },
  {
    title: 'a whiteout for what was removed, whole',
    before: { d: 'dir', 'd/e': 'dir', 'd/e/f': 'file', g: 'file' },
    act: (draft) => draft.remove(at('d')),
    layer: ['gone d'],
  },
  {
    title: 'no whiteout for what was only made and removed again',
    before: { d: 'dir' },
    act: (draft) => {
      draft.put(at('d/f'), ...file('x'));
      draft.remove(at('d/f'));
    },
    layer: ['d'],
  },
  {
    title: 'no whiteout for a directory that a file stands for now',
    before: { d: 'dir', 'd/f': 'file' },
    act: (draft) => draft.put(at('d'), ...file('x')),
    layer: ['d'],
  },
  {
    title: 'a directory in place of a file',
    before: { d: 'file' },
    act: (draft) => draft.put(at('d'), node('directory')),
    layer: ['d'],
  },
  {
    title: 'whiteouts for what an emptied directory held',
    before: { d: 'dir', 'd/e': 'dir', 'd/e/f': 'file', 'd/g': 'file' },
    act: (draft) => {
      draft.remove(at('d'));
      draft.put(at('d'), node('directory'));
      draft.put(at('d/g'), ...file('x'));
    },
    layer: ['gone d/e', 'd', 'd/g'],
  },
  {
    title: 'whiteouts at every depth where a replaced tree has the same directories again',
    before: { d: 'dir', 'd/e': 'dir', 'd/e/f': 'file', 'd/e/g': 'file' },
    act: (draft) => {
      draft.put(at('d'), ...file('x'));
      draft.put(at('d'), node('directory'));
      draft.put(at('d/e'), node('directory'));
      draft.put(at('d/e/g'), ...file('x'));
    },
    layer: ['gone d/e/f', 'd', 'd/e', 'd/e/g'],
  },
  {
    title: 'other metadata of a directory that keeps what is in it',
    before: { d: 'dir', 'd/f': 'file' },
    act: (draft) => draft.put(at('d'), node('directory', { mode: 0o700 })),
    layer: ['d'],
  },
  {
    title: 'several names of a file, the first with its content',
    before: {},
    act: (draft) => {
      draft.put(at('b'), ...file('x'));
      draft.link(at('a'), at('b'));
      draft.link(at('c'), at('a'));
    },
    layer: ['a', 'b = a', 'c = a'],
  },
  {
    title: 'all names of a file of before that got another one',
    before: { d: 'dir', f: 'file', g: '= f' },
    act: (draft) => draft.link(at('d/h'), at('g')),
    layer: ['d', 'd/h', 'f = d/h', 'g = d/h'],
  },
  {
    title: 'a name of several alone, where it is another file now',
    before: { f: 'file', g: '= f' },
    act: (draft) => draft.put(at('g'), ...file('x')),
    layer: ['g'],
  },
];

for (const { title, before, act, layer } of rows) {
  test(`the layer of a draft holds ${title}`, async () => {
    const tree = treeOf(before);
    const draft = new TreeDraft(tree.clone(), now, stored);
    act(draft);
    assert.deepEqual(entriesOf(draft), layer);
    await assertSame(tree, draft);
  });
}

/** The layer of a draft makes of `before` what the draft made of its clone. */
async function assertSame(before: ImageTree, draft: TreeDraft, message = ''): Promise<void> {
  const after = await applied(before, await readDraft(draft.tree, draft.entries(), signal));
  assert.deepEqual(linesOf(after), linesOf(draft.tree), message);
}

/** A file of before, as large as it is. */
function stored({ size }: { readonly size: number }): ContentSource {
  return sourceOf('x'.repeat(size));
}

test('a draft refuses names by which layers delete', () => {
  const draft = new TreeDraft(treeOf({ f: 'file' }), now);
  for (const act of [() => draft.put(at('.wh.f'), ...file('')), () => draft.link(at('d/.wh..wh..opq'), at('f'))]) {
    assert.throws(act, { code: 'ERR_LAYER', message: /names that begin with \.wh\. mark deletions/ });
  }
});

test('a draft refuses names that no file system has', () => {
  const draft = new TreeDraft(treeOf({}), now);
  draft.put(at('n'.repeat(255)), ...file(''));
  const message = /in a layer: names end at 255 bytes$/;
  assert.throws(() => draft.put(at(`d/${'n'.repeat(256)}`), ...file('')), { code: 'ERR_LAYER', message });
});

test('a draft gives a directory the time of the instruction when something in it changes', () => {
  const draft = new TreeDraft(treeOf({ d: 'dir', 'd/e': 'dir', 'd/e/f': 'file' }), now);
  draft.remove(at('d/e/f'));
  assert.deepEqual(linesOf(draft.tree), ['d directory 755 0:0 0   @1', 'd/e directory 755 0:0 0   @5000']);
});

test('readDraft() gives a file the size that it has when it is read, and tells the tree', async () => {
  const draft = new TreeDraft(treeOf({}), now);
  draft.put(at('f'), node('file', { size: 3 }), sourceOf('longer'));
  const sizes: number[] = [];
  for (const entry of await readDraft(draft.tree, draft.entries(), signal)) sizes.push(entry.size);
  assert.deepEqual(sizes, [6]);
  assert.equal(draft.tree.node(draft.tree.at(at('f')) ?? -1).size, 6);
});

test('readDraft() gathers all that it reads of a view in one go, and closes what it opened', async () => {
  const tree = treeOf({ a: 'file', b: 'file', c: 'file' });
  const gathered: unknown[] = [];
  let open = 0;
  const files = treeView(tree, {
    gather: async (wanted) => void gathered.push(wanted.map(({ path }) => path)),
    open: ({ size }) => {
      open++;
      return { ...contentOf('x'.repeat(size)), close: () => void open-- };
    },
  });
  const draft = new TreeDraft(treeOf({}), now);
  for (const path of ['a', 'b', 'c'].map(at)) draft.put(path, node('file', { size: 1 }), { files, path, open: () => files.open(path) });
  for (const entry of await readDraft(draft.tree, draft.entries(), signal)) assert.equal(entry.type, 'file');
  assert.deepEqual(gathered, [['a', 'b', 'c']]);
  assert.equal(open, 0);
});

test('random drafts: the layer makes of the tree before what the draft made of it, alone and as a difference', async () => {
  for (let seed = 1; seed <= 500; seed++) {
    const random = randomFrom(seed);
    const before = treeOf({});
    scribble(new TreeDraft(before, { seconds: 1000, nanoseconds: 0 }), random, 20);
    for (const [path, number] of before.walk())
      if (before.type(number) === 'file') before.setContent(number, { layer: 0, entry: path.length });
    const draft = new TreeDraft(before.clone(), now, stored);
    const story = scribble(draft, random, 8);
    await assertSame(before, draft, `seed ${seed}\n${linesOf(before).join('\n')}\n--\n${story.join('\n')}`);
    for (const [, number] of draft.tree.walk())
      if (draft.tree.type(number) === 'file' && draft.tree.content(number) === undefined)
        draft.tree.setContent(number, { layer: 1, entry: 0 });
    const difference = draftDifference(
      before,
      draft.tree,
      treeView(draft.tree, { gather: () => Promise.resolve(), open: (each) => stored(each).open() }),
    );
    const after = await applied(before, await readDraft(draft.tree, difference, signal));
    assert.deepEqual(
      linesOf(after),
      linesOf(draft.tree),
      `difference of seed ${seed}\n${linesOf(before).join('\n')}\n--\n${story.join('\n')}`,
    );
  }
});

/** Does something at random, as an instruction might; tells what. */
function scribble(draft: TreeDraft, random: (limit: number) => number, steps: number): readonly string[] {
  const story: string[] = [];
  const names = ['a', 'b', 'c'];
  for (let step = 0; step < steps; step++) {
    const path = at(Array.from({ length: 1 + random(3) }, () => names[random(3)]).join('/'));
    const parent = path.includes('/') ? draft.tree.at(at(path.slice(0, path.lastIndexOf('/')))) : 0;
    if (!draft.tree.isDirectory(parent)) continue;
    const files = [...draft.tree.walk()].filter(([, number]) => draft.tree.type(number) === 'file');
    const existing = files[random(files.length + 1)]?.[0];
    const what = random(7);
    const mode = [0o700, 0o755, 0o644][random(3)] ?? 0;
    if (what < 2) draft.put(path, node('directory', { mode }));
    else if (what < 4) {
      const text = 'x'.repeat(1 + random(50));
      draft.put(path, node('file', { mode, size: text.length }), sourceOf(text));
    } else if (what === 4) draft.put(path, node('symlink', { linkTarget: at(`to${random(9)}`) }));
    else if (what === 5) draft.remove(path);
    // What a name leads through must not go with what it replaces.
    else if (existing !== undefined && existing !== path && !existing.startsWith(`${path}/`)) draft.link(path, existing);
    story.push(`${['dir', 'dir', 'file', 'file', 'symlink', 'remove', 'link'][what]} ${path} ${existing ?? ''}`);
  }
  return story;
}
