import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { OpenContent } from '../../../src/files/file-view.ts';
import { Spool, type Spooled } from '../../../src/files/spool.ts';
import { temporaryFolder } from '../../support/tree.ts';

const signal = new AbortController().signal;

function spoolIn(context: TestContext): { readonly spool: Spool; readonly folder: string } {
  const folder = temporaryFolder(context);
  const spool = new Spool(folder);
  context.after(() => spool[Symbol.dispose]());
  return { spool, folder };
}

function bytesOf({ chunks, close }: OpenContent): Buffer {
  const bytes = Buffer.concat(Array.from(chunks, (chunk) => Buffer.from(chunk)));
  close();
  return bytes;
}

/** Descriptors of this process on deleted files in a folder. */
function openIn(folder: string): number {
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(join('/proc/self/fd', fd));
    } catch {
      return ''; // the listing's own
    }
  });
  return targets.filter((target) => target.startsWith(`${folder}/`)).length;
}

test('what was spooled is read back as often as wanted, in any order', async (context) => {
  const { spool } = spoolIn(context);
  const contents = [Buffer.from('one'), Buffer.alloc(0), Buffer.alloc(700_000, 'x'), Buffer.from('last')];
  const kept: Spooled[] = [];
  for (const content of contents) kept.push(await spool.add([content.subarray(0, 100_000), content.subarray(100_000)], signal));
  assert.deepEqual(
    kept.map(({ size }) => size),
    contents.map(({ length }) => length),
  );
  for (const index of [3, 0, 2, 1, 2, 0]) {
    const [stretch, content] = [kept[index], contents[index]];
    assert.ok(stretch !== undefined && content !== undefined);
    const opened = spool.open(stretch);
    assert.equal(opened.size, content.length);
    assert.ok(bytesOf(opened).equals(content), `content ${index}`);
  }
});

test('readers of a spool do not disturb each other, nor what is added meanwhile', async (context) => {
  const { spool } = spoolIn(context);
  const [a, b] = [await spool.add([Buffer.alloc(600_000, 'a')], signal), await spool.add([Buffer.alloc(600_000, 'b')], signal)];
  const first = spool.open(a).chunks[Symbol.iterator]();
  const second = spool.open(b).chunks[Symbol.iterator]();
  for (let turn = 0; turn < 2; turn++) {
    assert.equal(first.next().value?.[0], 0x61);
    await spool.add([Buffer.from('more')], signal);
    assert.equal(second.next().value?.[0], 0x62);
  }
});

test('a spool has no name in its folder, opens nothing before it is needed, and gives its space back', async (context) => {
  const { spool, folder } = spoolIn(context);
  assert.equal(openIn(folder), 0);
  await spool.add([Buffer.from('x')], signal);
  assert.deepEqual([readdirSync(folder), openIn(folder)], [[], 1]);
  spool[Symbol.dispose]();
  spool[Symbol.dispose]();
  assert.equal(openIn(folder), 0);
});

test('what fails to come is not kept, and the next content is whole', async (context) => {
  const { spool } = spoolIn(context);
  const breaking = async function* (): AsyncGenerator<Buffer> {
    yield Buffer.from('half');
    throw new Error('broken');
  };
  await assert.rejects(spool.add(breaking(), signal), /broken/);
  assert.equal(bytesOf(spool.open(await spool.add([Buffer.from('whole')], signal))).toString(), 'whole');
});

test('a spool stops with the build, and says where it can not be made', async (context) => {
  const { spool, folder } = spoolIn(context);
  const stopped = AbortSignal.abort(new Error('stopped'));
  await assert.rejects(spool.add([Buffer.from('x')], stopped), /stopped/);
  const nowhere = new Spool(join(folder, 'none'));
  await assert.rejects(nowhere.add([Buffer.from('x')], signal), { code: 'ERR_ROOTFS', message: /none: no file can be made there/ });
});
