// node seeded-faults.ts <first seed> <count>: pushes and pulls against a registry that misbehaves by dice, one run a seed. Prints how the runs
// ended; ends with status 1 and the seed where one ended otherwise than well or with an error of ours. A process of its own, so that an
// error which nobody awaited ends it as it would end a build.
import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { BuilderError } from '../../src/errors.ts';
import { parseReference } from '../../src/oci/reference.ts';
import { type FakeRegistry, type Fault, startFakeRegistry } from './fake-registry.ts';
import { storedOf, layerOf } from './image.ts';
import { randomFrom } from './random.ts';
import { type TestClient, testClient } from './registry-client.ts';

type Dice = (limit: number) => number;
type Misdeed = (request: IncomingMessage, response: ServerResponse, proceed: () => Promise<void>, dice: Dice) => Promise<void> | void;

const statuses = [400, 401, 403, 404, 405, 408, 409, 413, 416, 425, 429, 500, 502, 503, 504];
const codes = ['UNKNOWN', 'DENIED', 'BLOB_UPLOAD_UNKNOWN', 'BLOB_UPLOAD_INVALID', 'DIGEST_INVALID', 'TOOMANYREQUESTS', 'MANIFEST_UNKNOWN'];

const misdeeds: Readonly<Record<string, Misdeed>> = {
  reset: (request) => void request.socket.destroy(),
  status: (request, response, _proceed, dice) => {
    if (dice(2) === 0) request.resume();
    response.writeHead(statuses[dice(statuses.length)] ?? 500, dice(3) === 0 ? { connection: 'close' } : {});
    response.end(JSON.stringify({ errors: [{ code: codes[dice(codes.length)], message: 'dice' }] }));
  },
  page: (request, response, _proceed, dice) => {
    request.resume();
    response.writeHead(200, dice(2) === 0 ? { 'content-type': 'text/html' } : {}).end('<!doctype html><title>Sign in</title>');
  },
  nothing: (request, response, _proceed, dice) => void (request.resume(), response.writeHead([200, 201, 202, 204][dice(4)] ?? 200).end()),
  noise: (request) => void request.socket.end('SSH-2.0-OpenSSH_9.2\r\n\r\n'),
  loop: (request, response) => void (request.resume(), response.writeHead(307, { location: request.url }).end()),
  stray: (request, response, _proceed, dice) =>
    void (
      request.resume(),
      response.writeHead([302, 307][dice(2)] ?? 302, { location: ['', 'ftp://x/', 'http://[', '//127.0.0.1:1/x'][dice(4)] }).end()
    ),
  stall: (request) => void request.pause(),
  'late loss': async (request, response, proceed) => {
    // It does what it is asked, and the answer gets lost.
    response.writeHead = () => response;
    response.write = () => true;
    response.end = () => {
      request.socket.destroy();
      return response;
    };
    await proceed();
  },
  cut: async (_request, response, proceed, dice) =>
    await harm(response, proceed, (bytes) => ({ bytes: bytes.subarray(0, dice(bytes.length + 1)), after: 'reset' })),
  'stall within': async (_request, response, proceed, dice) =>
    await harm(response, proceed, (bytes) => ({ bytes: bytes.subarray(0, dice(bytes.length + 1)), after: 'stall' })),
  corrupt: async (_request, response, proceed, dice) =>
    await harm(response, proceed, (bytes) => {
      const other = Buffer.from(bytes);
      const at = dice(Math.max(1, other.length));
      if (other.length > 0) other[at] = (other[at] ?? 0) ^ (1 + dice(255));
      return { bytes: other, after: 'end' };
    }),
  'wrong length': async (_request, response, proceed, dice) => {
    const by = dice(2) === 0 ? -1 : 1;
    await harm(
      response,
      proceed,
      (bytes) => ({ bytes, after: 'end' }),
      (length) => Math.max(0, length + by),
    );
  },
  'no length': async (_request, response, proceed, dice) =>
    await harm(
      response,
      proceed,
      (bytes) => ({ bytes: dice(2) === 0 ? bytes : bytes.subarray(0, dice(bytes.length + 1)), after: 'end' }),
      () => undefined,
    ),
};

/** Lets the registry answer, and sends something else. */
async function harm(
  response: ServerResponse,
  proceed: () => Promise<void>,
  change: (bytes: Buffer) => { readonly bytes: Buffer; readonly after: 'end' | 'reset' | 'stall' },
  lengthOf: (length: number) => number | undefined = (length) => length,
): Promise<void> {
  const end = response.end.bind(response);
  const writeHead = response.writeHead.bind(response);
  response.writeHead = (status: number, headers?: unknown) => {
    const { 'content-length': length, ...others } = { ...(headers as Record<string, string | number> | undefined) }; // as the fake calls it
    const changed = length === undefined ? undefined : lengthOf(Number(length));
    response.strictContentLength = false;
    return writeHead(status, changed === undefined ? others : { ...others, 'content-length': changed });
  };
  response.end = (content?: unknown) => {
    const whole = Buffer.isBuffer(content) ? content : Buffer.from(typeof content === 'string' ? content : '');
    const { bytes, after } = change(whole);
    if (after === 'end') return end(bytes);
    response.flushHeaders();
    if (bytes.length > 0) response.write(bytes);
    if (after === 'reset') setImmediate(() => response.socket?.destroy());
    return response;
  };
  await proceed();
}

function diceFault(dice: Dice): Fault {
  const kinds = Object.keys(misdeeds);
  const oneIn = 2 + dice(12);
  let stallsLeft = 2; // each takes a second
  return {
    path: /./,
    times: Number.POSITIVE_INFINITY,
    act: async (request, response, proceed) => {
      const kind = dice(oneIn) === 0 ? (kinds[dice(kinds.length)] ?? '') : '';
      const misdeed = kind.startsWith('stall') && stallsLeft-- <= 0 ? undefined : misdeeds[kind];
      if (misdeed === undefined) await proceed();
      else await misdeed(request, response, proceed, dice);
    },
  };
}

async function attempt(task: () => Promise<void>, seed: number): Promise<'well' | 'error'> {
  try {
    await task();
    return 'well';
  } catch (error) {
    if (error instanceof BuilderError && error.code !== 'ERR_INTERNAL' && error.message.startsWith('Cannot ')) return 'error';
    throw new Error(`seed ${seed}: not an error of ours`, { cause: error });
  }
}

async function pullBack(client: TestClient, registry: FakeRegistry, contents: readonly Buffer[]): Promise<void> {
  const platform = { os: 'linux', architecture: 'amd64' };
  const { image } = await client.pullImage(parseReference(`${registry.host}/dice/image:v1`), platform, signal);
  assert.equal(image.layers.length, contents.length);
  for (const [index, layer] of image.layers.entries()) assert.deepEqual(await buffer(layer.open(signal)), contents[index]);
}

async function runOne(seed: number, counts: Map<string, number>): Promise<void> {
  const dice = randomFrom(seed);
  const registry = await startFakeRegistry();
  await using client = testClient({ stallTimeoutMs: 50, slowWindowMs: 100, connectTimeoutMs: 2000 });
  const contents = [0, 1].map((which) => Buffer.from(Array.from({ length: [300, 90_000][which] ?? 0 }, () => dice(256))));
  const image = storedOf(...contents.map(layerOf));
  const reference = parseReference(`${registry.host}/dice/image:v1`);
  const note = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1);
  try {
    registry.inject(diceFault(dice));
    const chunkBytes = dice(2) === 0 ? 20_000 : 100_000;
    const pushed = await attempt(async () => {
      const [done] = await client.pushImage(image, [reference], { chunkBytes }, signal);
      assert.equal(done?.digest, image.manifest.digest);
    }, seed);
    note(`push ${pushed}`);
    const tag = registry.manifests.get('dice/image:v1');
    if (pushed === 'well') assert.ok(tag !== undefined, `seed ${seed}: no tag`);
    // A tag means that everything is there, whatever the answer was.
    if (tag !== undefined)
      for (const [index, { descriptor }] of image.image.layers.entries())
        assert.deepEqual(registry.blobs.get(descriptor.digest), contents[index]);
    if (tag === undefined) {
      await using quiet = testClient();
      const calm = await startFakeRegistry();
      await quiet.pushImage(image, [{ ...reference, registry: calm.host }], {}, signal);
      for (const [name, stored] of calm.manifests) registry.manifests.set(name, stored);
      for (const [digest, bytes] of calm.blobs) registry.blobs.set(digest, bytes);
      for (const link of calm.links) registry.links.add(link);
      await calm.stop();
    }
    note(`pull ${await attempt(async () => await pullBack(client, registry, contents), seed)}`);
    note(`probe ${await attempt(async () => await client.checkPush(reference, signal), seed)}`);
    const file = async (): Promise<void> => void (await buffer((await client.download(new URL(`${registry.url}/v2/`), { signal })).body));
    note(`download ${await attempt(file, seed)}`);
  } finally {
    await registry.stop();
  }
}

/** Most of a run is waiting for what stalls. */
const lanes = 80;
const { signal } = new AbortController();
const [first = 0, count = 0] = process.argv.slice(2).map(Number);
const counts = new Map<string, number>();
const seeds = Array.from({ length: count }, (_, index) => first + index);
await Promise.all(
  Array.from({ length: lanes }, async () => {
    for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) await runOne(seed, counts);
  }),
);
process.stdout.write(`${JSON.stringify(Object.fromEntries(counts))}\n`);
