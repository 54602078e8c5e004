// --cache-mounts: what cache mounts hold, in a repository or a folder, between builders that have nothing else in common.
import assert from 'node:assert/strict';
import { existsSync, lstatSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { listEntries } from '../../../src/build/cache/listing.ts';
import { mountImage, mountName } from '../../../src/build/cache/mount-entry.ts';
import type { CacheRequest } from '../../../src/build/request.ts';
import { bytesFromText } from '../../../src/bytes.ts';
import { getXattr, setXattr } from '../../../src/linux/xattr.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { type CachePlace, type EntryPlace, openPlace } from '../../../src/outputs/entry-place.ts';
import { type RootBuild, buildInRoot } from '../../support/build-in-root.ts';
import { freePort } from '../../support/listen.ts';
import { type FakeRegistry, startFakeRegistry } from '../../support/fake-registry.ts';
import { imageOf, layerOf, platform } from '../../support/image.ts';
import { testClient } from '../../support/registry-client.ts';
import { type TarOptions, tar } from '../../support/tar.ts';

const whyNot = process.getuid?.() === 0 ? false : 'needs root for chroot and owners';
const { signal } = new AbortController();
const hour = 3_600_000;

interface Build {
  readonly cache?: Partial<CacheRequest>;
  readonly args?: Readonly<Record<string, string>>;
  /** Where the builder has its folder, for one that is kept as on a volume. */
  readonly own?: string;
  /** Milliseconds since 1970. */
  readonly now?: number;
  readonly bytes?: number;
}

/** What RUNs printed. */
function printed({ events, error }: RootBuild): readonly string[] {
  assert.equal(error, undefined);
  return events.flatMap((event) => (event.kind === 'output' ? [event.line] : []));
}

function told({ events }: RootBuild, kind: 'warning' | 'note'): readonly string[] {
  return events.flatMap((event) => (event.kind === kind ? [event.message] : []));
}

describe('cache mounts in the repository of the cache', { skip: whyNot, timeout: 300_000 }, () => {
  let registry: FakeRegistry;
  let folder = '';
  let places = 0;
  before(async () => {
    registry = await startFakeRegistry();
    folder = mkdtempSync(join(tmpdir(), 'yadokari-kept-'));
  });
  after(async () => {
    await registry.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const repository = (): CachePlace => ({ kind: 'registry', reference: parseReference(`${registry.host}/cache/${++places}`) });
  const layout = (): CachePlace => ({ kind: 'layout', folder: join(folder, String(++places)) });
  const open = (place: CachePlace): EntryPlace => openPlace(place, testClient({ hostRules: () => ({ insecure: true }) }), platform);
  const mountsIn = async (place: CachePlace): Promise<readonly string[]> =>
    (await open(place).list(signal)).filter((tag) => tag.startsWith(mountName));

  /** A build in a fresh builder; steps with a cache mount are not the same twice unless they are written alike. */
  async function build(place: CachePlace, dockerfile: string, options: Build = {}): Promise<RootBuild> {
    const { cache = {}, args = {}, own, now = Date.now(), bytes = 1e9 } = options;
    await using client = testClient({ hostRules: () => ({ insecure: true }) });
    const result = await buildInRoot(`FROM base\n${dockerfile}`, {
      ports: { registry: client, now: () => now },
      request: {
        buildArgs: new Map(Object.entries(args)),
        cache: { from: [place], to: place, ttlMs: 14 * 24 * hour, copyLayers: true, runLayers: false, mountBytes: bytes, ...cache },
        output: {
          destinations: [parseReference(`${registry.host}/app:1`)],
          exports: [],
          noPush: false,
          skipPushPermissionCheck: true,
          ignoreImmutableTags: false,
          pushRetries: 0,
        },
        ...(own === undefined ? {} : { builderFolder: own }),
      },
    });
    return { ...result, events: [...result.events, ...client.events] };
  }

  const list = `cd /c && for p in . $(find . -mindepth 1 | sort); do stat -c '%n %a %u:%g %h %s %F' $p; done`;
  for (const kind of ['registry', 'layout'] as const)
    test(`a builder finds what another one left, with owners, modes, links and times (${kind})`, async () => {
      const place = kind === 'registry' ? repository() : layout();
      const mount = 'RUN --mount=type=cache,target=/c';
      const make =
        'cd /c && mkdir -m 1750 d && echo 1 > d/a && ln d/a b && ln -s ../../etc/passwd l && mkfifo p && chown -h 5:6 d d/a l && chmod 4711 d/a && touch -d @1000000000 d/a && chmod 700 . && chown 7:8 .';
      const first = await build(place, `${mount} ${make}\n${mount} ${list} && echo 0 > /made\n`);
      assert.deepEqual(told(first, 'warning'), []);
      const lines = printed(first);
      const second = await build(place, `${mount} ${list} && stat -c %Y d/a && cat b && echo 0 > /made\n`);
      assert.deepEqual([printed(second), told(second, 'warning')], [[...lines, '1000000000', '1'], []]);
      assert.equal(lines.length, 6);
    });

  test('attributes are kept, and what did not change is not stored again', async () => {
    const place = layout();
    const own = join(folder, 'first');
    const mount = 'RUN --mount=type=cache,target=/c';
    printed(await build(place, `${mount} echo 1 > /c/f\n`, { own }));
    assert.deepEqual(
      (await listEntries(open(place), signal)).flatMap(({ kind, text }) => (kind === 'mount' ? [text] : [])),
      ['/c'],
    );
    const onDisk = (builder: string): string => {
      const caches = join(builder, 'caches/default');
      return join(caches, readdirSync(caches).find((name) => /^[0-9a-f]+$/.test(name)) ?? '', 'f');
    };
    setXattr(bytesFromText(onDisk(own)), 'user.note', Buffer.from('kept'));
    await build(place, `${mount} echo 2 > /c/g\n`, { own });
    const other = join(folder, 'second');
    const [tag = ''] = await mountsIn(place);
    const before = await open(place).find(tag, signal);
    const second = await build(place, `${mount} cat /c/*\n`, { own: other });
    assert.deepEqual(printed(second), ['1', '2']);
    assert.equal(getXattr(bytesFromText(onDisk(other)), 'user.note')?.toString(), 'kept');
    assert.deepEqual((await open(place).find(tag, signal))?.annotations, before?.annotations);
    assert.ok(!told(second, 'note').some((message) => message.includes('is kept for other builds')));
    const days = await build(place, `${mount} cat /c/*\n`, { now: Date.now() + 8 * 24 * hour });
    assert.ok(
      told(days, 'note').some((message) => message.includes('is kept for other builds')),
      'or it would get too old',
    );
  });

  test('neither keys nor images know of it, and a step from the cache fetches nothing', async () => {
    const place = layout();
    const text = 'RUN --mount=type=cache,target=/c echo $(date +%s%N) >> /c/f; echo 1 > /made\n';
    const args = { SOURCE_DATE_EPOCH: '1600000000' };
    const cache = { runLayers: true };
    const first = await build(place, text, { cache, args });
    const [tag = ''] = await mountsIn(place);
    await open(place).put(tag, imageOf(layerOf(Buffer.from('somebody else'))), signal);
    const second = await build(place, text, { cache, args });
    assert.deepEqual([second.error, second.digest, told(second, 'warning')], [undefined, first.digest, []]);
    const plain = await build(layout(), text, { args });
    assert.equal(plain.digest, first.digest);
  });

  test('there is one for each id, owner, mode and namespace', async () => {
    const place = layout();
    const steps = ['id=x', 'id=y', 'id=x,uid=5', 'id=x,mode=0700'];
    const write = steps.map((mount) => `RUN --mount=type=cache,target=/c,${mount} echo '${mount}' > /c/f\n`).join('');
    const read = steps.map((mount) => `RUN --mount=type=cache,target=/other,${mount} cat /other/f || echo none\n`).join('');
    await build(place, write);
    assert.equal((await mountsIn(place)).length, 4);
    assert.deepEqual(printed(await build(place, read)), steps);
    const elsewhere = await build(place, read, { args: { BUILDKIT_CACHE_MOUNT_NS: 'team' } });
    assert.deepEqual(
      printed(elsewhere).filter((line) => !line.startsWith('cat: ')),
      ['none', 'none', 'none', 'none'],
    );
  });

  for (const sharing of ['shared', 'private', 'locked'])
    test(`sharing=${sharing} changes nothing of it`, async () => {
      const place = layout();
      const mount = `RUN --mount=type=cache,target=/c,sharing=${sharing}`;
      await build(place, `${mount} echo 1 > /c/f\n`);
      assert.deepEqual(printed(await build(place, `${mount} cat /c/f\n`)), ['1']);
    });

  test('a build that fails keeps what its other RUNs left', async () => {
    const place = layout();
    const good = 'RUN --mount=type=cache,target=/good echo 1 > /good/f\n';
    const failed = await build(place, `${good}RUN --mount=type=cache,target=/bad echo 1 > /bad/f; exit 3\n`);
    assert.match(String(failed.error), /exit code 3/);
    assert.match(told(failed, 'note').join('\n'), /the cache \/bad is not kept: the RUN that used it failed/);
    const read = 'RUN --mount=type=cache,target=/good --mount=type=cache,target=/bad ls /good /bad\n';
    assert.deepEqual(printed(await build(place, read)), ['/bad:', '', '/good:', 'f']);
    await build(place, `${good}RUN --mount=type=cache,target=/good rm /good/f; exit 3\n`);
    assert.deepEqual(printed(await build(place, read)), ['/bad:', '', '/good:', 'f']);
  });

  test('what is larger than --cache-mounts-size is told, and neither stored nor taken', async () => {
    const place = layout();
    const mount = 'RUN --mount=type=cache,target=/c';
    await build(place, `${mount} echo 1 > /c/small\n`, { bytes: 50_000 });
    const large = await build(
      place,
      `${mount} x=0123456789; for n in 1 2 3 4 5 6 7 8 9 10 11 12 13; do x=$x$x; done; echo $x > /c/large\n`,
      { bytes: 50_000 },
    );
    assert.deepEqual(printed(large), []);
    assert.match(told(large, 'warning').join('\n'), /^the cache \/c is not kept: it is larger than 0\.05 MB \(--cache-mounts-size\)$/m);
    const after = await build(place, `${mount} ls /c; for n in 1 2 3 4 5 6 7 8 9; do echo > /c/$n; done\n`);
    assert.deepEqual(printed(after), ['small'], 'what was stored before stays');
    const less = await build(place, `${mount} ls /c\n`, { bytes: 30_000 });
    assert.deepEqual([printed(less), /not taken.*larger than/.test(told(less, 'warning').join('\n'))], [[], true]);
  });

  test('the newest wins: of several places, and of what the builder has on a volume', async () => {
    const [one, two] = [layout(), layout()];
    const own = join(folder, 'volume');
    const text = (word: string): string => `RUN --mount=type=cache,target=/c ls /c; rm -f /c/*; echo > /c/${word}\n`;
    const start = Date.now() - 5 * hour;
    await build(one, text('old'), { now: start });
    await build(two, text('new'), { now: start + hour });
    const both = { from: [one, two], to: one };
    assert.deepEqual(printed(await build(one, text('newest'), { cache: both, own, now: start + 2 * hour })), ['new']);
    // Used here after it was stored, and then stored again by somebody else.
    assert.deepEqual(printed(await build(one, text('here'), { own, now: start + 3 * hour })), ['newest']);
    assert.deepEqual(printed(await build(one, text('there'), { now: Date.now() + hour })), ['here']);
    assert.deepEqual(printed(await build(one, text('last'), { own })), ['there']);
  });

  test('--no-push-cache takes and keeps nothing, and what is older than --cache-ttl is not taken', async () => {
    const place = layout();
    const text = 'RUN --mount=type=cache,target=/c ls /c; echo > /c/f\n';
    const without = { from: [place], mountBytes: 1e9, copyLayers: true, runLayers: false, ttlMs: hour };
    await build(place, text);
    const [tag = ''] = await mountsIn(place);
    const stored = (await open(place).find(tag, signal))?.annotations;
    await using client = testClient({ hostRules: () => ({ insecure: true }) });
    const reading = await buildInRoot(`FROM base\n${text}`, { ports: { registry: client, now: Date.now }, request: { cache: without } });
    assert.ok(reading.events.some((event) => event.kind === 'output' && event.line === 'f'));
    assert.deepEqual((await open(place).find(tag, signal))?.annotations, stored);
    assert.deepEqual(printed(await build(place, text, { now: Date.now() + 20 * 24 * hour })), []);
  });

  test('a repository that does not answer is one warning', async () => {
    const place: CachePlace = { kind: 'registry', reference: parseReference(`127.0.0.1:${await freePort()}/cache`) };
    const result = await build(place, 'RUN --mount=type=cache,target=/c echo > /c/f\n');
    assert.deepEqual([printed(result), told(result, 'warning').length], [[], 1], told(result, 'warning').join('\n'));
  });

  const outside = '/var/tmp/yadokari-kept-outside';
  const link: TarOptions = { path: 'link', type: '2', link: '/var/tmp' };
  const bad: readonly { readonly name: string; readonly entries: readonly TarOptions[] }[] = [
    { name: 'leads out by its name', entries: [{ path: '../../../../../../../var/tmp/yadokari-kept-outside', content: 'x' }] },
    { name: 'goes through a link', entries: [link, { path: 'link/yadokari-kept-outside', content: 'x' }] },
    {
      name: 'goes through a link that came as a folder',
      entries: [
        { path: 'd', type: '5' },
        { ...link, path: 'd/l' },
        { path: 'd/l/yadokari-kept-outside', content: 'x' },
      ],
    },
    {
      name: 'links to a file outside',
      entries: [link, { path: 'h', type: '1', link: 'link/yadokari-kept-victim' }, { path: 'h', content: 'x' }],
    },
    {
      name: 'links to a file above',
      entries: [
        { path: 'h', type: '1', link: '../../../../../../../var/tmp/yadokari-kept-victim' },
        { path: 'h', content: 'x' },
      ],
    },
    { name: 'brings a device', entries: [{ path: 'null', type: '3', major: 1, minor: 3 }] },
    { name: 'is larger inside than outside', entries: [{ path: 'big', content: Buffer.alloc(200_000) }] },
    { name: 'has more files than there is room for', entries: Array.from({ length: 40 }, (_, index) => ({ path: String(index) })) },
    { name: 'is cut off', entries: [{ path: 'f', content: 'x', size: 5000 }] },
  ];
  for (const { name, entries } of bad)
    test(`an archive that ${name} is a warning and an empty cache`, async () => {
      const place = layout();
      const victim = '/var/tmp/yadokari-kept-victim';
      writeFileSync(victim, 'victim');
      await build(place, 'RUN --mount=type=cache,target=/c echo 1 > /c/f\n');
      const [tag = ''] = await mountsIn(place);
      const layer = layerOf(tar([{ path: 'first', content: '1' }, ...entries]));
      await open(place).put(tag, mountImage({ tag, id: '/c', layer, stored: new Date().toISOString() }, platform), signal);
      const own = join(folder, `own-${places}`);
      const result = await build(place, 'RUN --mount=type=cache,target=/c ls -A /c\n', { bytes: 100_000, own });
      assert.deepEqual(
        [printed(result), existsSync(outside), readFileSync(victim, 'utf8'), lstatSync(victim).nlink],
        [[], false, 'victim', 1],
      );
      assert.match(told(result, 'warning').join('\n'), /^the cache \/c is not taken from where it is kept: /m);
      assert.deepEqual(
        readdirSync(join(own, 'caches/default')).filter((each) => each.endsWith('.new')),
        [],
      );
      rmSync(victim);
    });

  const spoilt: readonly {
    readonly name: string;
    readonly spoil: (place: EntryPlace, tag: string, folder: string) => Promise<void> | void;
  }[] = [
    { name: 'an image of somebody else', spoil: async (place, tag) => await place.put(tag, imageOf(layerOf(Buffer.alloc(1024))), signal) },
    {
      name: 'another cache',
      spoil: async (place, tag) =>
        await place.put(
          tag,
          mountImage({ tag: 'mount-other', id: '/c', layer: layerOf(Buffer.alloc(1024)), stored: new Date().toISOString() }, platform),
          signal,
        ),
    },
    { name: 'half written', spoil: (_, tag, at) => rmSync(join(at, tag, 'index.json')) },
    {
      name: 'of other bytes',
      spoil: (_, tag, at) => {
        for (const blob of readdirSync(join(at, tag, 'blobs/sha256'))) {
          const path = join(at, tag, 'blobs/sha256', blob);
          const bytes = readFileSync(path);
          if (bytes[0] === 0x1f) writeFileSync(path, Buffer.from(bytes.map((byte) => byte ^ 1)));
        }
      },
    },
  ];
  for (const { name, spoil } of spoilt)
    test(`an entry that is ${name} is a warning and an empty cache, and is mended`, async () => {
      const place = { kind: 'layout' as const, folder: join(folder, String(++places)) };
      await build(place, 'RUN --mount=type=cache,target=/c echo 1 > /c/f\n');
      const [tag = ''] = await mountsIn(place);
      await spoil(open(place), tag, place.folder);
      const result = await build(place, 'RUN --mount=type=cache,target=/c ls -A /c; echo 2 > /c/g\n');
      assert.deepEqual([printed(result), told(result, 'warning').length], [[], 1], told(result, 'warning').join('\n'));
      assert.deepEqual(printed(await build(place, 'RUN --mount=type=cache,target=/c ls -A /c\n')), ['g']);
    });
});
