// The layer cache in a registry and in folders: what is executed again, what is read, and what comes out.
// The registry is in this process: the end of a RUN ends all other children.
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { entryImage, parseEntry } from '../../../src/build/cache/entry.ts';
import type { BuildPorts } from '../../../src/build/ports.ts';
import type { CacheRequest } from '../../../src/build/request.ts';
import { given } from '../../../src/given.ts';
import type { Layer } from '../../../src/oci/image.ts';
import { type CachePlace, openPlace } from '../../../src/outputs/entry-place.ts';
import { readLayout } from '../../../src/store/oci-layout.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { imageOf, layerOf, platform } from '../../support/image.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { type RootBuild, buildInRoot } from '../../support/build-in-root.ts';
import { freePort } from '../../support/listen.ts';
import { type FakeRegistry, answer, startFakeRegistry } from '../../support/fake-registry.ts';
import { testClient } from '../../support/registry-client.ts';
import { tar } from '../../support/tar.ts';

const whyNot = process.getuid?.() === 0 ? false : 'needs root for chroot and owners';
const never = new AbortController().signal;
const day = 24 * 3_600_000;

/** The text of each step that was executed, not found. */
function executed({ events }: RootBuild): readonly string[] {
  return events.flatMap((event) =>
    event.kind === 'step.finished' && event.recalled === undefined && event.layer !== undefined ? [event.step.text] : [],
  );
}

function recalled({ events }: RootBuild): readonly string[] {
  return events.flatMap((event) => (event.kind === 'step.finished' && event.recalled !== undefined ? [event.step.text] : []));
}

function warnings({ events }: RootBuild): readonly string[] {
  return events.flatMap((event) => (event.kind === 'warning' ? [event.message] : []));
}

const isJson = ({ folder }: { readonly folder: string }, key: string, name: string): boolean =>
  readFileSync(join(folder, key, 'blobs/sha256', name))[0] === '{'.charCodeAt(0);

/** All that the manifest and the config of an entry say. */
function labelsOf(place: { readonly folder: string }, key: string): readonly string[] {
  const names = readdirSync(join(place.folder, key, 'blobs/sha256')).filter((name) => isJson(place, key, name));
  return names.map((name) => readFileSync(join(place.folder, key, 'blobs/sha256', name), 'utf8'));
}

interface CachedBuild {
  readonly files?: Readonly<Record<string, string>>;
  readonly args?: Readonly<Record<string, string>>;
  readonly cache?: Partial<CacheRequest>;
  /** False keeps nothing new; true where left out. */
  readonly keeps?: boolean;
  readonly resolveImage?: BuildPorts['resolveImage'];
  /** The file of --cache-explain. */
  readonly explained?: string;
  /** Milliseconds since 1970. */
  readonly now?: number;
}

describe('the layer cache', { skip: whyNot, timeout: 300_000 }, () => {
  let registry: FakeRegistry;
  let folder = '';
  let places = 0;
  before(async () => {
    registry = await startFakeRegistry();
    folder = mkdtempSync(join(tmpdir(), 'yadokari-cache-'));
  });
  after(async () => {
    await registry.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const repository = (): CachePlace => ({ kind: 'registry', reference: parseReference(`${registry.host}/cache/${++places}`) });
  const layout = (): CachePlace & { readonly kind: 'layout' } => ({ kind: 'layout', folder: join(folder, String(++places)) });

  /** A builder that uses the cache at `place`, each time with a clock of its own. */
  function builder(place: CachePlace): (dockerfile: string, build?: CachedBuild) => Promise<RootBuild> {
    let clock = 1_700_000_000_000;
    return async (dockerfile, { files = {}, args = {}, cache = {}, keeps = true, explained, now, resolveImage } = {}) => {
      await using client = testClient({ hostRules: () => ({ insecure: true }) });
      clock = now ?? clock + 60_000;
      const at = clock;
      const result = await buildInRoot(dockerfile, {
        files,
        ports: { registry: client, now: () => at, ...given({ resolveImage }) },
        request: {
          buildArgs: new Map(Object.entries(args)),
          cache: { from: [place], ...(keeps ? { to: place } : {}), ttlMs: 14 * day, copyLayers: true, runLayers: true, ...cache },
          output: {
            destinations: [parseReference(`${registry.host}/app:${places}`)],
            noPush: false,
            ...(explained === undefined ? {} : { cacheExplain: explained }),
            exports: [],
            skipPushPermissionCheck: true,
            ignoreImmutableTags: false,
            pushRetries: 0,
          },
        },
      });
      return { ...result, events: [...result.events, ...client.events] };
    };
  }

  const dockerfile =
    'FROM base\nWORKDIR /app\nCOPY package /app/\nRUN cat package > built\nENV A=1\nCOPY source source\nRUN cat source >> built\nCMD x\n';
  const files = { package: 'p', source: 's' };

  for (const kind of ['registry', 'layout'] as const) {
    test(`a second build executes nothing, reads no layer, and has the same digest (${kind})`, async () => {
      const build = builder(kind === 'registry' ? repository() : layout());
      const first = await build(dockerfile, { files });
      assert.deepEqual([first.error, warnings(first)], [undefined, []]);
      assert.equal(executed(first).length, 5);
      const second = await build(dockerfile, { files });
      assert.deepEqual([second.error, warnings(second)], [undefined, []]);
      assert.deepEqual([executed(second), recalled(second).length, second.layersRead], [[], 5, 0]);
      assert.equal(second.digest, first.digest);
      const took = first.events.flatMap((event) => (event.kind === 'step.finished' && event.layer ? [Math.round(event.durationMs)] : []));
      const saved = second.events.flatMap((event) => (event.kind === 'step.finished' && event.recalled ? [event.recalled.savedMs] : []));
      assert.deepEqual(saved, took);
      assert.deepEqual(second.leftovers, []);
    });
  }

  test('a build from the cache sends no layer and fetches none: its registry mounts them', async () => {
    const build = builder(repository());
    await build(dockerfile, { files });
    const { events } = await build(dockerfile, { files });
    const moved = events.flatMap((event) =>
      event.kind === 'blob.finished' && !event.descriptor.mediaType.includes('config') ? [`${event.direction} ${event.how}`] : [],
    );
    assert.deepEqual(
      moved.filter((each) => each === 'pull transferred' || each === 'push transferred'),
      [],
    );
  });

  test('a file that changed is missed, and so is what stands on it; what stands before is found', async () => {
    const build = builder(repository());
    await build(dockerfile, { files });
    const second = await build(dockerfile, { files: { ...files, source: 'other' } });
    assert.deepEqual(executed(second), ['COPY source source', 'RUN cat source >> built']);
    const third = await build(dockerfile, { files });
    assert.deepEqual(executed(third), []);
  });

  test('a base that is read in any case comes while the cache is asked', async () => {
    const build = builder(repository());
    const opened = Promise.withResolvers<void>();
    const base = layerOf(tar([{ path: 'etc', type: '5' }]));
    const image = imageOf({ ...base, open: (signal) => (opened.resolve(), base.open(signal)) });
    const act = async (_: unknown, response: ServerResponse): Promise<void> => {
      await opened.promise;
      response.writeHead(404).end();
    };
    registry.inject({ method: 'GET', path: new RegExp(`/cache/${places}/manifests/`), times: 9, act });
    const { error, events } = await build('FROM base\nWORKDIR /app\nCOPY source .\n', {
      files,
      cache: { copyLayers: false },
      resolveImage: async () => await Promise.resolve(image),
    });
    assert.deepEqual([error, events.filter(({ kind }) => kind === 'warning')], [undefined, []]);
  });

  test('the default caches RUN and WORKDIR; a COPY is made anew, and what stands on it is found', async () => {
    const build = builder(repository());
    const cache = { copyLayers: false };
    await build(dockerfile, { files, cache });
    const second = await build(dockerfile, { files, cache });
    assert.deepEqual([executed(second), warnings(second)], [['COPY package /app/', 'COPY source source'], []]);
    assert.deepEqual(recalled(second), ['WORKDIR /app', 'RUN cat package > built', 'RUN cat source >> built']);
  });

  const stages = 'FROM base AS one\nRUN echo $RANDOM > /made\nFROM base AS two\nCOPY --from=one /made /made\nRUN cat /made > /copy\n';
  test('a stage that nobody needs any more is not built', async () => {
    const build = builder(repository());
    const first = await build(stages);
    const second = await build(stages);
    assert.deepEqual([second.error, second.digest, executed(second)], [undefined, first.digest, []]);
    assert.ok(second.events.some((event) => event.kind === 'note' && event.message.startsWith('stage one is not built')));
    assert.ok(!second.events.some((event) => event.kind === 'stage.started' && event.stage === 'one'));
  });

  test('results of a stage that had to be built again are not mixed with what was made on its former results', async () => {
    const place = layout();
    const build = builder(place);
    const random = stages.replace('$RANDOM', '$(cat /proc/sys/kernel/random/uuid)');
    await build(random);
    // Only the entry of the first RUN is lost.
    for (const key of readdirSync(place.folder)) {
      if (readFileSync(join(place.folder, key, 'index.json'), 'utf8') === '') continue;
      const blobs = join(place.folder, key, 'blobs/sha256');
      if (readdirSync(blobs).some((name) => readFileSync(join(blobs, name)).includes('random/uuid')))
        rmSync(join(place.folder, key), { recursive: true });
    }
    const changed = await build(`${random}COPY --from=one /made /again\n`);
    assert.deepEqual([changed.error, executed(changed).length], [undefined, 4]);
  });

  test('a cache that nobody answers for is a warning, and the build goes on', async () => {
    const reference = parseReference(`127.0.0.1:${await freePort()}/cache`);
    const result = await builder({ kind: 'registry', reference })(dockerfile, { files });
    assert.equal(result.error, undefined);
    assert.equal(executed(result).length, 5);
    assert.ok(warnings(result).some((message) => /^the cache 127.*is not used: /.test(message)));
    assert.equal(warnings(result).length, 1, warnings(result).join('\n'));
  });

  test('an entry of another key is a miss with a warning', async () => {
    const place = layout();
    const build = builder(place);
    const first = await build('FROM base\nRUN echo one > /one\n');
    const other = await build('FROM base\nRUN echo two > /two\n');
    assert.deepEqual([first.error, other.error], [undefined, undefined]);
    const [a = '', b = ''] = readdirSync(place.folder);
    for (const name of ['index.json', 'blobs']) {
      rmSync(join(place.folder, a, name), { recursive: true });
      writeTree(join(place.folder, b, name), join(place.folder, a, name));
    }
    const index = readFileSync(join(place.folder, a, 'index.json'), 'utf8');
    writeFileSync(join(place.folder, a, 'index.json'), index.replaceAll(b, a));
    const results = [await build('FROM base\nRUN echo one > /one\n'), await build('FROM base\nRUN echo two > /two\n')];
    assert.deepEqual(
      results.map((result) => result.error),
      [undefined, undefined],
    );
    assert.equal(results.flatMap(executed).length, 1);
    assert.match(results.flatMap(warnings).join('\n'), /it is an entry of another key/);
  });

  const damages: readonly { readonly name: string; readonly damage: (bytes: Buffer) => Buffer }[] = [
    { name: 'cut off', damage: (bytes) => bytes.subarray(0, bytes.length - 1) },
    { name: 'empty', damage: () => Buffer.alloc(0) },
    { name: 'of other bytes', damage: (bytes) => Buffer.from(bytes.map((byte) => byte ^ 1)) },
  ];
  for (const { name, damage } of damages) {
    test(`entries whose blobs are ${name} are executed again, and the image is right`, async () => {
      const place = layout();
      const build = builder(place);
      const first = await build(dockerfile, { files, args: { SOURCE_DATE_EPOCH: '1600000000' } });
      for (const key of readdirSync(place.folder)) {
        const blobs = join(place.folder, key, 'blobs/sha256');
        for (const blob of readdirSync(blobs)) {
          const bytes = readFileSync(join(blobs, blob));
          if (bytes[0] === 0x1f) writeFileSync(join(blobs, blob), damage(bytes));
        }
      }
      // The destination has no layer any more, so each is read.
      registry.blobs.clear();
      registry.links.clear();
      const second = await build(dockerfile, { files, args: { SOURCE_DATE_EPOCH: '1600000000' } });
      assert.deepEqual([second.error, second.digest], [undefined, first.digest]);
      assert.match(warnings(second).join('\n'), /building again without it/);
    });
  }

  /** As a registry that cleans up. */
  const forget = (digest: string): void => {
    registry.blobs.delete(digest);
    for (const link of registry.links) if (link.endsWith(digest)) registry.links.delete(link);
  };
  // What a stranger, or a registry that cleans up, makes of an entry; each is no entry, with one warning.
  const spoiled: readonly {
    readonly name: string;
    readonly spoil: (
      manifest: { config: object; layers: { digest: string }[]; annotations: Record<string, string> },
      put: (config: unknown) => object,
    ) => void;
    readonly says?: RegExp;
  }[] = [
    {
      name: 'with the config of another image',
      spoil: (manifest, put) => (manifest.config = put({ os: 'linux', architecture: 'amd64', rootfs: { diff_ids: [] } })),
      says: /its config names 0 layers, its manifest 1/,
    },
    {
      name: 'that is no image',
      spoil: (manifest, put) => (manifest.config = { ...put({}), mediaType: 'application/vnd.cncf.helm.config.v1+json' }),
      says: /helm/,
    },
    {
      name: 'of another platform',
      spoil: (manifest, put) =>
        (manifest.config = put({ os: 'linux', architecture: 's390x', rootfs: { diff_ids: [manifest.layers[0]?.digest] } })),
      says: /it is for linux\/s390x$/,
    },
    {
      name: 'whose config names another layer',
      spoil: (manifest, put) =>
        (manifest.config = put({ os: 'linux', architecture: 'amd64', rootfs: { diff_ids: [`sha256:${'1'.repeat(64)}`] } })),
      says: /and sha256:1{64} by its config$/,
    },
    {
      name: 'from the future',
      spoil: (manifest) => (manifest.annotations['dev.yadokari.cache.stored'] = '2100-01-01T00:00:00Z'),
      says: /2100-01-01/,
    },
    {
      name: 'without its layer',
      spoil: (manifest) => forget(manifest.layers[0]?.digest ?? ''),
      says: /building again without it/,
    },
  ];
  for (const { name, spoil, says } of spoiled)
    test(`an entry ${name} is a miss with one warning, and the image is right`, async () => {
      const build = builder(repository());
      const args = { SOURCE_DATE_EPOCH: '1600000000' };
      const text = 'FROM base\nRUN echo 1 > /a\n';
      const first = await build(text, { args });
      for (const link of registry.links) if (link.startsWith('app@')) registry.links.delete(link);
      for (const [at, stored] of registry.manifests) {
        if (!at.startsWith(`cache/${places}:`) || at.includes(':record-')) continue;
        const manifest = JSON.parse(stored.bytes.toString()) as Parameters<typeof spoil>[0]; // what the builder wrote
        spoil(manifest, (config) => {
          const bytes = Buffer.from(JSON.stringify(config));
          registry.blobs.set(digestOf(bytes), bytes);
          registry.links.add(`cache/${places}@${digestOf(bytes)}`);
          return { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(bytes), size: bytes.length };
        });
        registry.manifests.set(at, { ...stored, bytes: Buffer.from(JSON.stringify(manifest)) });
      }
      const second = await build(text, { args });
      assert.deepEqual([second.error, second.digest, executed(second)], [undefined, first.digest, ['RUN echo 1 > /a']]);
      // A registry's image of another platform is warned of wherever it is read.
      const told = warnings(second).filter((line) => !line.includes('not for linux/amd64'));
      assert.equal(told.length, 1, warnings(second).join('\n'));
      if (says !== undefined) assert.match(told[0] ?? '', says);
    });

  test('each miss says why, and --cache-explain writes all keys down', async () => {
    const build = builder(repository());
    const explained = join(folder, 'keys.json');
    const reasons = ({ events }: RootBuild): readonly string[] =>
      events.flatMap((event) => (event.kind === 'note' && event.message.startsWith('not in the cache') ? [event.message.slice(18)] : []));
    const text = 'FROM base\nARG V=1\nCOPY package source /app/\nRUN cat /app/*\nRUN echo $V\n';
    const none = 'the cache knows no earlier build of this';
    assert.deepEqual(reasons(await build(text, { files })), [none, '', '']);
    assert.deepEqual(reasons(await build(text, { files })), []);
    const changed = await build(text, { files: { ...files, source: 'other' } });
    assert.deepEqual(reasons(changed), ['file source changed', 'a step before it changed', 'a step before it changed']);
    const other = await build(text, { files: { ...files, source: 'other' }, args: { V: '2' }, explained });
    assert.deepEqual(reasons(other), ['argument V changed', 'argument V changed']);
    const keys: unknown = JSON.parse(readFileSync(explained, 'utf8'));
    assert.ok(Array.isArray(keys) && keys.length === 3);
    assert.ok(JSON.stringify(keys[0]).includes('"step":"COPY package source /app/"') && JSON.stringify(keys[0]).includes('file source'));
  });

  const forgeries: readonly { readonly name: string; readonly layer: Layer }[] = [
    { name: 'is no archive', layer: layerOf(Buffer.from('no archive at all'.repeat(64))) },
    { name: 'is another archive than it says', layer: { ...layerOf(Buffer.alloc(1024)), diffId: `sha256:${'0'.repeat(64)}` } },
  ];
  for (const { name, layer } of forgeries) {
    test(`an entry whose layer ${name} is executed again as soon as somebody reads it`, async () => {
      const place = layout();
      const build = builder(place);
      const first = 'FROM base\nRUN echo 1 > /a\n';
      const args = { SOURCE_DATE_EPOCH: '1600000000' };
      const plain = await build(`${first}RUN cat /a > /b\n`, { args, cache: { from: [] }, keeps: false });
      assert.equal((await build(first, { args })).error, undefined);
      const [key = ''] = readdirSync(place.folder).filter((each) => !each.startsWith('record-'));
      const entry = parseEntry((await readLayout({ folder: join(place.folder, key), tag: key }, platform, never)).image, key);
      const entries = openPlace(place, testClient(), platform);
      await entries.put(key, entryImage({ ...entry, layer }, platform), never);
      const second = await build(`${first}RUN cat /a > /b\n`, { args });
      assert.deepEqual([second.error, second.digest], [undefined, plain.digest]);
      assert.match(warnings(second).join('\n'), /building again without it/);
    });
  }

  test('a destination that refuses a layer of the cache fails the build, once', async () => {
    const build = builder(layout());
    await build(dockerfile, { files });
    registry.blobs.clear();
    registry.links.clear();
    registry.inject({ method: 'PUT', path: /^\/v2\/app\/blobs\/uploads\//, times: 1000, act: answer(400, 'SIZE_INVALID') });
    const second = await build(dockerfile, { files });
    await registry.stop();
    registry = await startFakeRegistry();
    assert.match(second.error instanceof Error ? second.error.message : '', /^Cannot push blob sha256:/);
    assert.equal(second.events.filter((event) => event.kind === 'stage.started').length, 1);
  });

  test('entries older than --cache-ttl are not taken', async () => {
    const build = builder(repository());
    await build(dockerfile, { files, now: 1_700_000_000_000 });
    const fresh = await build(dockerfile, { files, now: 1_700_000_000_000 + 13 * day });
    assert.deepEqual(executed(fresh), []);
    const late = await build(dockerfile, { files, now: 1_700_000_000_000 + 15 * day });
    assert.equal(executed(late).length, 5);
  });

  for (const kind of ['registry', 'layout'] as const)
    test(`with --cache-to what another place had is there afterwards, as old as it is, without the other place (${kind})`, async () => {
      const [from, to] = [repository(), kind === 'registry' ? repository() : layout()];
      const first = await builder(from)(stages);
      const now = 1_700_000_000_000 + day;
      // All is found, one stage is not even built: its results go along.
      const second = await builder(to)(stages, { now, cache: { from: [to, from], copiesFound: true } });
      assert.deepEqual([second.error, executed(second), warnings(second)], [undefined, [], []]);
      const third = await builder(to)(`${stages}COPY --from=one /made /again\n`, { now });
      assert.deepEqual([third.error, executed(third), recalled(third).length], [undefined, ['COPY --from=one /made /again'], 3]);
      // Copying makes nothing younger.
      const late = await builder(to)(stages, { now: 1_700_000_000_000 + 15 * day, cache: { from: [to] } });
      assert.equal(recalled(late).length, 0);
      assert.equal(second.digest, first.digest);
    });

  test('a result whose layer is gone is not copied, and the others are', async () => {
    const [from, to] = [layout(), layout()];
    await builder(from)(stages);
    const entries = readdirSync(from.folder).filter((name) => !name.startsWith('record-'));
    // That of the stage which nobody needs: nothing else reads its layer.
    const lost = entries.find((name) => JSON.stringify(labelsOf(from, name)).includes('RANDOM'));
    assert.ok(lost !== undefined);
    const [largest] = readdirSync(join(from.folder, lost, 'blobs/sha256')).filter((name) => !isJson(from, lost, name));
    rmSync(join(from.folder, lost, 'blobs/sha256', largest ?? ''));
    const second = await builder(to)(stages, { cache: { from: [to, from], copiesFound: true } });
    assert.deepEqual([second.error, executed(second)], [undefined, []]);
    assert.match(warnings(second).join('\n'), new RegExp(`^${lost.slice(0, 12)} is not copied to oci:.*: Cannot read blob`));
    assert.deepEqual(
      readdirSync(to.folder).toSorted(),
      readdirSync(from.folder)
        .filter((name) => name !== lost)
        .toSorted(),
    );
  });

  test('--no-push-cache keeps nothing, and takes what is there', async () => {
    const place = layout();
    const build = builder(place);

    const cache = { keeps: false };
    await build(dockerfile, { files, ...cache });
    assert.equal(existsSync(place.folder), false);
    await build(dockerfile, { files });
    const last = await build(dockerfile, { files, ...cache });
    assert.deepEqual(executed(last), []);
  });
});

function writeTree(from: string, to: string): void {
  cpSync(from, to, { recursive: true });
}
