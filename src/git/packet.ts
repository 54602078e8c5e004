// git's pkt-line framing. gitprotocol-common(5), "pkt-line Format".
import { BuilderError } from '../errors.ts';

export type Packet = { readonly kind: 'line'; readonly bytes: Buffer } | { readonly kind: 'flush' | 'delimiter' | 'end' };

/** A flush packet: the end of a list. */
export const flushPacket = Buffer.from('0000');
/** A delimiter packet: the end of a section. */
export const delimiterPacket = Buffer.from('0001');

/** One line as a packet. */
export function linePacket(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  return Buffer.concat([Buffer.from((bytes.length + 4).toString(16).padStart(4, '0')), bytes]);
}

/** A packet's text without its line end. */
export function textOf(packet: { readonly bytes: Buffer }): string {
  return packet.bytes.toString('utf8').replace(/\n$/, '');
}

/** Reads packets off a stream of bytes. */
export class PacketReader {
  readonly #source: AsyncIterator<Buffer>;
  readonly #name: string;
  #bytes: Buffer = Buffer.alloc(0);
  #isEnded = false;

  /** `name` is who speaks, for messages. */
  constructor(source: AsyncIterable<Buffer>, name: string) {
    this.#source = source[Symbol.asyncIterator]();
    this.#name = name;
  }

  /** The next packet; undefined at the end. @throws ERR_CONTEXT for what is no packet, and with the server's words for its ERR */
  async next(): Promise<Packet | undefined> {
    const head = await this.#take(4);
    if (head === undefined) return undefined;
    const text = head.toString('latin1');
    const length = /^[0-9a-f]{4}$/i.test(text) ? Number.parseInt(text, 16) : -1;
    if (length === 0) return { kind: 'flush' };
    if (length === 1) return { kind: 'delimiter' };
    if (length === 2) return { kind: 'end' };
    if (length < 4) throw new BuilderError('ERR_CONTEXT', `Cannot read from ${this.#name}: it does not speak git's protocol`);
    const bytes = length === 4 ? Buffer.alloc(0) : await this.#take(length - 4);
    if (bytes === undefined) throw cutOff(this.#name);
    return { kind: 'line', bytes };
  }

  /** Gives up the rest. */
  async close(): Promise<void> {
    this.#isEnded = true;
    await this.#source.return?.();
  }

  async #take(count: number): Promise<Buffer | undefined> {
    // Joined once: a server may send byte by byte.
    const parts = [this.#bytes];
    for (let length = this.#bytes.length; length < count && !this.#isEnded;) {
      const next = await this.#source.next();
      if (next.done === true) {
        this.#isEnded = true;
        break;
      }
      parts.push(next.value);
      length += next.value.length;
    }
    if (parts.length > 1) this.#bytes = Buffer.concat(parts);
    if (this.#bytes.length === 0) return undefined;
    if (this.#bytes.length < count) throw cutOff(this.#name);
    const taken = this.#bytes.subarray(0, count);
    this.#bytes = this.#bytes.subarray(count);
    return taken;
  }
}

function cutOff(name: string): BuilderError {
  return new BuilderError('ERR_CONTEXT', `Cannot read from ${name}: its answer was cut off`);
}
