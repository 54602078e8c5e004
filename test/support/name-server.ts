// A name server over UDP that answers as it is told to.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIP } from 'node:net';

/** Addresses of the type that was asked for; an answer that there are none; or no answer at all. */
export type NameAnswer = readonly string[] | 'no such name' | 'server failure' | 'silence';

/** Starts one on port 53 of an address; undefined where it may not be opened. The answer stops it. */
export async function startNameServer(
  address: string,
  answer: (name: string, type: 'A' | 'AAAA') => NameAnswer,
): Promise<(() => void) | undefined> {
  const server = createSocket(isIP(address) === 4 ? 'udp4' : 'udp6', (query, peer) => {
    const { name, end } = question(query);
    const given = answer(name, query.readUInt16BE(end - 4) === 1 ? 'A' : 'AAAA');
    if (given === 'silence') return;
    const records = typeof given === 'string' ? [] : given.map(record);
    const head = Buffer.from(query.subarray(0, end));
    head.writeUInt16BE(given === 'no such name' ? 0x8183 : given === 'server failure' ? 0x8182 : 0x8180, 2);
    head.writeUInt16BE(records.length, 6);
    head.writeUInt32BE(0, 8);
    server.send(Buffer.concat([head, ...records]), peer.port, peer.address);
  });
  try {
    await once(server.bind(53, address), 'listening');
  } catch {
    return undefined;
  }
  return () => void server.close();
}

/** An answer of a minute for the name of the question. */
function record(address: string): Buffer {
  const isV4 = isIP(address) === 4;
  const bytes = isV4 ? address.split('.').map(Number) : wordsOf(address).flatMap((word) => [word >> 8, word & 0xff]);
  return Buffer.from([0xc0, 12, 0, isV4 ? 1 : 28, 0, 1, 0, 0, 0, 60, 0, bytes.length, ...bytes]);
}

/** The eight words of an IPv6 address. */
function wordsOf(address: string): readonly number[] {
  const [head = [], tail = []] = address.split('::').map((part) => part.split(':').filter((word) => word !== ''));
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0');
  return [...head, ...zeros, ...tail].map((word) => Number.parseInt(word, 16));
}

function question(query: Buffer): { readonly name: string; readonly end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += length + 1;
  }
  return { name: labels.join('.'), end: at + 5 };
}
