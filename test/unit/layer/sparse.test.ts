// Files with holes in the four formats, and maps that no honest archiver writes.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readEntries } from '../../../src/layer/read.ts';
import { assertRefused, readArchive } from '../../support/read-archive.ts';
import { type TarOptions, paxBlock, tar, tarEntry } from '../../support/tar.ts';
import { temporaryFolder } from '../../support/tree.ts';

const whole = `${'\0'.repeat(1000)}abc${'\0'.repeat(2000)}de${'\0'.repeat(5)}`;
const version1 = { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0' };

/** A map as format 1.0 has it in front of the content. */
function mapLines(...numbers: readonly (number | string)[]): string {
  const text = `${numbers.join('\n')}\n`;
  return text.padEnd(Math.ceil(text.length / 512) * 512, '\0');
}

function oldField(value: number): string {
  return `${value.toString(8).padStart(11, '0')}\0`;
}

/** A header of GNU's old format, and the blocks behind it. */
function oldSparse(regions: readonly (readonly [number, number])[], realSize: number, blocks: readonly Buffer[], content: string): Buffer {
  const map = regions.map(([offset, length]) => oldField(offset) + oldField(length)).join('');
  const padded = Buffer.from(content.padEnd(Math.ceil(content.length / 512) * 512, '\0'));
  const patch = [
    [257, Buffer.from('ustar  \0')],
    [386, Buffer.from(map)],
    [482, Buffer.from([blocks.length > 0 ? 1 : 0])],
    [483, Buffer.from(oldField(realSize))],
  ] as const;
  const header = tarEntry({ path: 's', type: 'S', size: content.length, patch });
  return Buffer.concat([header, ...blocks, padded, tar([{ path: 'next', content: 'n' }])]);
}

/** The same with twelve octal digits and no NUL behind them. */
function fillingPlaces(): Buffer {
  const digits = (value: number): string => value.toString(8).padStart(12, '0');
  const patch = [
    [257, Buffer.from('ustar  \0')],
    [386, Buffer.from([1000, 3, 3003, 2].map(digits).join(''))],
    [483, Buffer.from(digits(3010))],
  ] as const;
  return Buffer.concat([tarEntry({ path: 's', type: 'S', content: 'abcde', patch }), tar([{ path: 'next', content: 'n' }])]);
}

function oldBlock(regions: readonly (readonly [number, number])[], isExtended: number): Buffer {
  const block = Buffer.alloc(512);
  block.write(regions.map(([offset, length]) => oldField(offset) + oldField(length)).join(''), 0, 'latin1');
  block[504] = isExtended;
  return block;
}

const pairsOf00 = Buffer.concat(
  ['1000', '3', '3003', '2'].map((value, index) => paxBlock({ [index % 2 === 0 ? 'GNU.sparse.offset' : 'GNU.sparse.numbytes']: value })),
);
const formats: readonly (readonly [name: string, archive: Buffer])[] = [
  [
    'old',
    oldSparse(
      [
        [1000, 3],
        [3003, 2],
      ],
      3010,
      [],
      'abcde',
    ),
  ],
  [
    'old, with its map in further blocks',
    oldSparse([[1000, 1]], 3010, [oldBlock([[1001, 2]], 2), oldBlock([], 1), oldBlock([[3003, 2]], 0)], 'abcde'),
  ],
  ['old, with numbers that fill their places', fillingPlaces()],
  [
    '0.0',
    Buffer.concat([
      tarEntry({ path: 'p', type: 'x', content: Buffer.concat([paxBlock({ 'GNU.sparse.size': '3010' }), pairsOf00]) }),
      tar([
        { path: 's', content: 'abcde' },
        { path: 'next', content: 'n' },
      ]),
    ]),
  ],
  ['0.1', sparseTar({ 'GNU.sparse.name': 's', 'GNU.sparse.size': '3010', 'GNU.sparse.map': '1000,3,3003,2' }, 'abcde')],
  [
    '0.1 with its version',
    sparseTar(
      {
        'GNU.sparse.major': '0',
        'GNU.sparse.minor': '1',
        'GNU.sparse.name': 's',
        'GNU.sparse.size': '3010',
        'GNU.sparse.map': '1000,3,3003,2',
      },
      'abcde',
    ),
  ],
  ['1.0', sparseTar({ ...version1, 'GNU.sparse.name': 's', 'GNU.sparse.realsize': '3010' }, `${mapLines(2, 1000, 3, 3003, 2)}abcde`)],
  [
    '1.0 with both sizes',
    sparseTar(
      { ...version1, 'GNU.sparse.name': 's', 'GNU.sparse.size': '3010', 'GNU.sparse.realsize': '1' },
      `${mapLines(2, 1000, 3, 3003, 2)}abcde`,
    ),
  ],
];

function sparseTar(pax: Readonly<Record<string, string>>, content: string): Buffer {
  return tar([
    { path: 'GNUSparseFile.0/s', pax, content },
    { path: 'next', content: 'n' },
  ]);
}

for (const [name, archive] of formats) {
  for (const chunkSize of [1, 100, 65536]) {
    test(`readEntries() expands a sparse file of format ${name} from chunks of ${chunkSize} bytes`, async () => {
      const found = await readArchive(archive, chunkSize);
      assert.deepEqual(
        found.map(({ entry, content }) => [entry.path, entry.size, content]),
        [
          ['s', 3010, whole],
          ['next', 1, 'n'],
        ],
      );
    });
  }
}

for (const [what, pax, content, expected] of [
  ['no region', { ...version1, 'GNU.sparse.realsize': '4' }, mapLines(0), '\0\0\0\0'],
  ['an empty region at its end', { ...version1, 'GNU.sparse.realsize': '4' }, `${mapLines(2, 0, 2, 4, 0)}ab`, 'ab\0\0'],
  ['regions without a hole', { 'GNU.sparse.map': '0,2,2,2' }, 'abcd', 'abcd'],
  ['no size', { 'GNU.sparse.map': '0,2' }, 'ab', 'ab'],
  ['version 0.0 and no region', { 'GNU.sparse.major': '0', 'GNU.sparse.minor': '0', 'GNU.sparse.size': '2' }, '', '\0\0'],
  [
    'a map of two blocks',
    { ...version1, 'GNU.sparse.realsize': '200' },
    `${mapLines(100, ...Array.from({ length: 100 }, (_, at) => `${at * 2}\n1`))}${'x'.repeat(100)}`,
    'x\0'.repeat(100),
  ],
] as const) {
  test(`readEntries() expands a sparse file with ${what}`, async () => {
    const [found, next] = await readArchive(sparseTar(pax, content));
    assert.deepEqual([found?.content, found?.entry.size, next?.content], [expected, expected.length, 'n']);
  });
}

test('readEntries() skips a sparse file that nobody reads', async () => {
  for (const [, archive] of formats) {
    const names: string[] = [];
    for await (const entry of readEntries(
      (async function* () {
        yield archive;
      })(),
      new AbortController().signal,
    ))
      names.push(entry.path);
    assert.deepEqual(names, ['s', 'next']);
  }
});

for (const format of ['gnu', 'pax --sparse-version=0.0', 'pax --sparse-version=0.1', 'pax --sparse-version=1.0']) {
  test(`readEntries() expands what GNU tar packs with --sparse --format=${format}`, async (context) => {
    const folder = temporaryFolder(context);
    const file = openSync(join(folder, 'holes'), 'w');
    for (let at = 0; at < 40; at++) writeSync(file, `part ${at}`, at * 65536 + 4096);
    ftruncateSync(file, 4_000_000);
    closeSync(file);
    const args = ['-cf', '-', '--sparse', ...`--format=${format}`.split(' '), '-C', folder, 'holes'];
    const packed = spawnSync('tar', args, { maxBuffer: 1 << 24 });
    assert.equal(packed.status, 0, packed.stderr.toString());
    assert.ok(packed.stdout.length < 1_000_000, 'GNU tar left the holes out');
    const [found] = await readArchive(packed.stdout);
    assert.deepEqual([found?.entry.path, found?.entry.size], ['holes', 4_000_000]);
    assert.equal(found?.content.replaceAll('\0', ''), Array.from({ length: 40 }, (_, at) => `part ${at}`).join(''));
    assert.equal(found?.content.indexOf('part 39'), 39 * 65536 + 4096);
  });
}

const many = (count: number): string => Array.from({ length: count }, (_, at) => `${at},0`).join(',');
const refused: readonly (readonly [what: string, options: Pick<TarOptions, 'pax' | 'content'>, message: RegExp])[] = [
  ['a map of ten million regions', { pax: version1, content: mapLines(10_000_000) }, /has too many regions/],
  ['a map of 65,537 regions', { pax: version1, content: mapLines(65_537) }, /has too many regions/],
  ['a list of 65,537 regions', { pax: { 'GNU.sparse.map': many(65_537) } }, /has too many regions/],
  ['an endless line', { pax: version1, content: '1'.repeat(4096) }, /has a line that is no number/],
  ['an endless line behind the first', { pax: version1, content: `1\n${'1'.repeat(4096)}` }, /has a line that is no number/],
  ['a line of 17 digits', { pax: version1, content: mapLines('00000000000000001', 0, 1) }, /has a line that is no number/],
  ['an empty line', { pax: version1, content: mapLines(1, '', 1) }, /has a line that is no number/],
  ['a number of letters', { pax: version1, content: mapLines('x') }, /has a line that is no number/],
  ['a character just before the digits', { pax: version1, content: mapLines('/') }, /has a line that is no number/],
  ['a character just behind the digits', { pax: version1, content: mapLines(':') }, /has a line that is no number/],
  ['a negative number', { pax: version1, content: mapLines(1, -1, 1) }, /has a line that is no number/],
  ['a number beyond 2^53', { pax: version1, content: mapLines(1, '9007199254740992', 1) }, /has a line that is no number/],
  ['a map longer than what is stored', { pax: version1, content: '2\n1\n' }, /is longer than what is stored/],
  [
    'a map that goes on behind what is stored',
    { pax: version1, content: mapLines(200, 0, 1).slice(0, 512) },
    /no number|longer than what is stored/,
  ],
  [
    'a map of more than 1 MiB',
    { pax: version1, content: mapLines(65_000, ...Array.from({ length: 65_000 }, () => '0000000000000000\n0000000000000000')) },
    /is too long/,
  ],
  ['a map that overlaps itself', { pax: { 'GNU.sparse.size': '9', 'GNU.sparse.map': '0,5,3,2' }, content: 'abcdefg' }, /is not in order/],
  [
    'a map that reaches beyond the file',
    { pax: { 'GNU.sparse.size': '9', 'GNU.sparse.map': '8,5' }, content: 'abcde' },
    /reaches beyond the end/,
  ],
  [
    'a map that reaches one byte beyond',
    { pax: { 'GNU.sparse.size': '9', 'GNU.sparse.map': '5,5' }, content: 'abcde' },
    /reaches beyond the end/,
  ],
  ['an odd list', { pax: { 'GNU.sparse.map': '0,1,2' }, content: 'a' }, /has an odd count/],
  ['a list with a hole', { pax: { 'GNU.sparse.map': '0,,2,1' }, content: 'a' }, /sparse map is ""/],
  ['regions of more than is stored', { pax: { 'GNU.sparse.size': '9', 'GNU.sparse.map': '0,3' }, content: 'ab' }, /not one of the 2 bytes/],
  [
    'regions of less than is stored',
    { pax: { 'GNU.sparse.size': '9', 'GNU.sparse.map': '0,3' }, content: 'abcd' },
    /not one of the 4 bytes/,
  ],
  ['a real size that is no number', { pax: { 'GNU.sparse.size': 'x', 'GNU.sparse.map': '0,1' }, content: 'a' }, /real size is "x"/],
];
for (const [what, options, message] of refused) {
  test(`readEntries() refuses a sparse file with ${what}`, async () => await assertRefused(tar([{ path: 's', ...options }]), message));
}

test('readEntries() refuses pairs of format 0.0 that are not in turn', async () => {
  for (const keys of [
    ['numbytes', 'offset'],
    ['offset', 'offset'],
    ['offset', 'numbytes', 'numbytes'],
  ]) {
    const content = Buffer.concat(keys.map((key) => paxBlock({ [`GNU.sparse.${key}`]: '1' })));
    await assertRefused(
      Buffer.concat([tarEntry({ path: 'p', type: 'x', content }), tar([{ path: 's' }])]),
      /map of a sparse file is not in order/,
    );
  }
});

test('readEntries() refuses an old map in endless blocks, empty or not', async () => {
  const empty = oldSparse(
    [],
    10,
    Array.from({ length: 4000 }, () => oldBlock([], 1)),
    '',
  );
  await assertRefused(empty, /is too long/);
  const regions = Array.from({ length: 21 }, () => [1, 0] as const);
  await assertRefused(
    oldSparse(
      [],
      10,
      Array.from({ length: 4000 }, () => oldBlock(regions, 1)),
      '',
    ),
    /is too long|too many regions/,
  );
});

test('readEntries() takes an old map of 65,536 regions', async () => {
  const blocks = Array.from({ length: 3121 }, (_, at) =>
    oldBlock(
      Array.from({ length: at === 3120 ? 12 : 21 }, () => [5, 0] as const),
      at === 3120 ? 0 : 1,
    ),
  );
  const [found] = await readArchive(
    oldSparse(
      [
        [5, 0],
        [5, 0],
        [5, 0],
        [5, 0],
      ],
      10,
      blocks,
      '',
    ),
  );
  assert.equal(found?.content, '\0'.repeat(10));
});
