// Asking a server for its refs and for a pack, in protocol version 2 and in the old one. A fresh clone has nothing to
// negotiate about, so either takes one question. gitprotocol-v2(5), gitprotocol-pack(5).
import { BuilderError } from '../errors.ts';
import { type Packet, PacketReader, delimiterPacket, flushPacket, linePacket, textOf } from './packet.ts';

/** One conversation with a server's upload-pack. */
export interface UploadPack {
  /** For messages, without secrets. */
  readonly name: string;
  /** What the server says first. */
  readonly greeting: PacketReader;
  /** Sends a question; gives where its answer is read. */
  readonly ask: (question: Buffer) => Promise<PacketReader>;
  readonly close: () => Promise<void>;
}

/** The conversation over a connection that is open: `bytes` come from the server, `write` sends some, `close` ends it. */
export function converse(
  name: string,
  bytes: AsyncIterable<Buffer>,
  { write, close }: { readonly write: (bytes: Buffer) => unknown; readonly close: () => void },
): UploadPack {
  const reader = new PacketReader(bytes, name);
  const ask = async (question: Buffer): Promise<PacketReader> => {
    write(question);
    return reader;
  };
  return { name, greeting: reader, ask, close: async () => close() };
}

export interface Ref {
  readonly name: string;
  readonly id: string;
  /** Where an annotated tag leads. */
  readonly peeled: string | undefined;
}

/** A server that has introduced itself. */
export interface GitServer {
  readonly upload: UploadPack;
  readonly version: 0 | 2;
  readonly capabilities: ReadonlyMap<string, string>;
  /** Version 0 tells all its refs unasked. */
  readonly advertised: readonly Ref[];
}

/** What came of asking for a pack; a server may refuse commits that no ref points to. */
export type Fetched =
  | { readonly kind: 'pack'; readonly shallow: readonly string[] }
  | { readonly kind: 'refused'; readonly reason: string };

const agent = 'agent=yadokari';
/** Of a list that a server sends, with what holding a line costs besides: enough for a million refs with long names. */
const listLimitBytes = 1 << 28;
const lineCostBytes = 64;

/** Reads a server's greeting. @throws ERR_CONTEXT, ERR_UNSUPPORTED for repositories with SHA-256 names */
export async function meet(upload: UploadPack): Promise<GitServer> {
  let first = await upload.greeting.next();
  // Over HTTP, "# service=git-upload-pack" and a flush come first.
  if (first?.kind === 'line' && textOf(first).startsWith('# service=')) {
    await upload.greeting.next();
    first = await upload.greeting.next();
  }
  const server =
    first?.kind === 'line' && textOf(first) === 'version 2' ? await meetNew(upload) : await meetOld(upload, first ?? { kind: 'end' });
  const format = server.capabilities.get('object-format') ?? 'sha1';
  if (format !== 'sha1')
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot read ${upload.name}: its objects are named by ${format}, not by sha1`);
  return server;
}

async function meetNew(upload: UploadPack): Promise<GitServer> {
  const capabilities = new Map<string, string>();
  for (const line of await linesUntilFlush(upload, upload.greeting)) {
    const [name = '', value = ''] = line.split(/=(.*)/s, 2);
    capabilities.set(name, value);
  }
  return { upload, version: 2, capabilities, advertised: [] };
}

async function meetOld(upload: UploadPack, first: Packet): Promise<GitServer> {
  const lines = await linesUntilFlush(upload, upload.greeting, first);
  if (lines[0] === 'version 1') lines.shift();
  const [, told = ''] = (lines[0] ?? '').split('\0', 2);
  const capabilities = new Map(
    told
      .split(' ')
      .filter((word) => word !== '')
      .map((word) => {
        const [name = '', value = ''] = word.split(/=(.*)/s, 2);
        return [name, value];
      }),
  );
  if (lines.length === 0) throw new BuilderError('ERR_CONTEXT', `Cannot read ${upload.name}: the server said nothing`);
  const rows = lines.map((line) => /^([0-9a-f]{40}) ([^\0]+)/.exec(line)).filter((row) => row !== null);
  const peeled = new Map(rows.filter((row) => row[2]?.endsWith('^{}')).map((row) => [row[2]?.slice(0, -3), row[1]]));
  const advertised = rows
    .filter((row) => !row[2]?.endsWith('^{}'))
    .map(([, id = '', name = '']) => ({ id, name, peeled: peeled.get(name) }));
  return { upload, version: 0, capabilities, advertised };
}

/** The refs whose names begin with one of `prefixes`. @throws ERR_CONTEXT */
export async function listRefs(server: GitServer, prefixes: readonly string[]): Promise<readonly Ref[]> {
  if (server.version === 0) return server.advertised.filter(({ name }) => prefixes.some((prefix) => name.startsWith(prefix)));
  const question = [
    linePacket('command=ls-refs\n'),
    linePacket(`${agent}\n`),
    delimiterPacket,
    linePacket('peel\n'),
    ...prefixes.map((prefix) => linePacket(`ref-prefix ${prefix}\n`)),
    flushPacket,
  ];
  const { upload } = server;
  const lines = await linesUntilFlush(upload, await upload.ask(Buffer.concat(question)));
  return lines.flatMap((line) => {
    const [id = '', name = '', ...attributes] = line.split(' ');
    if (!/^[0-9a-f]{40}$/.test(id)) return []; // "unborn HEAD"
    return [{ id, name, peeled: attributes.find((attribute) => attribute.startsWith('peeled:'))?.slice('peeled:'.length) }];
  });
}

/**
 * Asks for commits and all that they need; the pack's bytes go to `write`. A depth of 0 is the whole history.
 * @throws ERR_CONTEXT with the server's words
 */
export async function fetchPack(
  server: GitServer,
  wants: readonly string[],
  depth: number,
  write: (bytes: Buffer) => Promise<void>,
): Promise<Fetched> {
  const { upload } = server;
  const shallow: string[] = [];
  const knowsShallow =
    server.version === 2 ? server.capabilities.get('fetch')?.split(' ').includes('shallow') === true : server.capabilities.has('shallow');
  const deepen = depth > 0 && knowsShallow ? [linePacket(`deepen ${depth}\n`)] : [];
  const question = server.version === 2 ? newQuestion(wants, deepen) : oldQuestion(server, wants, deepen);
  const answer = await upload.ask(Buffer.concat(question));
  for (let left = listLimitBytes; ;) {
    const packet = await answer.next();
    if (packet === undefined) throw new BuilderError('ERR_CONTEXT', `Cannot fetch from ${upload.name}: its answer was cut off`);
    left -= lineCostBytes + (packet.kind === 'line' ? packet.bytes.length : 0);
    if (left < 0) throw tooLong(upload);
    if (packet.kind !== 'line') continue;
    const text = packet.bytes.length > 1000 ? '' : textOf(packet);
    if (text.startsWith('ERR ')) {
      await answer.close();
      if (/not our ref|unadvertised object/i.test(text)) return { kind: 'refused', reason: words(text.slice(4)) };
      throw spoken(upload, text);
    }
    if (/^shallow [0-9a-f]{40}$/.test(text)) shallow.push(text.slice('shallow '.length));
    else if (text === 'packfile' || text === 'NAK') break;
  }
  await readSideband(upload, answer, write);
  return { kind: 'pack', shallow };
}

function newQuestion(wants: readonly string[], deepen: readonly Buffer[]): readonly Buffer[] {
  const lines = ['no-progress\n', 'ofs-delta\n', ...wants.map((id) => `want ${id}\n`)];
  return [
    linePacket('command=fetch'),
    linePacket(agent),
    delimiterPacket,
    ...lines.map((line) => linePacket(line)),
    ...deepen,
    linePacket('done\n'),
    flushPacket,
  ];
}

function oldQuestion(server: GitServer, wants: readonly string[], deepen: readonly Buffer[]): readonly Buffer[] {
  if (!server.capabilities.has('side-band-64k'))
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot fetch from ${server.upload.name}: its protocol is too old (no side-band-64k)`);
  const asked = ['side-band-64k', 'ofs-delta', 'no-progress', 'shallow'].filter((name) => server.capabilities.has(name));
  const lines = wants.map((id, index) => linePacket(index === 0 ? `want ${id} ${[...asked, agent].join(' ')}\n` : `want ${id}\n`));
  return [...lines, ...deepen, flushPacket, linePacket('done\n')];
}

async function readSideband(upload: UploadPack, answer: PacketReader, write: (bytes: Buffer) => Promise<void>): Promise<void> {
  for (let left = listLimitBytes; ;) {
    const packet = await answer.next();
    if (packet === undefined || packet.kind !== 'line') return; // a pack knows where it ends, so a cut is found later
    const [band] = packet.bytes;
    if (band === 1) await write(packet.bytes.subarray(1));
    else if (band === 3) throw spoken(upload, packet.bytes.toString('utf8', 1));
    else if (band !== 2) throw spoken(upload, textOf(packet));
    // Words about its work, which nobody asked for, and signs of life.
    else if ((left -= packet.bytes.length + lineCostBytes) < 0) throw tooLong(upload);
  }
}

async function linesUntilFlush(upload: UploadPack, reader: PacketReader, first?: Packet): Promise<string[]> {
  const lines: string[] = [];
  let left = listLimitBytes;
  for (let packet = first ?? (await reader.next()); packet?.kind === 'line'; packet = await reader.next()) {
    left -= packet.bytes.length + lineCostBytes;
    if (left < 0) throw tooLong(upload);
    lines.push(checkedLine(upload, packet));
  }
  return lines;
}

function tooLong({ name }: UploadPack): BuilderError {
  return new BuilderError('ERR_CONTEXT', `Cannot read ${name}: the server sends a list that is too long`);
}

function checkedLine(upload: UploadPack, packet: { readonly bytes: Buffer }): string {
  const line = textOf(packet);
  if (line.startsWith('ERR ')) throw spoken(upload, line);
  return line;
}

// A server's words go to a terminal: no control characters, no novels.
function words(text: string): string {
  return text
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, 300);
}

function spoken(upload: UploadPack, text: string): BuilderError {
  return new BuilderError('ERR_CONTEXT', `Cannot read ${upload.name}: the server says "${words(text.replace(/^ERR /, ''))}"`);
}
