// Cache mounts of two builders that have one folder for them, each with a root of its own on another filesystem.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MountTargets } from '../../../src/build/instructions/mount-targets.ts';
import { putMounts } from '../../../src/build/instructions/run-mounts.ts';
import { bytesFromText } from '../../../src/bytes.ts';
import type { BuildEvent } from '../../../src/events.ts';
import { tryLock } from '../../../src/linux/file-lock.ts';
import { createProtection } from '../../../src/rootfs/protect.ts';
import { flag } from '../../support/run-step.ts';

const isRoot = process.getuid?.() === 0;
const options = { skip: isRoot ? false : 'only root gives files to others', timeout: 60_000 };
const signal = new AbortController().signal;

interface Mounted {
  /** The target on disk. */
  readonly at: (path: string) => string;
  readonly events: readonly BuildEvent[];
  readonly end: () => Promise<void>;
}

function builders(context: TestContext): { readonly folder: string; readonly mount: (value: string) => Promise<Mounted> } {
  const folder = mkdtempSync('/dev/shm/yadokari-caches-');
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const mount = async (value: string): Promise<Mounted> => {
    const path = mkdtempSync('/var/tmp/yadokari-root-');
    context.after(() => rmSync(path, { recursive: true, force: true }));
    const held = new DisposableStack();
    const events: BuildEvent[] = [];
    const placements = new MountTargets({ path: bytesFromText(path), protection: createProtection([]) }, () => assert.fail());
    const none = { secret: () => undefined, ssh: () => undefined, tree: () => Promise.reject(new Error('no tree')) };
    await putMounts([flag('mount', `type=cache,target=/c,${value}`)], placements, {
      sources: { ...none, cacheFolder: bytesFromText(folder) },
      expand: (word) => word,
      workingDir: '/',
      held,
      emit: (event) => events.push(event),
      signal,
    });
    const end = async (): Promise<void> => {
      await placements.restore();
      held.dispose();
    };
    return { at: (name) => join(path, 'c', name), events, end };
  };
  return { folder, mount };
}

test('two builders are in a locked cache one after the other', options, async (context) => {
  const { mount } = builders(context);
  const first = await mount('id=x,sharing=locked');
  const waiting = mount('id=x,sharing=locked');
  appendFileSync(first.at('f'), '1');
  assert.equal(await Promise.race([waiting, sleep(300, 'waits')]), 'waits');
  await first.end();
  const second = await waiting;
  assert.equal(readFileSync(second.at('f'), 'utf8'), '1');
  assert.ok(second.events.some((event) => event.kind === 'note' && event.message.includes('waiting for the cache x')));
  appendFileSync(second.at('f'), '2');
  await second.end();
  const third = await mount('id=x,sharing=locked');
  assert.equal(readFileSync(third.at('f'), 'utf8'), '12');
  await third.end();
});

test('two builders keep what each of them puts into a shared cache', options, async (context) => {
  const { mount } = builders(context);
  const made = await mount('id=x');
  mkdirSync(made.at('d'));
  for (const name of ['d/old', 'gone']) writeFileSync(made.at(name), name);
  await made.end();
  const [first, second] = [await mount('id=x'), await mount('id=x')];
  writeFileSync(first.at('d/one'), '1');
  rmSync(first.at('gone'));
  assert.deepEqual(readdirSync(second.at('.')), ['d', 'gone']);
  writeFileSync(second.at('d/two'), '2');
  writeFileSync(second.at('d/old'), 'new');
  await second.end();
  await first.end();
  const after = await mount('id=x');
  assert.deepEqual([readdirSync(after.at('.')), readdirSync(after.at('d'))], [['d'], ['old', 'one', 'two']]);
  assert.equal(readFileSync(after.at('d/old'), 'utf8'), 'new');
  await after.end();
});

test('a folder that one builder removes from a shared cache is made again for what another puts there', options, async (context) => {
  const { mount } = builders(context);
  const made = await mount('id=x');
  mkdirSync(made.at('d/e'), { recursive: true });
  await made.end();
  const [first, second] = [await mount('id=x'), await mount('id=x')];
  rmSync(first.at('d'), { recursive: true });
  writeFileSync(second.at('d/e/f'), 'f');
  await first.end();
  await second.end();
  const after = await mount('id=x');
  assert.equal(readFileSync(after.at('d/e/f'), 'utf8'), 'f');
  await after.end();
});

for (const [held, wanted] of [
  ['private', 'private'],
  ['private', 'shared'],
  ['locked', 'shared'],
  ['shared', 'private'],
]) {
  test(`who wants a ${wanted} cache while another builder has it ${held} gets a folder of his own`, options, async (context) => {
    const { mount } = builders(context);
    const first = await mount(`id=x,sharing=${held}`);
    writeFileSync(first.at('f'), '');
    const second = await mount(`id=x,sharing=${wanted}`);
    writeFileSync(second.at('g'), '');
    await first.end();
    await second.end();
    const after = await mount(`id=x,sharing=${wanted}`);
    assert.deepEqual(readdirSync(after.at('.')), ['f']);
    await after.end();
  });
}

test('a lock ends with the process that held it, however that ends', options, async (context) => {
  const { folder } = builders(context);
  const module = new URL('../../../src/linux/file-lock.ts', import.meta.url).href;
  const lock = join(folder, 'killed.lock');
  const script = `import { tryLock } from ${JSON.stringify(module)};
    globalThis.lock = tryLock(${JSON.stringify(lock)}, 'exclusive'); console.log('held'); setInterval(() => {}, 1000);`;
  const holder = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(holder.stdout, 'data');
  assert.equal(tryLock(bytesFromText(lock), 'shared'), undefined);
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  using mine = tryLock(bytesFromText(lock), 'exclusive');
  assert.ok(mine !== undefined);
});
