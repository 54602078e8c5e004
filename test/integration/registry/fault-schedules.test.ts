// Two hundred schedules of faults before a real registry: an image is pulled, changed and pushed over a tag that is there. It ends with the
// digest that it has without faults, whole, or with the tag where it was.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { BuilderError } from '../../../src/errors.ts';
import { encodeImage } from '../../../src/oci/stored-image.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { missingDockerRegistry, startDockerRegistry } from '../../support/docker-registry.ts';
import { type Fault, startFaultyProxy } from '../../support/faulty-proxy.ts';
import { layerOf, platform, storedOf } from '../../support/image.ts';
import { randomFrom } from '../../support/random.ts';
import { passwordFor, testClient } from '../../support/registry-client.ts';

const run = promisify(execFile);
const { signal } = new AbortController();
const bytesOf = (seed: number, size: number): Buffer => {
  const dice = randomFrom(seed);
  return Buffer.from(Array.from({ length: size }, () => dice(256)));
};

/** One of those that `failures.md` of this project's reference calls F01, F03, F05, F06, F07, F08, F12, F13 and F18. */
function diceFault(dice: (limit: number) => number, elsewhere: string, method: string, path: string): Fault {
  const headers = [{}, { 'retry-after': '1' }][dice(2)] ?? {};
  const status = [429, 500, 502, 503, 504, 522][dice(6)] ?? 500;
  const all: readonly Fault[] = [
    { kind: 'cut', afterBytes: dice(30_000) },
    { kind: 'corrupt' },
    { kind: 'stall', afterBytes: dice(30_000) },
    { kind: 'answer', status, headers },
    { kind: 'answer', status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } },
    { kind: 'reset' },
    { kind: 'lost' },
    { kind: 'lost' },
    { kind: 'answer', status: 307, headers: { location: `http://${elsewhere}${path}` } },
  ];
  const fault = all[dice(all.length)] ?? { kind: 'reset' };
  // What has no body to break off is not answered at all.
  return method === 'GET' || fault.kind === 'answer' || fault.kind === 'reset' ? fault : { kind: 'lost' };
}

test(
  '200 seeded schedules of faults end with the right image or an untouched tag',
  { skip: missingDockerRegistry() ?? false, timeout: 300_000 },
  async () => {
    const registry = await startDockerRegistry();
    const old = storedOf(layerOf(bytesOf(1, 100)));
    const base = storedOf(layerOf(bytesOf(2, 40_000)), layerOf(bytesOf(3, 300)));
    const [added] = storedOf(layerOf(bytesOf(4, 70_000))).image.layers;
    assert.ok(added !== undefined);
    const { config, layers } = base.image;
    const faultFree = encodeImage({
      ...base.image,
      config: { ...config, diffIds: [...config.diffIds, added.diffId] },
      layers: [...layers, added],
    });
    const ends = new Map<string, number>();
    const runOne = async (seed: number): Promise<void> => {
      const dice = randomFrom(seed);
      const oneIn = 2 + dice(10);
      const [at, from] = [`dice/run-${seed}`, 'dice/base:v1'];
      await using quiet = testClient();
      await quiet.pushImage(old, [parseReference(`${registry.host}/${at}:v1`)], {}, signal);
      let stallsLeft = 3;
      const proxy = await startFaultyProxy(registry.host, (method, path) => {
        const fault = dice(oneIn) === 0 && path !== '/v2/' ? diceFault(dice, registry.host, method, path) : undefined;
        return fault?.kind === 'stall' && stallsLeft-- <= 0 ? undefined : fault;
      });
      await using client = testClient({ stallTimeoutMs: 150, slowWindowMs: 300, credentials: passwordFor('me', 'secret') });
      let end = 'well';
      try {
        const pulled = await client.pullImage(parseReference(`${proxy.address}/${from}`), platform, signal);
        for (const [index, layer] of pulled.image.layers.entries())
          assert.deepEqual(await buffer(layer.open(signal)), await buffer(layers[index]?.open(signal) ?? assert.fail()));
        const image = encodeImage({ ...pulled.image, config: faultFree.image.config, layers: [...pulled.image.layers, added] });
        const [pushed] = await client.pushImage(image, [parseReference(`${proxy.address}/${at}:v1`)], {}, signal);
        assert.equal(pushed?.digest, faultFree.manifest.digest);
      } catch (error) {
        if (!(error instanceof BuilderError) || error.code === 'ERR_INTERNAL')
          throw new Error(`seed ${seed}: not an error of ours`, { cause: error });
        end = 'error';
      } finally {
        await proxy.stop();
      }
      const now = await quiet.resolve(parseReference(`${registry.host}/${at}:v1`), signal);
      assert.equal(now, end === 'well' ? faultFree.manifest.digest : old.manifest.digest, `seed ${seed}: it ended with ${end}`);
      if (end === 'well') {
        const { image } = await quiet.pullImage(parseReference(`${registry.host}/${at}:v1`), platform, signal);
        for (const layer of image.layers) await buffer(layer.open(signal));
        if (seed % 20 === 0 && existsSync('/usr/bin/skopeo'))
          await run('skopeo', [
            'copy',
            '--src-tls-verify=false',
            `docker://${registry.host}/${at}:v1`,
            `dir:${registry.folder}/copy-${seed}`,
          ]);
      }
      ends.set(end, (ends.get(end) ?? 0) + 1);
    };
    try {
      await using quiet = testClient();
      await quiet.pushImage(base, [parseReference(`${registry.host}/dice/base:v1`)], {}, signal);
      const seeds = Array.from({ length: 200 }, (_, index) => index);
      const lane = async (): Promise<void> => {
        for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) await runOne(seed);
      };
      await Promise.all(Array.from({ length: 10 }, lane));
      // Both ends are reached often enough to mean something.
      const [well = 0, error = 0] = [ends.get('well'), ends.get('error')];
      assert.equal(well + error, 200);
      assert.ok(well >= 50 && error >= 10, `${well} well, ${error} with an error`);
    } finally {
      await registry.stop();
    }
  },
);
