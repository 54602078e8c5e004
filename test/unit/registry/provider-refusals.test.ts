// What providers refuse in their own words, and what we make of it: an error that says what to do, or success where that was asked for.
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { RegistryError } from '../../../src/errors.ts';
import { storedManifest } from '../../../src/oci/manifest.ts';
import { MediaType } from '../../../src/oci/media-type.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { type Fault, answer, startFakeRegistry } from '../../support/fake-registry.ts';
import { freshRegistry } from '../../support/fresh-registry.ts';
import { layerOf, someBytes, storedOf } from '../../support/image.ts';
import { imageMemory } from '../../support/image-memory.ts';
import { passwordFor, testClient } from '../../support/registry-client.ts';

const { signal } = new AbortController();
const at = freshRegistry();
const push = async (options = {}): Promise<string | undefined> => {
  const [pushed] = await at.client.pushImage(storedOf(layerOf(someBytes(10))), [at.named('app/image:v1')], options, signal);
  return pushed?.digest;
};

const immutable: readonly (readonly [provider: string, act: Fault['act']])[] = [
  [
    'ECR',
    answer(
      400,
      'TAG_INVALID',
      {},
      "The image tag 'v1' already exists in the 'app' repository and cannot be overwritten because the tag is immutable.",
    ),
  ],
  ['GAR', answer(400, 'MANIFEST_INVALID', {}, 'Cannot update tag v1. The repository has enabled tag immutability')],
  ['Harbor', answer(412, 'PRECONDITION', {}, "Failed to process request due to 'app/image:v1' configured as immutable.")],
];
for (const [provider, act] of immutable)
  test(`an immutable tag of ${provider} is known by its words`, async () => {
    const old = await push();
    at.registry.inject({ method: 'PUT', path: /manifests/, times: 2, act });
    await assert.rejects(push(), { hint: /--push-ignore-immutable-tag-errors/ });
    assert.equal(await push({ ignoreImmutableTags: true }), old);
    assert.equal(await at.client.resolve(at.named('app/image:v1'), signal), old);
  });

const refusals: readonly {
  readonly name: string;
  readonly fault: Fault;
  readonly code: string;
  readonly says: RegExp;
  readonly hint: RegExp;
  readonly waits?: number;
}[] = [
  {
    name: 'ECR does not have the repository',
    fault: { method: 'POST', path: /uploads/, act: answer(404, 'NAME_UNKNOWN', {}, "The repository with name 'app/image' does not exist") },
    code: 'ERR_REGISTRY',
    says: /404 NAME_UNKNOWN: The repository with name 'app\/image' does not exist$/,
    hint: /created before the first push/,
  },
  {
    name: 'Harbor only passes another registry on there',
    fault: { method: 'POST', path: /uploads/, act: answer(405, 'UNSUPPORTED', {}, 'can not push artifact to a proxy project') },
    code: 'ERR_REGISTRY',
    says: /405 UNSUPPORTED: can not push artifact to a proxy project$/,
    hint: /read-only, such as a cache of another registry/,
  },
  {
    name: 'Docker Hub has had enough of us for hours',
    fault: {
      method: 'POST',
      path: /uploads/,
      act: answer(429, 'TOOMANYREQUESTS', { 'retry-after': '21600' }, 'You have reached your limit'),
    },
    code: 'ERR_REGISTRY',
    says: /429 TOOMANYREQUESTS: You have reached your limit and asks to be left alone for 360 minutes$/,
    hint: /many registries allow more to those who log in/,
  },
  {
    name: 'zot takes no images of the kind',
    fault: { method: 'PUT', path: /manifests/, act: answer(415, 'MANIFEST_INVALID', {}, 'manifest invalid') },
    code: 'ERR_REGISTRY',
    says: /415 MANIFEST_INVALID: manifest invalid$/,
    hint: /may not take oci images: try --image-format=docker/,
  },
  {
    name: 'GHCR denies the package',
    fault: { method: 'POST', path: /uploads/, act: answer(403, 'DENIED', {}, 'permission_denied: write_package') },
    code: 'ERR_AUTH',
    says: /403 DENIED: permission_denied: write_package$/,
    hint: /^give credentials for 127\.0\.0\.1:\d+: none were found/,
  },
];
for (const { name, fault, code, says, hint } of refusals)
  test(`${name}: one error, at once, with what to do`, async () => {
    at.registry.inject({ ...fault, times: 100 });
    await assert.rejects(push(), (error) => {
      assert.ok(error instanceof RegistryError);
      assert.equal(error.code, code);
      assert.match(error.message, says);
      assert.match(error.hint ?? '', hint);
      return true;
    });
    assert.deepEqual(at.client.waits, []);
    assert.equal(at.registry.manifests.size, 0);
  });

test('GHCR denies what is not there to who has no credentials: a cache is a miss, and a pull says what it may be', async () => {
  at.registry.inject({
    method: 'GET',
    path: /manifests/,
    times: 2,
    act: answer(403, 'DENIED', {}, 'requested access to the resource is denied'),
  });
  await assert.rejects(at.client.pullImage(at.named('app/none:v1'), { os: 'linux', architecture: 'amd64' }, signal), (error) => {
    assert.ok(error instanceof RegistryError);
    assert.equal(error.code, 'ERR_AUTH');
    assert.match(error.hint ?? '', /credentials/);
    return true;
  });
});

test('GAR lists no referrers and lets no tag change: the second referrer of an image says what to exempt', async () => {
  const subject = storedOf(layerOf(someBytes(10)));
  await at.client.pushImage(subject, [at.named('app/image:v1')], {}, signal);
  const sink = at.client.openSink([at.named('app/image:v1')], {});
  const about = async (type: string): Promise<void> => {
    const memory = imageMemory();
    const config = memory.keep('{}', 'application/vnd.oci.empty.v1+json');
    const { mediaType, digest, bytes } = subject.manifest;
    const root = {
      schemaVersion: 2,
      mediaType: MediaType.ociManifest,
      artifactType: type,
      config,
      layers: [config],
      subject: { mediaType, digest, size: bytes.length },
    };
    await sink.writeBlobs([{ descriptor: config, open: () => Readable.from([Buffer.from('{}')], { objectMode: false }) }], signal);
    await sink.writeReferrer?.(storedManifest(Buffer.from(JSON.stringify(root)), MediaType.ociManifest), signal);
  };
  await about('text/first');
  at.registry.inject({
    method: 'PUT',
    path: /manifests\/sha256-/,
    act: answer(400, 'MANIFEST_INVALID', {}, 'Cannot update tag. The repository has enabled tag immutability'),
  });
  await assert.rejects(about('text/second'), {
    hint: /the tag sha256-[0-9a-f]{64} is that list: tags sha256-\* must be exempt from immutability$/,
  });
});

test('GHCR gives no token for pushing to who may only pull: pulling asks for no more, and the refusal is told', async () => {
  const guarded = await startFakeRegistry({ auth: { kind: 'token', user: 'me', password: 'secret' } });
  try {
    const reference = parseReference(`${guarded.host}/app/image:v1`);
    await using client = testClient({ credentials: passwordFor('me', 'secret') });
    await client.pushImage(storedOf(layerOf(someBytes(10))), [reference], {}, signal);
    guarded.inject({ path: /^\/token.*push/, times: 100, act: answer(403, 'DENIED', {}, 'requested access to the resource is denied') });
    await using reader = testClient({ credentials: passwordFor('me', 'secret') });
    await reader.pullImage(reference, { os: 'linux', architecture: 'amd64' }, signal);
    await assert.rejects(reader.checkPush(reference, signal), {
      code: 'ERR_AUTH',
      message: /403 DENIED: requested access to the resource is denied$/,
    });
    assert.deepEqual(reader.waits, []);
  } finally {
    await guarded.stop();
  }
});
