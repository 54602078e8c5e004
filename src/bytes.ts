// Names on disk are bytes, not text. A ByteString holds one byte a character (latin1), so that it is exact, sorts by
// byte, and can be a Map key; every path inside a root filesystem, a layer or a context is one.

declare const bytesBrand: unique symbol;

/** A string whose characters are bytes 0–255. */
export type ByteString = string & { readonly [bytesBrand]: true };

const nonAscii = /[\u0080-\uffff]/;

/** The bytes of `text` in UTF-8, as one character a byte. */
export function bytesFromText(text: string): ByteString {
  const bytes = nonAscii.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text;
  return bytes as ByteString; // a latin1 string by construction
}

/** The bytes of a buffer, as one character a byte. */
export function bytesFromBuffer(buffer: Uint8Array, start = 0, end = buffer.length): ByteString {
  const view = Buffer.isBuffer(buffer) ? buffer : Buffer.from(buffer.buffer, buffer.byteOffset, buffer.length);
  return view.toString('latin1', start, end) as ByteString; // latin1 by construction
}

/** For people and for JSON: the bytes read as UTF-8 (invalid ones become U+FFFD). */
export function textFromBytes(bytes: ByteString): string {
  return nonAscii.test(bytes) ? Buffer.from(bytes, 'latin1').toString('utf8') : bytes;
}

/** The bytes themselves. */
export function bufferFromBytes(bytes: ByteString): Buffer {
  return Buffer.from(bytes, 'latin1');
}

/** What node:fs takes as a path: the string itself where it is ASCII, else the exact bytes. */
export function fsPath(bytes: ByteString): string | Buffer {
  return nonAscii.test(bytes) ? Buffer.from(bytes, 'latin1') : bytes;
}

/** `parent` and `name` joined by one slash; an empty parent or `/` gives `/name`. */
export function joinBytes(parent: ByteString, name: ByteString): ByteString {
  return (parent === '/' || parent === '' ? `/${name}` : `${parent}/${name}`) as ByteString; // both halves are bytes
}
