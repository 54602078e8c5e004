import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf, isDigest, parseDigest, splitDigest } from '../../../src/oci/digest.ts';

// FIPS 180-2: the digest of "abc".
const abc = 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
const sha512 = `sha512:${'0f'.repeat(64)}`;

test('digestOf() is the sha256 digest of bytes or text', () => {
  assert.equal(digestOf('abc'), abc);
  assert.equal(digestOf(Buffer.from('abc')), abc);
});

test('parseDigest() gives back what is a digest, and splitDigest() takes it apart', () => {
  assert.deepEqual(splitDigest(parseDigest(abc)), { algorithm: 'sha256', hex: abc.slice(7) });
  assert.deepEqual(splitDigest(parseDigest(sha512)), { algorithm: 'sha512', hex: sha512.slice(7) });
});

const refused: readonly (readonly [name: string, text: string])[] = [
  ['nothing', ''],
  ['hex alone', abc.slice(7)],
  ['upper case', `sha256:${abc.slice(7).toUpperCase()}`],
  ['too few digits', abc.slice(0, -1)],
  ['too many digits', `${abc}0`],
  ['a line end behind it', `${abc}\n`],
  ['a path', `sha256:../../${'a'.repeat(58)}`],
  ['the digits of another algorithm', `sha512:${abc.slice(7)}`],
  ['an algorithm that nobody verifies', `md5:${'a'.repeat(32)}`],
];
for (const [name, text] of refused) {
  test(`parseDigest() refuses ${name}`, () => {
    assert.equal(isDigest(text), false);
    assert.throws(() => parseDigest(text), { code: 'ERR_REFERENCE', message: /^Cannot use digest .*: expected sha256:<64 hex digits>/ });
  });
}

test('parseDigest() shows no more than the beginning of a long text', () => {
  assert.throws(
    () => parseDigest('x'.repeat(10_000)),
    (error) => error instanceof Error && error.message.length < 300,
  );
});
