// What every registry must do for our client; run against the fake and the real one, so that the fake can't lie.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buffer } from 'node:stream/consumers';
import { setImmediate } from 'node:timers/promises';
import { RegistryError } from '../../src/errors.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { copyImage } from '../../src/oci/copy-image.ts';
import { MediaType } from '../../src/oci/media-type.ts';
import { parseReference } from '../../src/oci/reference.ts';
import type { RegistryClientOptions } from '../../src/registry/client.ts';
import { Repository } from '../../src/registry/repository.ts';
import { createTransport } from '../../src/registry/transport.ts';
import { anonymous } from '../../src/registry/credentials.ts';
import { namesFromTable } from '../../src/registry/names.ts';
import { imageMemory } from './image-memory.ts';
import { growingLayer, layerOf, platform, someBytes, storedOf } from './image.ts';
import { type TestClient, testClient as openClient } from './registry-client.ts';
import { patchBlob, putBlob, startUpload, uploadStatus } from '../../src/registry/upload-verbs.ts';

export interface ContractOptions {
  readonly skip?: string | false;
  /** False for a registry that answers mounts by beginning uploads. */
  readonly mounts?: boolean;
  /** False for one that does not say which blobs it has. */
  readonly heads?: boolean;
  /** Where its repositories are: one name, or several with slashes. */
  readonly within?: string;
}

/** Registers the suite; `host`, and what clients need to get there, are asked for when the tests run. */
export function registryContract(
  name: string,
  host: () => string,
  options: () => Partial<RegistryClientOptions> = () => ({}),
  { skip = false, mounts = true, heads = true, within = 'contract' }: ContractOptions = {},
): void {
  const at = (): string => `${host()}/${within}`;
  const exists = heads ? 'exists' : 'transferred';
  const mounted = mounts ? 'mounted' : 'transferred';
  const contract = (title: string, work: () => Promise<void>): unknown => test(`${name}: ${title}`, { skip }, work);
  const testClient = (): TestClient => openClient(options());
  const { signal } = new AbortController();
  contract('an image that was pushed can be pulled, byte for byte', async () => {
    await using client = testClient();
    const content = someBytes(300_000);
    const image = storedOf(layerOf(content), layerOf(Buffer.alloc(0)));
    const reference = parseReference(`${at()}/image:v1`);
    const [pushed] = await client.pushImage(image, [reference], {}, signal);
    assert.equal(pushed?.digest, image.manifest.digest);
    const pulled = await client.pullImage(reference, platform, signal);
    assert.equal(pulled.digest, pushed?.digest);
    assert.deepEqual(pulled.image.config, image.image.config);
    const [layer] = pulled.image.layers;
    assert.ok(layer !== undefined);
    assert.deepEqual(await buffer(layer.open(signal)), content);
    const again = await client.pullImage({ ...reference, digest: pulled.digest }, platform, signal);
    assert.equal(again.digest, pulled.digest);
  });

  contract('a second push sends no blob again, and another repository gets them by mounting', async () => {
    await using first = testClient();
    const image = storedOf(layerOf(someBytes(50_000)));
    const reference = parseReference(`${at()}/source:v1`);
    await first.pushImage(image, [reference], {}, signal);
    await using client = testClient();
    await client.pushImage(image, [reference, { ...reference, tag: 'v2' }], {}, signal);
    const pulled = await client.pullImage({ ...reference, tag: 'v2' }, platform, signal);
    await client.pushImage(pulled, [parseReference(`${at()}/mounted:v1`)], {}, signal);
    const how = client.events.flatMap((event) =>
      event.kind === 'blob.finished' && event.direction === 'push' ? [`${event.repository.split('/').at(-1)} ${event.how}`] : [],
    );
    assert.deepEqual(how.toSorted(), [`mounted ${mounted}`, 'mounted transferred', `source ${exists}`, `source ${exists}`].toSorted());
  });

  contract('one push to several repositories sends each blob once', async () => {
    await using client = testClient();
    const image = storedOf(layerOf(someBytes(50_000)));
    const destinations = ['one:a', 'one:b', 'two:a'].map((item) => parseReference(`${at()}/many-${item}`));
    const pushed = await client.pushImage(image, destinations, {}, signal);
    assert.deepEqual(
      pushed.map((item) => item.reference.tag),
      ['a', 'b', 'a'],
    );
    const how = client.events.flatMap((event) => (event.kind === 'blob.finished' && event.direction === 'push' ? [event.how] : []));
    assert.deepEqual(how.toSorted(), [mounted, mounted, 'transferred', 'transferred']);
  });

  contract('a layer that was pushed ahead is not sent again with its image, and later repositories mount it', async () => {
    await using client = testClient();
    const layer = layerOf(someBytes(40_000));
    const destinations = ['one:a', 'two:a'].map((item) => parseReference(`${at()}/ahead-${item}`));
    const transfers = (): readonly string[] =>
      client.events.flatMap((event) =>
        event.kind === 'blob.finished' && event.descriptor.digest === layer.descriptor.digest ? [`${event.repository} ${event.how}`] : [],
      );
    await client.pushLayer(layer, destinations, signal);
    assert.deepEqual(transfers(), [`${at()}/ahead-one transferred`]);
    await client.pushImage(storedOf(layer), destinations, {}, signal);
    assert.deepEqual(transfers(), [`${at()}/ahead-one transferred`, `${at()}/ahead-two ${mounted}`]);
  });

  contract('a layer that is sent while it is being written is sent once, and later repositories mount it', async () => {
    await using client = testClient();
    const growing = growingLayer();
    const destinations = ['one:a', 'two:a'].map((item) => parseReference(`${at()}/growing-${item}`));
    growing.write(someBytes(200_000));
    const sending = client.pushGrowing(growing, destinations, signal);
    growing.write(someBytes(100_000));
    await setImmediate();
    growing.write(someBytes(10));
    const layer = growing.end();
    await Promise.all([sending, client.pushLayer(layer, destinations, signal)]);
    await client.pushImage(storedOf(layer), destinations, {}, signal);
    const transfers = client.events.flatMap((event) =>
      event.kind === 'blob.finished' && event.descriptor.digest === layer.descriptor.digest ? [`${event.repository} ${event.how}`] : [],
    );
    assert.deepEqual(transfers, [`${at()}/growing-one transferred`, `${at()}/growing-two ${mounted}`]);
    const anew = client.events.flatMap((event) => (event.kind === 'note' && event.message.includes('sent anew') ? [event.message] : []));
    assert.deepEqual(anew, []);
    for (const destination of destinations) {
      const [pulled] = (await client.pullImage(destination, platform, signal)).image.layers;
      assert.ok(pulled !== undefined);
      assert.equal(digestOf(await buffer(pulled.open(signal))), layer.descriptor.digest);
    }
  });

  contract('a pull followed by a push changes no digest, whatever the documents look like', async () => {
    await using client = testClient();
    const memory = imageMemory();
    const layer = memory.keep(someBytes(1000), MediaType.ociLayer);
    const config = memory.keep(
      `\n{"rootfs":{"diff_ids":["${layer.digest}"]}, "docker_version":"1.0","n":1.0,"os":"linux","architecture":"amd64"}`,
      MediaType.ociConfig,
    );
    const text = `{ "layers":${JSON.stringify([layer])},"x":98765432109876543210,"config":${JSON.stringify(config)},"schemaVersion":2}\n`;
    const root = memory.keep(text, MediaType.ociManifest);
    const [first, second] = ['odd:v1', 'odd-again:v1'].map((item) => parseReference(`${at()}/${item}`));
    assert.ok(first !== undefined && second !== undefined);
    await copyImage(memory.source(root), client.openSink([first], {}), signal);
    const pulled = await client.pullImage(first, platform, signal);
    assert.deepEqual([pulled.manifest.bytes, pulled.config.bytes], [Buffer.from(text), memory.blobs.get(config.digest)]);
    const [pushed] = await client.pushImage(pulled, [second], {}, signal);
    assert.equal(pushed?.digest, root.digest);
    assert.equal((await client.openSource(second, signal)).root.bytes.toString(), text);
  });

  contract('an index is copied with all that it names, and no digest changes', async () => {
    await using client = testClient();
    const memory = imageMemory();
    const entries = ['amd64', 'arm64'].map((architecture) => {
      const config = memory.keep(`{"os":"linux",  "architecture":"${architecture}"}\n`, MediaType.ociConfig);
      const layers = [memory.keep(someBytes(5000), MediaType.ociLayer)];
      const text = `{"layers":${JSON.stringify(layers)},\n "config":${JSON.stringify(config)},"schemaVersion":2,"x":12345678901234567890}`;
      return { ...memory.keep(text, MediaType.ociManifest), platform: { os: 'linux', architecture } };
    });
    const text = JSON.stringify({ manifests: entries, schemaVersion: 2, mediaType: MediaType.ociIndex }, null, 3);
    const root = memory.keep(text, MediaType.ociIndex);
    const [first, second] = ['copied:v1', 'copied-on:v1'].map((item) => parseReference(`${at()}/${item}`));
    assert.ok(first !== undefined && second !== undefined);
    await copyImage(memory.source(root), client.openSink([first], {}), signal);
    assert.equal(await copyImage(await client.openSource(first, signal), client.openSink([second], {}), signal), root.digest);
    const source = await client.openSource(second, signal);
    assert.equal(source.root.bytes.toString(), text);
    const back = imageMemory();
    await copyImage(source, back.sink, signal);
    assert.deepEqual(back.blobs, new Map([...back.blobs.keys()].map((digest) => [digest, memory.blobs.get(digest)])));
    assert.equal(back.blobs.size, memory.blobs.size);
    const again = client.events.filter(
      (event) => event.kind === 'blob.finished' && event.direction === 'push' && event.repository.endsWith('copied-on'),
    );
    assert.deepEqual(
      again.map((event) => event.kind === 'blob.finished' && event.how),
      again.map(() => mounted),
    );
    assert.equal(again.length, 4);
  });

  contract('a name that is not there is undefined to findImage() and a 404 to pullImage()', async () => {
    await using client = testClient();
    const reference = parseReference(`${at()}/nothing:here`);
    assert.equal(await client.findImage(reference, platform, signal), undefined);
    assert.equal(await client.resolve(reference, signal), undefined);
    await assert.rejects(client.pullImage(reference, platform, signal), (error) => error instanceof RegistryError && error.status === 404);
  });

  contract('checkPush() leaves nothing behind', async () => {
    await using client = testClient();
    await client.checkPush(parseReference(`${at()}/probe`), signal);
    assert.equal(await client.resolve(parseReference(`${at()}/probe:latest`), signal), undefined);
  });

  contract('a blob can be sent in chunks, and its upload asked how far it is', async () => {
    const reference = parseReference(`${at()}/chunks`);
    const common = { names: namesFromTable(new Map()), hostRules: () => ({}), userAgent: 'yadokari-test', credentials: anonymous };
    const { credentials, ...reached } = { ...common, ...options() };
    const transport = createTransport(reached);
    try {
      const base = await transport.baseUrl(reference.registry, signal);
      const repository = new Repository({ reference, base, transport, credentials });
      const content = someBytes(250_001);
      let place = (await startUpload(repository, signal)).location;
      for (let start = 0; start < content.length; start += 100_000) {
        const part = content.subarray(start, start + 100_000);
        place = (await patchBlob(repository, place, start, { open: () => part, sizeBytes: part.length }, signal)).location;
      }
      assert.equal((await uploadStatus(repository, place, signal))?.doneBytes, content.length);
      await putBlob(repository, place, layerOf(content).descriptor, undefined, signal);
      assert.equal(await repository.hasBlob(digestOf(content), signal), heads ? 'yes' : 'unknown');
    } finally {
      await transport.close();
    }
  });

  contract('a wrong digest is refused', async () => {
    await using client = testClient();
    const layer = layerOf(someBytes(1000));
    const wrong = { ...layer, open: () => layerOf(someBytes(1000)).open(signal) };
    await assert.rejects(
      client.pushImage(storedOf(wrong), [parseReference(`${at()}/wrong:v1`)], {}, signal),
      /DIGEST_INVALID|BLOB_UPLOAD_INVALID/,
    );
  });
}
