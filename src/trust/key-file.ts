// A private key as cosign and skopeo keep it: PKCS #8, encrypted by a passphrase with scrypt and NaCl's secretbox, in JSON, in PEM.
// github.com/secure-systems-lab/go-securesystemslib, encrypted; sigstore/cosign, pkg/cosign/keys.go
import { type KeyObject, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, scryptSync } from 'node:crypto';
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js';
import { BuilderError, messageOf, orElse } from '../errors.ts';
import { type Json, formatJson, jsonObject, parseJson } from '../oci/json.ts';
import { isSignatureKey } from './signature.ts';

const armour = /-----BEGIN ENCRYPTED (COSIGN|SIGSTORE) PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END ENCRYPTED \1 PRIVATE KEY-----/;

/** skopeo 1.9 and cosign 1 read keys with these alone; newer ones read them, too. */
const usualCost = { N: 32_768, r: 8, p: 1 } as const;
/** Beyond them a key file would take the builder's memory or its time. */
const memoryLimitBytes = 256 * 1024 * 1024;
const parallelLimit = 4;

/** The key in `text`; `name` is what messages call it. @throws ERR_USAGE for what is no such key, or another passphrase */
export function readPrivateKey(text: string, passphrase: Buffer, name: string): KeyObject {
  const fail = (why: string, hint?: string): BuilderError => new BuilderError('ERR_USAGE', `Cannot use the key ${name}: ${why}`, { hint });
  const base64 = armour.exec(text)?.[2];
  if (base64 === undefined)
    throw /PRIVATE KEY-----/.test(text)
      ? fail('it is not encrypted as cosign and skopeo keep keys', 'cosign import-key-pair makes such a file of it')
      : fail('it holds no private key of cosign or skopeo', 'yadokari generate-sigstore-key makes one');
  const box = orElse(
    () => readBox(Buffer.from(base64, 'base64').toString('utf8')),
    (error) => {
      throw fail(error instanceof BuilderError ? error.message.replace(/^Cannot read [^:]+: /, '') : messageOf(error));
    },
  );
  const { N, r, p } = box.cost;
  if (N < 2 || !Number.isInteger(Math.log2(N)) || r < 1 || p < 1 || 128 * N * r > memoryLimitBytes || p > parallelLimit)
    throw fail(`scrypt with N=${N}, r=${r}, p=${p} takes more than is given to it`, 'cosign writes N=65536, r=8, p=1');
  const secret = orElse(
    () => deriveKey(passphrase, box.salt, box.cost),
    (error) => {
      throw fail(`scrypt with N=${N}, r=${r}, p=${p} is not done: ${messageOf(error)}`);
    },
  );
  const plain = orElse(
    () => xsalsa20poly1305(secret, box.nonce).decrypt(box.ciphertext),
    () => {
      throw fail('the passphrase is another one');
    },
  );
  const key = orElse(
    () => createPrivateKey({ key: Buffer.from(plain), format: 'der', type: 'pkcs8' }),
    () => undefined,
  );
  if (key === undefined || !isSignatureKey(key)) throw fail('it is no key of ECDSA, RSA or Ed25519');
  return key;
}

/** A new pair for ECDSA with P-256 and SHA-256, both in PEM. */
export function generateKeyPair(passphrase: Buffer): { readonly privateKey: string; readonly publicKey: string } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const [salt, nonce] = [randomBytes(32), randomBytes(24)];
  const plain = privateKey.export({ format: 'der', type: 'pkcs8' });
  const ciphertext = Buffer.from(xsalsa20poly1305(deriveKey(passphrase, salt, usualCost), nonce).encrypt(plain));
  const box = jsonObject({
    kdf: jsonObject({ name: 'scrypt', params: jsonObject(usualCost), salt: salt.toString('base64') }),
    cipher: jsonObject({ name: 'nacl/secretbox', nonce: nonce.toString('base64') }),
    ciphertext: ciphertext.toString('base64'),
  });
  const lines =
    Buffer.from(formatJson(box))
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  // The older of the two names: what came before it reads no other.
  const [begin, end] = ['BEGIN', 'END'].map((word) => `-----${word} ENCRYPTED COSIGN PRIVATE KEY-----\n`);
  const publicKey = createPublicKey(privateKey).export({ format: 'pem', type: 'spki' });
  return { privateKey: `${begin}${lines.join('\n')}\n${end}`, publicKey };
}

interface Cost {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

interface Box {
  readonly cost: Cost;
  readonly salt: Buffer;
  readonly nonce: Buffer;
  readonly ciphertext: Buffer;
}

/** @throws ERR_LAYER, RangeError for what is no box */
function readBox(text: string): Box {
  const member = (value: Json | undefined, name: string): Json | undefined => (value instanceof Map ? value.get(name) : undefined);
  const bytes = (value: Json | undefined, what: string): Buffer => {
    if (typeof value === 'string' && value !== '') return Buffer.from(value, 'base64');
    throw new RangeError(`it has no ${what}`);
  };
  const count = (value: Json | undefined): number => (typeof value === 'number' && Number.isSafeInteger(value) ? value : 0);
  const root = parseJson(text, 'the key');
  const [kdf, cipher] = [member(root, 'kdf'), member(root, 'cipher')];
  const names = [member(kdf, 'name'), member(cipher, 'name')];
  if (names[0] !== 'scrypt' || names[1] !== 'nacl/secretbox') throw new RangeError('it is not encrypted by scrypt and nacl/secretbox');
  const params = member(kdf, 'params');
  const [N, r, p] = ['N', 'r', 'p'].map((name) => count(member(params, name)));
  const nonce = bytes(member(cipher, 'nonce'), 'nonce');
  if (nonce.length !== 24) throw new RangeError('its nonce has not 24 bytes');
  const rest = { nonce, salt: bytes(member(kdf, 'salt'), 'salt'), ciphertext: bytes(member(root, 'ciphertext'), 'ciphertext') };
  return { cost: { N: N ?? 0, r: r ?? 0, p: p ?? 0 }, ...rest };
}

function deriveKey(passphrase: Buffer, salt: Buffer, { N, r, p }: Cost): Buffer {
  return scryptSync(passphrase, salt, 32, { N, r, p, maxmem: 2 * memoryLimitBytes });
}
