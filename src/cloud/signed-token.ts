// JSON web tokens that a client proves itself with: RFC 7519, signed as RFC 7518 has RS256.
import { type KeyLike, createSign } from 'node:crypto';

/** A token with these claims; `head` goes besides the algorithm. @throws where `key` is none of RSA */
export function signedToken(
  head: Readonly<Record<string, string>>,
  claims: Readonly<Record<string, string | number>>,
  key: KeyLike,
): string {
  const parts = [{ alg: 'RS256', typ: 'JWT', ...head }, claims];
  const text = parts.map((part) => Buffer.from(JSON.stringify(part), 'utf8').toString('base64url')).join('.');
  return `${text}.${createSign('RSA-SHA256').update(text).sign(key, 'base64url')}`;
}
