import assert from 'node:assert/strict';
import { chmodSync, lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CacheMount } from '../../../../src/build/instructions/cache-mounts.ts';
import { CacheVolumes } from '../../../../src/build/instructions/cache-volumes.ts';
import { parseMount } from '../../../../src/build/instructions/mount.ts';
import { bytesFromText } from '../../../../src/bytes.ts';
import type { BuildEvent } from '../../../../src/events.ts';
import { createProtection } from '../../../../src/rootfs/protect.ts';
import { flag } from '../../../support/run-step.ts';
import { temporaryFolder } from '../../../support/tree.ts';

const places = ['dev/shm', 'go', 'kaniko/caches', 'root/.cache', 'root/.cache/npm', 'tmp', 'workspace/source'].map(bytesFromText);

interface Pod {
  readonly at: (path: string) => string;
  readonly find: (value: string) => string | undefined;
  /** Uses the volumes as caches, and gives what was said. */
  readonly use: (values: readonly string[], held?: DisposableStack) => Promise<readonly string[]>;
  readonly left: readonly string[];
}

/** A root with folders in place of volumes; the builder has /kaniko and the context, and ignores /ignored, where nothing is mounted. */
function pod(context: TestContext): Pod {
  const root = temporaryFolder(context);
  for (const place of [...places, 'ignored']) mkdirSync(join(root, place), { recursive: true });
  const left: string[] = [];
  const claims = { claimed: ['kaniko', 'workspace/source'].map(bytesFromText), onCache: (volume: string) => void left.push(volume) };
  const protection = createProtection([...places, ...['kaniko', 'ignored'].map(bytesFromText)]);
  const volumes = new CacheVolumes({ path: bytesFromText(root), protection }, claims, () => places);
  const parse = (value: string): CacheMount => {
    const mount = parseMount(flag('mount', `type=cache,${value}`), (word) => word, '/');
    return mount.type === 'cache' ? mount : assert.fail();
  };
  const use = async (values: readonly string[], held = new DisposableStack()): Promise<readonly string[]> => {
    context.after(() => held.dispose());
    const events: BuildEvent[] = [];
    const found = values.map((value) => volumes.find(parse(value)) ?? assert.fail(value));
    await volumes.use(found, { held, emit: (event) => events.push(event), signal: AbortSignal.timeout(20_000) });
    return events.flatMap((event) => (event.kind === 'note' || event.kind === 'warning' ? [event.message] : []));
  };
  return { at: (path) => join(root, path), find: (value) => volumes.find(parse(value))?.volume, use, left };
}

const rows: readonly (readonly [target: string, volume: string | undefined])[] = [
  ['/go', 'go'],
  ['/go/pkg/mod', 'go'],
  ['/root/.cache/pip', 'root/.cache'],
  ['/root/.cache/npm/_cacache', 'root/.cache/npm'],
  ['/tmp', 'tmp'],
  ['/tmp/cache', undefined],
  ['/dev/shm', undefined],
  ['/root', undefined],
  ['/gopher', undefined],
  ['/ignored/cache', undefined],
  ['/kaniko/caches/x', undefined],
  ['/workspace/source/node_modules', undefined],
];
for (const [target, volume] of rows) {
  test(`a cache at ${target} is ${volume === undefined ? 'in no volume' : `in the one at /${volume}`}`, (context) => {
    assert.equal(pod(context).find(`target=${target}`), volume);
  });
}

test('a volume gets the folder as asked, keeps what it has, and says once that it is the cache, and what is of no use', async (context) => {
  const { at, use, left } = pod(context);
  const { uid, gid } = lstatSync(at('go'));
  const said = await use([`target=/go/a/b,mode=0750,uid=${uid},gid=${gid}`, 'target=/go/pkg']);
  assert.deepEqual(said, [
    '/go is a volume, and so the cache itself: what RUN --mount=type=cache has there stays on it, and is neither in the image nor kept elsewhere',
  ]);
  assert.deepEqual([lstatSync(at('go/a/b')).mode & 0o7777, readdirSync(at('go'))], [0o750, ['a', 'pkg']]);
  chmodSync(at('go/pkg'), 0o711);
  writeFileSync(at('go/pkg/old'), '');
  const again = await use(['target=/go/pkg,id=mod,mode=0700', 'target=/go/pkg']);
  assert.deepEqual(again, ["without effect for the cache at /go/pkg, as it is the volume's: id=mod; uid, gid and mode"]);
  assert.deepEqual([lstatSync(at('go/pkg')).mode & 0o7777, readdirSync(at('go/pkg'))], [0o711, ['old']]);
  assert.deepEqual(new Set(left), new Set([at('go')]));
});

for (const [value, why] of [
  ['target=/go,ro', /the volume at \/go is the cache itself, and writable/],
  ['target=/go,from=base', /is the cache itself, without "from"/],
  ['target=/go,source=sub', /is the cache itself, without "source"/],
  ['target=/go/file', /has a file there/],
] as const) {
  test(`a volume can't be the cache for ${value}, and nothing is made in it`, async (context) => {
    const { at, use } = pod(context);
    writeFileSync(at('go/file'), '');
    await assert.rejects(use([value]), (error: Error) => why.test(error.message));
    assert.deepEqual(readdirSync(at('go')), ['file']);
  });
}

test('who wants a cache in a volume to himself waits for others, and never for himself', async (context) => {
  const { use } = pod(context);
  const held = new DisposableStack();
  await use(['target=/go/x', 'target=/go/x,sharing=locked'], held);
  const waiting = use(['target=/go/x']);
  assert.equal(await Promise.race([waiting, sleep(300, 'waits')]), 'waits');
  held.dispose();
  assert.ok((await waiting).includes('waiting for the cache /go/x, which another build has'));
});
