// What was done although its answer says otherwise, or got lost, and what was not done although the answer says so.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { RegistryError } from '../../../src/errors.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { type Fault, answer } from '../../support/fake-registry.ts';
import { freshRegistry } from '../../support/fresh-registry.ts';
import { layerOf, platform, someBytes, storedOf } from '../../support/image.ts';
import { testClient } from '../../support/registry-client.ts';

const { signal } = new AbortController();
const at = freshRegistry();

/** The registry does what it is asked, and the connection dies before the answer. */
const loseAnswer: Fault['act'] = async (request, response, proceed) => {
  response.writeHead = () => response;
  response.end = () => {
    request.socket.destroy();
    return response;
  };
  await proceed();
};
/** It does what it is asked, and answers with an error. */
const doAndRefuse =
  (status: number, message: string): Fault['act'] =>
  async (request, response, proceed) => {
    const [writeHead, end] = [response.writeHead.bind(response), response.end.bind(response)];
    response.writeHead = () => response;
    response.end = () => {
      response.writeHead = writeHead;
      response.end = end;
      void answer(status, 'UNKNOWN', {}, message)(request, response, async () => await Promise.resolve());
      return response;
    };
    await proceed();
  };
const push = async (content: Buffer, name = 'app/image:v1'): Promise<string | undefined> => {
  const [pushed] = await at.client.pushImage(storedOf(layerOf(content)), [at.named(name)], {}, signal);
  return pushed?.digest;
};

test('a blob that arrived although its answer was lost is not sent again', async () => {
  const content = someBytes(100_000);
  const path = new RegExp(digestOf(content).slice(7));
  at.registry.inject({ method: 'PUT', path, act: loseAnswer });
  await push(content);
  assert.deepEqual([at.count('PUT', path), at.client.waits], [1, [1000]]);
});

test('a manifest whose answer was lost is pushed, also where its tag may not be written twice', async () => {
  at.registry.inject({ method: 'PUT', path: /manifests/, act: loseAnswer });
  at.registry.inject({ method: 'PUT', path: /manifests/, act: answer(409, 'TAG_IMMUTABLE', {}, 'the tag is immutable') });
  const digest = await push(someBytes(10));
  assert.equal(digest, await at.client.resolve(at.named('app/image:v1'), signal));
});

test('a manifest that is stored although every answer says 500 is pushed', async () => {
  at.registry.inject({ method: 'PUT', path: /manifests/, times: 100, act: doAndRefuse(500, 'no reply') });
  const digest = await push(someBytes(10));
  assert.equal(digest, await at.client.resolve(at.named('app/image:v1'), signal));
});

test('a tag that is refused and stands for another image stays a failure', async () => {
  const old = await push(someBytes(10));
  at.registry.inject({ method: 'PUT', path: /manifests/, act: answer(409, 'TAG_IMMUTABLE', {}, 'the tag is immutable') });
  await assert.rejects(push(someBytes(20)), { message: /the tag is immutable/, hint: /--push-ignore-immutable-tag-errors/ });
  assert.equal(await at.client.resolve(at.named('app/image:v1'), signal), old);
});

for (const { name, lie } of [
  { name: 'HEAD says that it is there', lie: { method: 'HEAD', path: /blobs\/sha256/, act: answer(200) } },
  {
    name: 'mounting it is answered with 201',
    lie: { method: 'POST', path: /mount=/, act: answer(201, '', { location: '/v2/app/other/blobs/x' }) },
  },
])
  test(`a blob that is not there although ${name} is sent after the manifest was refused, with a word`, async () => {
    const content = someBytes(1000);
    await push(content, 'app/source:v1');
    const pulled = await at.client.pullImage(at.named('app/source:v1'), platform, signal);
    at.registry.inject({ ...lie, times: 2 });
    await at.client.pushImage(pulled, [at.named('app/other:v1')], {}, signal);
    assert.ok(at.registry.links.has(`app/other@${digestOf(content)}`));
    assert.match(at.client.lines().join('\n'), /404 MANIFEST_BLOB_UNKNOWN: .*; sending [12] of its blobs again$/);
    assert.equal(at.count('PUT', /other\/manifests/), 2);
  });

for (const { name, head, fails } of [
  { name: 'is there', head: undefined, fails: undefined },
  { name: 'can not be asked for', head: answer(400, 'NAME_INVALID'), fails: /answered 400$/ },
])
  test(`the session that was begun beside the question is cancelled where a new blob ${name}`, async () => {
    const content = someBytes(100_000);
    await push(content);
    const [posts, puts] = [at.count('POST', /uploads/), at.count('PUT', /uploads/)];
    if (head !== undefined) at.registry.inject({ method: 'HEAD', path: new RegExp(digestOf(content).slice(7)), act: head });
    await using client = testClient();
    const again = client.pushLayer(layerOf(content), [at.named('app/image:v1')], signal);
    await (fails === undefined ? again : assert.rejects(again, fails));
    assert.deepEqual([at.count('POST', /uploads/) - posts, at.count('PUT', /uploads/) - puts, at.count('DELETE', /uploads/)], [1, 0, 1]);
  });

test('a registry that never has a blob is believed in the end', async () => {
  at.registry.inject({ method: 'PUT', path: /manifests/, times: 100, act: answer(400, 'MANIFEST_BLOB_UNKNOWN') });
  await assert.rejects(push(someBytes(10)), /400 MANIFEST_BLOB_UNKNOWN/);
  assert.equal(at.count('PUT', /manifests/), 2);
});

for (const status of [401, 403, 405, 500, 501])
  test(`a registry that answers every HEAD for a blob with ${status} gets the blobs all the same`, async () => {
    at.registry.inject({ method: 'HEAD', path: /blobs/, times: 100, act: answer(status) });
    const content = someBytes(1000);
    await push(content);
    assert.deepEqual(at.registry.blobs.get(digestOf(content)), content);
    // It is asked for all blobs as for the first: the second round costs no wait.
    const waits = at.client.waits.length;
    await push(someBytes(1000), 'app/image:v2');
    assert.equal(at.client.waits.length, waits);
  });

for (const { status, code, hint } of [
  { status: 404, code: 'NAME_UNKNOWN', hint: /repository to be created before the first push/ },
  { status: 405, code: 'UNSUPPORTED', hint: /may be read-only, such as a cache/ },
  { status: 413, code: 'SIZE_INVALID', hint: /limits the size of uploads/ },
])
  test(`a manifest that is refused with ${status} is an error at once, with a hint`, async () => {
    at.registry.inject({ method: 'PUT', path: /manifests/, times: 100, act: answer(status, code) });
    await assert.rejects(push(someBytes(10)), (error) => {
      assert.ok(error instanceof RegistryError);
      assert.match(error.message, new RegExp(`^Cannot push .*/app/image:v1: .* answered ${status} ${code}: on demand$`));
      assert.match(error.hint ?? '', hint);
      return true;
    });
    assert.deepEqual(at.client.waits, []);
    assert.equal(at.registry.manifests.size, 0);
  });

test('a manifest that is known by its sha512 is stored where the registry names its sha256, and not where it names another', async () => {
  const { manifest, ...rest } = storedOf(layerOf(someBytes(10)));
  const digest = `sha512:${createHash('sha512').update(manifest.bytes).digest('hex')}` as const;
  const stored = { ...rest, manifest: { ...manifest, digest } };
  const [pushed] = await at.client.pushImage(stored, [at.named('app/image:v1')], {}, signal);
  assert.equal(pushed?.digest, digest);
  const other = digestOf('other');
  at.registry.inject({
    method: 'PUT',
    path: /manifests/,
    act: async (_, response) => await Promise.resolve(void response.writeHead(201, { 'docker-content-digest': other }).end()),
  });
  const failed = at.client.pushImage(stored, [at.named('app/image:v2')], {}, signal);
  await assert.rejects(failed, { code: 'ERR_DIGEST_MISMATCH' });
});

/** The registry does what it is asked, and speaks of another blob in its answer. */
const nameOther: Fault['act'] = async (_, response, proceed) => {
  const writeHead = response.writeHead.bind(response);
  response.writeHead = (status: number) => writeHead(status, { 'docker-content-digest': digestOf('other'), location: '/v2/x' });
  await proceed();
};

test('a blob that the registry says it stored as another is an error that names both, and no manifest follows', async () => {
  const content = someBytes(1000);
  at.registry.inject({ method: 'PUT', path: new RegExp(digestOf(content).slice(7)), times: 100, act: nameOther });
  const says = new RegExp(
    `^Cannot push blob ${digestOf(content)} to .*: the registry says it stored ${digestOf('other')}, not ${digestOf(content)}$`,
  );
  await assert.rejects(push(content), { code: 'ERR_DIGEST_MISMATCH', message: says });
  assert.equal(at.registry.manifests.size, 0);
});

test('a blob whose upload is answered with what is no digest, or one of another algorithm, is pushed', async () => {
  for (const told of ['sha512:'.padEnd(135, 'a'), 'x', '']) {
    const act: Fault['act'] = async (_, response, proceed) => {
      const writeHead = response.writeHead.bind(response);
      response.writeHead = (status: number) => writeHead(status, { 'docker-content-digest': told, location: '/v2/x' });
      await proceed();
    };
    at.registry.inject({ method: 'PUT', path: /uploads/, times: 2, act });
    assert.ok((await push(someBytes(1000))) !== undefined, told);
  }
});

test('a HEAD that answers with another blob says nothing of ours, which is sent', async () => {
  const content = someBytes(1000);
  at.registry.inject({
    method: 'HEAD',
    path: new RegExp(digestOf(content)),
    act: async (_, response) => await Promise.resolve(void response.writeHead(200, { 'docker-content-digest': digestOf('other') }).end()),
  });
  await push(content);
  assert.ok(at.registry.blobs.has(digestOf(content)));
});

test('a mount that is answered with another blob becomes an upload at once', async () => {
  const content = someBytes(1000);
  await push(content, 'app/source:v1');
  const pulled = await at.client.pullImage(at.named('app/source:v1'), platform, signal);
  at.registry.inject({ method: 'POST', path: /mount=/, times: 2, act: answer(201, '', { 'docker-content-digest': digestOf('other') }) });
  await at.client.pushImage(pulled, [at.named('app/other:v1')], {}, signal);
  assert.ok(at.registry.links.has(`app/other@${digestOf(content)}`));
  assert.equal(at.count('PUT', /other\/manifests/), 1);
});
