import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, test } from 'node:test';
import { createBaseImages } from '../../../src/build/base-images.ts';
import { BuilderError } from '../../../src/errors.ts';
import type { BuildEvent } from '../../../src/events.ts';
import { openBlobStore } from '../../../src/layer/store.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { type FakeRegistry, answer, startFakeRegistry } from '../../support/fake-registry.ts';
import { layerOf, platform, someBytes, storedOf } from '../../support/image.ts';
import { testClient } from '../../support/registry-client.ts';

const { signal } = new AbortController();
const stops: (() => Promise<void>)[] = [];
after(async () => {
  for (const stop of stops) await stop();
});

/** Pulls an image of one layer as a build does, after `spoil`; gives the layer's bytes, or what went wrong. */
async function pull(
  retries: number,
  spoil: (registry: FakeRegistry, digests: { readonly config: string; readonly layer: string }) => void,
): Promise<{ readonly content: Buffer; readonly got: Buffer | undefined; readonly error: unknown; readonly warnings: readonly string[] }> {
  const registry = await startFakeRegistry();
  stops.push(registry.stop);
  await using client = testClient();
  await using folder = await mkdtempDisposable(join(tmpdir(), 'yadokari-bases-'));
  await using store = openBlobStore(folder.path);
  const content = someBytes(1000);
  const image = storedOf(layerOf(content));
  const name = `${registry.host}/app/image:v1`;
  await client.pushImage(image, [parseReference(name)], {}, signal);
  spoil(registry, { config: image.config.descriptor.digest, layer: layerOf(content).descriptor.digest });
  const events: BuildEvent[] = [];
  const bases = createBaseImages({
    resolve: async (text, wanted, abort) => (await client.pullImage(parseReference(text), wanted, abort)).image,
    store,
    retries,
    emit: (event) => events.push(event),
    signal,
  });
  let [got, error]: readonly [Buffer | undefined, unknown] = [undefined, undefined];
  try {
    const [layer] = (await bases.fetch(name, platform, true)).layers;
    if (layer !== undefined) got = await buffer((await layer.layer()).open(signal));
  } catch (failure) {
    error = failure;
  }
  const warnings = events.flatMap((event) => (event.kind === 'warning' ? [event.message.replaceAll(name, 'NAME')] : []));
  return { content, got, error, warnings };
}

/** Answers with as many bytes as there should be, but others. */
function spoiled(registry: FakeRegistry, digest: string, times: number): void {
  const size = registry.blobs.get(digest)?.length ?? 0;
  const act = (_request: unknown, response: { end: (bytes: Buffer) => unknown }): void => void response.end(Buffer.alloc(size, '{'));
  registry.inject({ method: 'GET', path: new RegExp(digest), times, act });
}

for (const part of ['config', 'layer'] as const) {
  test(`a ${part} that arrives with another digest is fetched once more, and that is told`, async () => {
    const { content, got, warnings } = await pull(0, (registry, digests) => spoiled(registry, digests[part], 1));
    assert.deepEqual(got, content);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /another digest; pulling NAME again \(1 of 1\)$/);
  });

  test(`a ${part} that arrives with another digest twice is given up`, async () => {
    const { error } = await pull(0, (registry, digests) => spoiled(registry, digests[part], 2));
    assert.match(String(error), /^BuilderError: Cannot pull .*another digest$/);
  });

  test(`a ${part} with another digest is fetched as often as was asked for, and not more`, async () => {
    const { content, got } = await pull(2, (registry, digests) => spoiled(registry, digests[part], 2));
    assert.deepEqual(got, content);
    const { error, warnings } = await pull(2, (registry, digests) => spoiled(registry, digests[part], 3));
    assert.match(String(error), /another digest$/);
    assert.equal(warnings.length, 2);
  });
}

test('what a registry refuses is final unless more tries were asked for', async () => {
  const refuse = (registry: FakeRegistry): void => registry.inject({ path: /manifests/, act: answer(400, 'MANIFEST_INVALID') });
  assert.match(String((await pull(0, refuse)).error), /answered 400/);
  const { content, got, warnings } = await pull(1, refuse);
  assert.deepEqual(got, content);
  assert.match(warnings[0] ?? '', /answered 400 .*; pulling NAME again \(1 of 1\)$/);
});

for (const [code, isHinted] of [
  ['ERR_REGISTRY', true],
  ['ERR_AUTH', true],
  ['ERR_LAYER', false],
  ['ERR_REFERENCE', false],
] as const) {
  test(`a base without a host that fails with ${code} is ${isHinted ? '' : 'not '}told to be Docker Hub’s`, async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'yadokari-bases-'));
    await using store = openBlobStore(folder.path);
    const resolve = (): never => {
      throw new BuilderError(code, 'it is spoilt');
    };
    const bases = createBaseImages({ resolve, store, retries: 0, emit: () => undefined, signal });
    await assert.rejects(bases.describe('team', platform), (error) => {
      assert.ok(error instanceof BuilderError);
      assert.equal(/Docker Hub's/.test(error.hint ?? ''), isHinted, error.hint ?? 'no hint');
      return true;
    });
  });
}
