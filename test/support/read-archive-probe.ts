// A process of its own that reads archives which want its memory; the heap it gets is the bound. Prints one JSON line: how
// each case ended, and the most memory that the process had, in KiB.
import { BuilderError } from '../../src/errors.ts';
import { readEntries } from '../../src/layer/read.ts';
import { randomFrom } from './random.ts';
import { type TarOptions, paxBlock, tar, tarEntry } from './tar.ts';

const mebibyte = 1024 * 1024;
const version1 = { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0' };

function* times(count: number, block: Buffer): Generator<Buffer> {
  for (let at = 0; at < count; at++) yield block;
}

function* endless(start: Buffer, more: Buffer): Generator<Buffer> {
  yield start;
  yield* times(Math.ceil((900 * mebibyte) / more.length), more);
}

/** Records of `size` bytes in all, each as small as can be. */
function smallRecords(size: number): Buffer {
  const record = paxBlock({ k: '' });
  return Buffer.alloc(Math.floor(size / record.length) * record.length, record);
}

const bigRecord = paxBlock({ comment: Buffer.alloc(mebibyte - 17, 'x') });
const header = (options: TarOptions): Buffer => tarEntry(options).subarray(0, 512);
const oldSparse = [
  [257, Buffer.from('ustar  \0')],
  [482, Buffer.from([1])],
] as const;
const oldBlock = Buffer.alloc(512);
oldBlock[504] = 1;
const attributes = paxBlock(
  Object.fromEntries(Array.from({ length: 15 }, (_, at) => [`SCHILY.xattr.user.${at}`, Buffer.alloc(65536, at)])),
);

const hostile: Readonly<Record<string, () => Iterable<Buffer>>> = {
  'a sparse map of one endless line': () =>
    endless(
      tarEntry({ path: 's', pax: { ...version1, size: String(2 ** 40) }, content: '1\n' }).subarray(0, -512),
      Buffer.alloc(mebibyte, '1'),
    ),
  'a sparse map of endless lines': () =>
    endless(tarEntry({ path: 's', pax: { ...version1, size: String(2 ** 40) } }), Buffer.from('65000\n'.padEnd(512, '0\n').repeat(2048))),
  'an old sparse map in endless empty blocks': () =>
    endless(header({ path: 's', type: 'S', patch: oldSparse }), Buffer.concat([...times(2048, oldBlock)])),
  '600 global headers of 1 MiB': () => times(600, tarEntry({ path: 'g', type: 'g', content: bigRecord })),
  '20 global headers of small records': () => times(20, tarEntry({ path: 'g', type: 'g', content: smallRecords(300_000) })),
  'an extended header of small records': () => times(1, tarEntry({ path: 'x', type: 'x', content: smallRecords(mebibyte) })),
  '100 entries with 15 attributes of 64 KiB': () =>
    times(100, Buffer.concat([tarEntry({ path: 'x', type: 'x', content: attributes }), tarEntry({ path: 'a' })])),
  '30 long names of 1 MiB': () =>
    times(30, Buffer.concat([tarEntry({ path: 'L', type: 'L', content: Buffer.alloc(mebibyte, 'a/') }), tarEntry({ path: 'a' })])),
  'endless long names': () => times(900, tarEntry({ path: 'L', type: 'L', content: Buffer.alloc(mebibyte, 'n') })),
  'a list of half a million numbers': () => times(1, tarEntry({ path: 's', pax: { 'GNU.sparse.map': '0,'.repeat(520_000) } })),
  'a header that promises 1 TiB of records': () =>
    endless(header({ path: 'x', type: 'x', patch: [[124, Buffer.from('8000000000000100', 'hex')]] }), bigRecord),
  'a file of 4 PiB': () => times(100, header({ path: 'a', patch: [[124, Buffer.from('800000000010000000000000', 'hex')]] })),
};

/** Reads as unpacking would, but no more than 1 MiB of a content: holes may be of any size. */
async function outcomeOf(blocks: Iterable<Buffer>): Promise<string> {
  const source = async function* (): AsyncGenerator<Buffer> {
    yield* blocks;
  };
  let entries = 0;
  try {
    for await (const entry of readEntries(source(), new AbortController().signal)) {
      entries++;
      let length = 0;
      for await (const part of entry.content ?? []) if ((length += part.length) > mebibyte) break;
    }
    return `${entries} entries`;
  } catch (error) {
    if (error instanceof BuilderError && error.code === 'ERR_LAYER' && error.message.length < 1000) return error.message;
    return `not an error of ours: ${error instanceof Error ? error.stack : String(error)}`.slice(0, 2000);
  }
}

const seeds: readonly Buffer[] = [
  tar([
    { path: 'a/b', content: 'content' },
    { path: 'd/', type: '5' },
    { path: 'l', type: '2', link: 'a/b' },
    { path: 'n', type: '3', major: 1, minor: 3 },
  ]),
  tar([{ path: 'x', pax: { path: 'y', size: '3', uid: '70000', mtime: '1.5', 'SCHILY.xattr.user.a': 'b' }, content: 'abc' }]),
  tar([{ path: 's', pax: { ...version1, 'GNU.sparse.realsize': '100' }, content: `${'2\n1\n1\n5\n1\n'.padEnd(512, '\0')}ab` }]),
  tar([{ path: 's', pax: { 'GNU.sparse.map': '1,1,5,1', 'GNU.sparse.size': '9' }, content: 'ab' }]),
  Buffer.concat([header({ path: 's', type: 'S', patch: oldSparse }), Buffer.alloc(512), tar([{ path: 'z', content: 'y'.repeat(600) }])]),
  Buffer.concat([
    tarEntry({ path: 'L', type: 'L', content: 'long/name\0' }),
    tarEntry({ path: 'g', type: 'g', content: paxBlock({ uid: '1' }) }),
    tar([{ path: 'a' }]),
  ]),
];
const spice = [
  '\0',
  ' ',
  '\n',
  '=',
  ',',
  '/',
  '9',
  '-1',
  '\xff',
  '\x80',
  '99999999',
  '777777777777',
  '9007199254740993',
  'GNU.sparse.map',
  'path',
  '1048576 ',
];

/** Where numbers and kinds stand in a header. */
const fields = [100, 108, 116, 124, 136, 156, 257, 329, 345, 386, 482];

/** A few bytes changed, put in, left out or repeated; checksums are right more often than not, so that the change is read. */
function mutate(seed: Buffer, random: (below: number) => number): Buffer {
  let bytes = Buffer.from(seed);
  for (let count = 1 + random(4); count > 0; count--) {
    const at = random(bytes.length);
    const what = random(6);
    if (what === 0) bytes[at] = random(256);
    else if (what === 1) put(bytes, at, spice[random(spice.length)] ?? '');
    else if (what === 2) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 512)]);
    else if (what === 3) bytes = Buffer.concat([bytes.subarray(0, at - (at % 512)), bytes.subarray(512 * random(bytes.length / 512))]);
    else put(bytes, at - (at % 512) + (fields[random(fields.length)] ?? 0), spice[random(spice.length)] ?? '');
    if (bytes.length === 0) bytes = Buffer.alloc(512, 'x');
  }
  if (random(8) > 0)
    for (let at = 0; at + 512 <= bytes.length; at += 512)
      if (/^[\0-\x08]*ustar/.test(bytes.toString('latin1', at + 257, at + 262))) putSum(bytes.subarray(at, at + 512));
  return bytes;
}

function put(bytes: Buffer, at: number, text: string): void {
  if (at < bytes.length) bytes.write(text, at, 'latin1');
}

function putSum(block: Buffer): void {
  block.fill(' ', 148, 156);
  block.write(
    `${block
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
    'latin1',
  );
}

const outcomes: Record<string, string> = {};
for (const [name, blocks] of Object.entries(hostile)) outcomes[name] = await outcomeOf(blocks());
const [seed, rounds] = [Number(process.argv[2]), Number(process.argv[3])];
const random = randomFrom(seed);
const kinds = new Map<string, number>();
const strange: string[] = [];
for (let round = 0; round < rounds; round++) {
  const outcome = await outcomeOf([mutate(seeds[random(seeds.length)] ?? Buffer.alloc(0), random)]);
  const kind = outcome.replace(/"[^]*"|-?\d+/g, '…');
  kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  if (outcome.startsWith('not an error')) strange.push(`round ${round}: ${outcome}`);
}
console.log(JSON.stringify({ outcomes, kinds: [...kinds], strange, maximumKiB: process.resourceUsage().maxRSS }));
