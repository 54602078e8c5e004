// Keys as cosign and skopeo keep them.
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { generateKeyPair, readPrivateKey } from '../../../src/trust/key-file.ts';
import { isSignedBy, parsePayload, readPublicKey, signPayload } from '../../../src/trust/signature.ts';

const passphrase = Buffer.from('a pass phrase');
const pair = generateKeyPair(passphrase);

/** The box of a key with members changed. */
function changed(
  change: (box: { kdf: { params: Record<string, number> }; cipher: Record<string, string>; ciphertext: string }) => void,
): string {
  const text = pair.privateKey.replaceAll(/-----[A-Z ]+-----|\s/g, '');
  const box = JSON.parse(Buffer.from(text, 'base64').toString());
  change(box);
  return armoured(Buffer.from(JSON.stringify(box)), 'COSIGN');
}

function armoured(bytes: Buffer, kind: string): string {
  return `-----BEGIN ENCRYPTED ${kind} PRIVATE KEY-----\n${bytes.toString('base64')}\n-----END ENCRYPTED ${kind} PRIVATE KEY-----\n`;
}

test('generateKeyPair() makes a key that readPrivateKey() reads by its passphrase, and the public one of it', () => {
  const key = readPrivateKey(pair.privateKey, passphrase, 'x.key');
  const payload = Buffer.from('payload');
  assert.equal(isSignedBy(payload, signPayload(payload, key), readPublicKey(pair.publicKey, 'x.pub')), true);
  assert.equal(isSignedBy(Buffer.from('other'), signPayload(payload, key), createPublicKey(key)), false);
  const newer = pair.privateKey.replaceAll('COSIGN', 'SIGSTORE');
  assert.ok(readPrivateKey(newer, passphrase, 'x.key').equals(key));
});

for (const [name, text, says] of [
  ['another passphrase', pair.privateKey, /^Cannot use the key x\.key: the passphrase is another one$/],
  ['what is no key', 'hello', /it holds no private key of cosign or skopeo/],
  ['a public key', pair.publicKey, /it holds no private key/],
  [
    'a key that is not encrypted',
    generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }),
    /it is not encrypted/,
  ],
  ['a key whose content is no JSON', armoured(Buffer.from('x'), 'COSIGN'), /Cannot use the key x\.key: Unexpected token/],
  ['another cipher', changed(({ cipher }) => (cipher['name'] = 'aes')), /it is not encrypted by scrypt and nacl\/secretbox/],
  ['a short nonce', changed(({ cipher }) => (cipher['nonce'] = 'AAAA')), /its nonce has not 24 bytes/],
  [
    'a cost of 128 GB',
    changed(({ kdf }) => (kdf.params['N'] = 2 ** 27)),
    /scrypt with N=134217728, r=8, p=1 takes more than is given to it/,
  ],
  ['a cost of hours', changed(({ kdf }) => (kdf.params['p'] = 1_000_000)), /p=1000000 takes more/],
  ['a cost that is no power of two', changed(({ kdf }) => (kdf.params['N'] = 3)), /N=3, r=8, p=1 takes more/],
  ['a cost that scrypt has not', changed(({ kdf }) => Object.assign(kdf.params, { N: 65536, r: 1 })), /N=65536, r=1, p=1 is not done: /],
  ['a cost of nothing', changed(({ kdf }) => (kdf.params = {})), /N=0, r=0, p=0 takes more/],
  ['a ciphertext that was cut', changed((box) => (box.ciphertext = box.ciphertext.slice(0, 8))), /the passphrase is another one/],
] as const)
  test(`readPrivateKey() refuses ${name}`, () => {
    assert.throws(() => readPrivateKey(text, name === 'another passphrase' ? Buffer.from('other') : passphrase, 'x.key'), {
      message: says,
      code: 'ERR_USAGE',
    });
  });

test('readPublicKey() takes RSA and Ed25519, but no short and no other key', () => {
  const pem = (key: ReturnType<typeof createPublicKey>): string => key.export({ format: 'pem', type: 'spki' });
  const payload = Buffer.from('payload');
  for (const keys of [
    generateKeyPairSync('ed25519'),
    generateKeyPairSync('rsa', { modulusLength: 2048 }),
    generateKeyPairSync('ec', { namedCurve: 'secp384r1' }),
  ])
    assert.equal(isSignedBy(payload, signPayload(payload, keys.privateKey), readPublicKey(pem(keys.publicKey), 'k')), true);
  assert.throws(
    () => readPublicKey(pem(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey), 'k'),
    /it is no key of ECDSA, RSA or Ed25519/,
  );
  assert.throws(() => readPublicKey(pem(generateKeyPairSync('x25519').publicKey), 'k'), /it is no key of/);
  assert.throws(
    () => readPublicKey('-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----', 'k'),
    /Cannot use the key k: it is damaged/,
  );
});

interface Theirs {
  readonly tool: string;
  readonly privateKey: string;
  readonly passphrase: string;
  readonly publicKey: string;
  readonly payload: string;
  readonly signature: string;
}

const theirs: readonly Theirs[] = JSON.parse(readFileSync(join(import.meta.dirname, '../../fixtures/signatures/by-others.json'), 'utf8'));
for (const { tool, privateKey, passphrase: own, publicKey, payload, signature } of theirs)
  test(`keys and signatures of ${tool} are read as they are`, () => {
    assert.match(parsePayload(Buffer.from(payload)).identity, /^localhost:6110\//);
    const known = readPublicKey(publicKey, 'k.pub');
    assert.equal(isSignedBy(Buffer.from(payload), signature, known), true);
    assert.equal(isSignedBy(Buffer.from(payload.replace('6110', '6111')), signature, known), false);
    assert.ok(createPublicKey(readPrivateKey(privateKey, Buffer.from(own), 'k')).equals(known));
  });

test('parsePayload() takes what cosign and skopeo write, and nothing else', () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  const critical = {
    type: 'cosign container image signature',
    image: { 'docker-manifest-digest': digest },
    identity: { 'docker-reference': 'x' },
  };
  const parse = (value: object): unknown => parsePayload(Buffer.from(JSON.stringify(value)));
  assert.deepEqual(parse({ critical, optional: null }), { identity: 'x', digest });
  assert.deepEqual(parse({ critical, optional: { creator: 'skopeo', timestamp: 1 } }), { identity: 'x', digest });
  for (const value of [
    { critical: { ...critical, more: 1 } },
    { critical, also: 1 },
    { critical: { ...critical, type: 'atomic' } },
    { critical: { ...critical, image: {} } },
    [],
  ])
    assert.throws(() => parse(value), /Cannot read the payload/);
  assert.throws(() => parsePayload(Buffer.from(`{"critical":${JSON.stringify(critical)},"critical":{}}`)), /a key comes twice/);
});
