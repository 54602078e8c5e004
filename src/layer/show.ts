import { type ByteString, textFromBytes } from '../bytes.ts';

/** What a stranger wrote, for one line of a message: quoted, and cut where it is long. */
export function show(bytes: ByteString): string {
  return JSON.stringify(bytes.length > 300 ? `${textFromBytes(bytes.slice(0, 300) as ByteString)}…` : textFromBytes(bytes)); // a part of bytes
}
