// policy.json: from where images may be taken, what it asks of a signature, and what it may say at all.
import assert from 'node:assert/strict';
import { type KeyObject, generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { BuilderError, RegistryError } from '../../../src/errors.ts';
import { type Digest, digestOf } from '../../../src/oci/digest.ts';
import { parseReference, withDefaultTag } from '../../../src/oci/reference.ts';
import { noAttachmentRules, readAttachmentRules } from '../../../src/trust/attachment-rules.ts';
import { type SignatureReader } from '../../../src/trust/attachments.ts';
import { type Policy, readPolicy } from '../../../src/trust/policy.ts';
import { formatPayload, signPayload, signatureAnnotation, signatureType } from '../../../src/trust/signature.ts';

const noKeys = (path: string): never => {
  throw new BuilderError('ERR_USAGE', `Cannot read ${path}`);
};
const read = (text: string): Policy => readPolicy({ path: '/policy.json', text }, { rules: noAttachmentRules, readKey: noKeys });

const policy = read(
  JSON.stringify({
    default: [{ type: 'reject' }],
    transports: {
      docker: {
        'a.example': [{ type: 'insecureAcceptAnything' }],
        'a.example/signed': [{ type: 'insecureAcceptAnything' }, { type: 'signedBy', keyType: 'GPGKeys', keyPath: '/k' }],
        'a.example/signed/not:1': [{ type: 'insecureAcceptAnything' }],
        '*.wild.example': [{ type: 'insecureAcceptAnything' }],
      },
      oci: { '/nowhere/kept': [{ type: 'insecureAcceptAnything' }], '/nowhere/kept/bad:x': [{ type: 'reject' }] },
      'docker-archive': { '': [{ type: 'insecureAcceptAnything' }] },
    },
  }),
);
const accepted = undefined;
const rejected = /\/policy\.json rejects it/;
for (const [name, says] of [
  ['a.example/x', accepted],
  ['a.example:5000/x', rejected],
  ['a.example/signed/x', /asks for a signature \(signedBy\), and none can be verified here \(docker "a\.example\/signed"\)/],
  ['a.example/signed/not:1', accepted],
  ['a.example/signed/not:2', /signedBy/],
  ['deep.wild.example/x', accepted],
  ['wild.example/x', rejected],
  ['alpine', rejected],
] as const)
  test(`a policy ${says === undefined ? 'takes' : 'refuses'} ${name}`, () => {
    const check = (): void => policy.check({ name, transport: { name: 'docker' }, reference: parseReference(name) });
    if (says === undefined) check();
    else assert.throws(check, says);
  });

test('a policy knows folders by their path, and half a policy is none', () => {
  const oci = (path: string, imageName: string) => (): void => policy.check({ name: 'it', transport: { name: 'oci' }, path, imageName });
  oci('/nowhere/kept/deep', 'x')();
  assert.throws(oci('/nowhere/kept/bad', 'x'), rejected);
  assert.throws(oci('/nowhere/other', 'x'), rejected);
  policy.check({ name: 'it', transport: { name: 'docker-archive' }, path: '/x.tar' });
  for (const text of ['{}', '{"default":[]}', '{"default":[{"type":"maybe"}]}', '{"default":[{"type":"reject"}],"more":1}', '['])
    assert.throws(() => read(text), /^BuilderError: Cannot use \/policy\.json: /);
});

const signal = new AbortController().signal;
const digest = digestOf('the image');
const [ours, strangers] = ['prime256v1', 'prime256v1'].map((namedCurve) => generateKeyPairSync('ec', { namedCurve }));
const pem = (key: KeyObject | undefined): string => key?.export({ format: 'pem', type: 'spki' }).toString() ?? '';
const ourPem = pem(ours?.publicKey);

interface Layer {
  readonly payload: Buffer;
  readonly signature?: string;
  readonly type?: string;
  readonly size?: number;
}

/** A layer as cosign has it; what is not said is right. */
function layer(identity = 'a.example/app:1', about: Digest = digest, key = ours?.privateKey): Layer {
  const payload = formatPayload({ identity, digest: about });
  return { payload, signature: key === undefined ? '' : signPayload(payload, key) };
}

/** A registry with these layers beside one image. */
function registryWith(layers: readonly Layer[], asked: string[] = []): SignatureReader {
  return {
    openSource: async (reference, signal) => {
      asked.push(reference.tag ?? '');
      if (layers.length === 0 || reference.tag !== `${digest.replace(':', '-')}.sig`)
        throw new RegistryError('Cannot pull it: there is none', { method: 'GET', url: 'u', status: 404 });
      const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf('{}'), size: 2 };
      const described = layers.map(({ payload, signature, type = signatureType, size = payload.length }) => ({
        mediaType: type,
        digest: digestOf(payload),
        size,
        ...(signature === undefined ? {} : { annotations: { [signatureAnnotation]: signature } }),
      }));
      const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, config, layers: described }));
      const mediaType = 'application/vnd.oci.image.manifest.v1+json';
      return await Promise.resolve({
        name: 'signatures',
        root: { bytes, mediaType, digest: digestOf(bytes) },
        manifest: async () => await Promise.reject(new Error('not expected')),
        bytes: async (descriptor, limitBytes) => {
          signal.throwIfAborted();
          if (descriptor.size > limitBytes) throw new BuilderError('ERR_LAYER', `Cannot read it: it has more than ${limitBytes} bytes`);
          const found = layers.find(({ payload }) => digestOf(payload) === descriptor.digest);
          return await Promise.resolve(found?.payload ?? Buffer.alloc(0));
        },
        open: () => {
          throw new Error('not expected');
        },
      });
    },
  };
}

interface Case {
  readonly name: string;
  readonly rule?: object;
  readonly layers: readonly Layer[];
  /** Undefined where the image is taken. */
  readonly says?: RegExp;
  readonly asked?: string;
  readonly images?: readonly (readonly Digest[])[];
}

const withIdentity = (signedIdentity: object): object => ({ keyData: Buffer.from(ourPem).toString('base64'), signedIdentity });
const index = digestOf('an index');
const cases: readonly Case[] = [
  { name: 'signed by the key, by this name', layers: [layer()] },
  { name: 'with a good signature among bad ones', layers: [layer('a.example/app:1', digest, strangers?.privateKey), layer('x'), layer()] },
  {
    name: 'without a signature',
    layers: [],
    says: /asks for a signature by \/k\.pub \(docker "a\.example"\), and there is none for sha256:/,
  },
  {
    name: 'signed by another key',
    layers: [layer('a.example/app:1', digest, strangers?.privateKey)],
    says: /it was not made by this key$/,
  },
  { name: 'signed for another image', layers: [layer('a.example/other:1')], says: /it is for "a\.example\/other:1"$/ },
  { name: 'signed for another tag', layers: [layer('a.example/app:2')], says: /it is for "a\.example\/app:2"$/ },
  { name: "with cosign's name, which has no tag", layers: [layer('a.example/app')], says: /it is for "a\.example\/app"$/ },
  { name: 'with what is signed about another image', layers: [layer('a.example/app:1', index)], says: /it is about sha256:/ },
  { name: 'asked for by digest, signed by any tag', layers: [layer('a.example/app:7')], asked: `a.example/app@${digest}` },
  {
    name: 'asked for by digest, signed without a tag,',
    layers: [layer('a.example/app')],
    asked: `a.example/app@${digest}`,
    says: /it is for "a\.example\/app"$/,
  },
  {
    name: 'with a hundred names, and not this one,',
    layers: Array.from({ length: 100 }, (_, number) => layer(`a.example/app:n${number}`)),
    says: /it is for "a\.example\/app:n4"; and 95 more$/,
  },
  {
    name: 'with a payload that was changed',
    layers: [{ ...layer(), payload: formatPayload({ identity: 'a.example/app:1', digest: index }) }],
    says: /it was not made by this key/,
  },
  { name: 'with a layer without a signature', layers: [{ payload: layer().payload }], says: /it was not made by this key/ },
  { name: 'with a signature that is no base64', layers: [{ ...layer(), signature: '"><' }], says: /it was not made by this key/ },
  { name: 'with an attestation alone', layers: [{ ...layer(), type: 'application/vnd.dsse.envelope.v1+json' }], says: /there is none/ },
  {
    name: 'with a payload of 1 GB',
    layers: [{ ...layer(), size: 2 ** 30 }],
    says: /asks for a signature \(docker "a\.example"\): Cannot read it: it has more than 65536 bytes/,
  },
  {
    name: 'with 9,000 signatures',
    layers: Array.from({ length: 9000 }, () => layer('a.example/app:1', digest, undefined)),
    says: /a\.example\/app:sha256-\w+\.sig: it has 9000 signatures/,
  },
  { name: 'in an index that is signed', layers: [layer()], images: [[index, digest]] },
  { name: 'of several, one of which is not signed', layers: [layer()], images: [[digest], [index]], says: /there is none for sha256:/ },
  { name: 'by one of several keys', rule: { keyPaths: ['/other.pub', '/k.pub'] }, layers: [layer()] },
  { name: 'by a key in the policy', rule: { keyDatas: [Buffer.from(ourPem).toString('base64')] }, layers: [layer()] },
  { name: 'by a key that is not there', rule: { keyPath: '/lost' }, layers: [layer()], says: /asks for .*: Cannot read \/lost/ },
  {
    name: 'by certificates',
    rule: { fulcio: {}, rekorPublicKeyPath: '/r' },
    layers: [layer()],
    says: /sigstoreSigned with fulcio\), and none can/,
  },
  {
    name: 'by a key and a log',
    rule: { keyPath: '/k.pub', rekorPublicKeyPath: '/r' },
    layers: [layer()],
    says: /with rekorPublicKeyPath\)/,
  },
  { name: 'in the same repository', rule: withIdentity({ type: 'matchRepository' }), layers: [layer('a.example/app')] },
  { name: 'in another repository', rule: withIdentity({ type: 'matchRepository' }), layers: [layer('a.example/no')], says: /it is for/ },
  {
    name: 'exactly',
    rule: withIdentity({ type: 'matchExact' }),
    layers: [layer('a.example/app:9')],
    asked: `a.example/app@${digest}`,
    says: /is for/,
  },
  {
    name: 'as another image',
    rule: withIdentity({ type: 'exactReference', dockerReference: 'b.example/x:1' }),
    layers: [layer('b.example/x:1')],
  },
  {
    name: 'as an image of another repository',
    rule: withIdentity({ type: 'exactRepository', dockerRepository: 'b.example/x' }),
    layers: [layer('b.example/x:5')],
  },
  {
    name: 'at a mirror, by the name at home',
    rule: withIdentity({ type: 'remapIdentity', prefix: 'a.example', signedPrefix: 'home.example/team' }),
    layers: [layer('home.example/team/app:1')],
  },
  {
    name: 'whose name only begins like a prefix',
    rule: withIdentity({ type: 'remapIdentity', prefix: 'a.example/ap', signedPrefix: 'home.example/ap' }),
    layers: [layer('home.example/app:1')],
    says: /it is for "home/,
  },
];

for (const { name, rule = { keyPath: '/k.pub' }, layers, says, asked = 'a.example/app:1', images = [[digest]] } of cases)
  test(`an image ${name} is ${says === undefined ? 'taken' : 'refused'}`, async () => {
    const text = JSON.stringify({
      default: [{ type: 'reject' }],
      transports: { docker: { 'a.example': [{ type: 'sigstoreSigned', ...rule }] } },
    });
    const readKey = (path: string): string =>
      path === '/k.pub' ? ourPem : path === '/other.pub' ? pem(strangers?.publicKey) : noKeys(path);
    const wanted = readPolicy({ path: '/policy.json', text }, { rules: noAttachmentRules, readKey });
    const subject = { name: asked, transport: { name: 'docker' }, reference: withDefaultTag(parseReference(asked)) };
    const take = async (): Promise<void> => {
      wanted.check(subject);
      await wanted.verify(subject, images, registryWith(layers), signal);
    };
    if (says === undefined) await take();
    else await assert.rejects(take, { message: says });
  });

test('each of several requirements has to be met, and signatures are asked for once', async () => {
  const rule = (path: string): object => ({ type: 'sigstoreSigned', keyPath: path });
  const text = JSON.stringify({ default: [rule('/k.pub'), rule('/other.pub')] });
  const readKey = (path: string): string => pem((path === '/k.pub' ? ours : strangers)?.publicKey);
  const both = readPolicy({ path: '/policy.json', text }, { rules: noAttachmentRules, readKey });
  const subject = { name: 'it', transport: { name: 'docker' }, reference: parseReference('a.example/app:1') };
  const asked: string[] = [];
  await both.verify(subject, [[digest]], registryWith([layer(), layer('a.example/app:1', digest, strangers?.privateKey)], asked), signal);
  assert.equal(asked.length, 1);
  await assert.rejects(both.verify(subject, [[digest]], registryWith([layer()]), signal), /by \/other\.pub \(its default\)/);
});

test('signatures are read in registries alone, and where registries.d does not switch them off', async () => {
  const text = JSON.stringify({ default: [{ type: 'sigstoreSigned', keyPath: '/k.pub' }] });
  const rules = readAttachmentRules([
    { path: '/d/a.yaml', text: 'default-docker:\n  use-sigstore-attachments: true\n' },
    {
      path: '/d/b.yaml',
      text: 'docker:\n  a.example/off:\n    use-sigstore-attachments: false\n  a.example/off/on:\n    use-sigstore-attachments: true\n',
    },
  ]);
  const signed = readPolicy({ path: '/policy.json', text }, { rules, readKey: () => ourPem });
  const verify = async (name: string): Promise<void> => {
    const subject = { name, transport: { name: 'docker' }, reference: parseReference(name) };
    await signed.verify(subject, [[digest]], registryWith([layer(name)]), signal);
  };
  await verify('a.example/app:1');
  await verify('a.example/off/on:1');
  await assert.rejects(verify('a.example/off:1'), /and \/d\/b\.yaml switches sigstore attachments off for it/);
  assert.throws(() => signed.check({ name: 'oci:x', transport: { name: 'oci' }, path: '/x' }), /signatures are read in registries alone/);
  const twice = ['/d/a.yaml', '/d/b.yaml'].map((path) => ({ path, text: 'docker: {x: {use-sigstore-attachments: true}}' }));
  assert.throws(() => readAttachmentRules(twice), /Cannot use \/d\/b\.yaml: x is in \/d\/a\.yaml, too/);
  assert.throws(() => readAttachmentRules([{ path: '/d', text: 'docker: {x: {use-sigstore-attachments: 1}}' }]), /neither true nor false/);
});

test('a requirement that is only half said makes no policy', () => {
  const rules: readonly (readonly [object, RegExp])[] = [
    [{}, /has none of keyPath, keyPaths/],
    [{ keyPath: '/k', keyData: 'x' }, /has several of/],
    [{ keyPath: 7 }, /has a keyPath that is no text/],
    [{ keyPaths: [] }, /has a keyPaths that is no text/],
    [{ keyPath: '/k', signedIdentities: {} }, /has signedIdentities, which is unknown/],
    [{ keyPath: '/k', signedIdentity: { type: 'any' } }, /signedIdentity has the type "any", which is unknown/],
    [{ keyPath: '/k', signedIdentity: { type: 'exactReference' } }, /signedIdentity has no dockerReference/],
    [{ keyPath: '/k', signedIdentity: { type: 'matchExact', prefix: 'x' } }, /signedIdentity has prefix, which is unknown/],
    [
      { keyPath: '/k', signedIdentity: { type: 'exactReference', dockerReference: 'a.example/x' } },
      /signedIdentity has the dockerReference "a\.example\/x", which is no name with a tag/,
    ],
    [{ keyPath: '/k', signedIdentity: { type: 'exactRepository', dockerRepository: 'A/B:' } }, /"A\/B:", which is no name/],
    [
      { keyPath: '/k', signedIdentity: { type: 'remapIdentity', prefix: 'a.example/', signedPrefix: 'b.example' } },
      /the prefix "a\.example\/", which is no host with what may follow/,
    ],
    [{ keyPath: '/k', signedIdentity: { type: 'remapIdentity', prefix: 'a.example', signedPrefix: 'team' } }, /the prefix "team"/],
  ];
  for (const [rule, says] of rules) assert.throws(() => read(JSON.stringify({ default: [{ type: 'sigstoreSigned', ...rule }] })), says);
  for (const type of ['insecureAcceptAnything', 'reject'])
    assert.throws(
      () => read(JSON.stringify({ default: [{ type, keyPath: '/k' }] })),
      new RegExp(`a requirement of default has keyPath, which is unknown for ${type}`),
    );
});

test("a policy knows images of Docker's engine by their names", () => {
  const wanted = read(
    JSON.stringify({
      default: [{ type: 'insecureAcceptAnything' }],
      transports: { 'docker-daemon': { 'docker.io/library/bad': [{ type: 'reject' }] } },
    }),
  );
  const check = (imageName: string): void => wanted.check({ name: imageName, transport: { name: 'docker-daemon' }, imageName });
  check('docker.io/library/good:1');
  check(digest);
  assert.throws(() => check('docker.io/library/bad:1'), rejected);
});
