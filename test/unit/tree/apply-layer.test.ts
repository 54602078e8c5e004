// Layers applied to a tree, with the disk as the oracle: `rootfs/unpack.ts` must make the same of the same entries.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ByteString, bytesFromText } from '../../../src/bytes.ts';
import { BuilderError } from '../../../src/errors.ts';
import { diskView } from '../../../src/files/disk-view.ts';
import type { FileStat, FileView } from '../../../src/files/file-view.ts';
import type { Entry } from '../../../src/layer/entry.ts';
import { childPath, rootPath } from '../../../src/paths.ts';
import { createUnpackReport } from '../../../src/rootfs/unpack-report.ts';
import { createProtection } from '../../../src/rootfs/protect.ts';
import { treeView } from '../../../src/rootfs/tree-view.ts';
import { unpackLayer } from '../../../src/rootfs/unpack.ts';
import { LayerApplication } from '../../../src/tree/apply-layer.ts';
import { ImageTree } from '../../../src/tree/image-tree.ts';
import { lineOf, randomLayers } from '../../support/random-layers.ts';

const signal = new AbortController().signal;
const skip = process.getuid?.() === 0 ? false : 'needs root to give files away and to make devices';
const seeds = 300;

async function* streamOf(entries: readonly Entry[]): AsyncGenerator<Entry> {
  yield* entries;
}

/** Lines of all that is in a view; one where applying fails. */
async function onDisk(layers: readonly (readonly Entry[])[], untimed: ReadonlySet<ByteString>): Promise<readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'yadokari-apply-'));
  const root = { path: bytesFromText(join(folder, 'root')), protection: createProtection([]) };
  mkdirSync(join(folder, 'root'));
  try {
    for (const layer of layers) await unpackLayer(root, streamOf(layer), createUnpackReport(), signal);
    return listing(diskView(root.path), untimed);
  } catch (error) {
    return [failureOf(error)];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The same, and `untimed` gets the directories that no layer speaks of: their times on disk are those of their making. */
function inTree(layers: readonly (readonly Entry[])[], untimed: Set<ByteString>): readonly string[] {
  const tree = new ImageTree();
  try {
    for (const [number, layer] of layers.entries()) {
      const application = new LayerApplication(tree, number);
      for (const entry of layer) application.apply(entry);
      application.finish();
    }
  } catch (error) {
    return [failureOf(error)];
  }
  const noContents = (): never => assert.fail('nothing is read');
  for (const [path, node] of tree.walk()) if (tree.isDirectory(node) && tree.node(node).mtime.seconds === 0) untimed.add(path);
  return listing(treeView(tree, { gather: noContents, open: noContents }), untimed);
}

function failureOf(error: unknown): string {
  if (!(error instanceof BuilderError)) throw error;
  // Where the disk refuses is for the filesystem to say.
  return 'fails';
}

function listing(files: FileView, untimed: ReadonlySet<ByteString>): readonly string[] {
  const lines: string[] = [];
  const firsts = new Map<string, ByteString>();
  const visit = (path: ByteString): void => {
    for (const name of files.names(path)) {
      const child = childPath(path, name);
      const stat = files.stat(child);
      assert.ok(stat !== undefined);
      lines.push(`${describe(files, child, stat, firsts)}${untimed.has(child) ? '' : ` @${stat.mtime.seconds}`}`);
      if (stat.type === 'directory') visit(child);
    }
  };
  visit(rootPath);
  return lines;
}

function describe(files: FileView, path: ByteString, stat: FileStat, firsts: Map<string, ByteString>): string {
  const { type, mode, uid, gid, size, identity, links, device } = stat;
  if (type !== 'directory') {
    const first = firsts.get(identity);
    if (first !== undefined) return `${path} is ${first}`;
    firsts.set(identity, path);
  }
  const target = type === 'symlink' ? files.linkTarget(path) : '';
  const xattrs = [...files.xattrs(path)].map(([name, value]) => `${name}=${value.toString('hex')}`);
  const shown = type === 'symlink' ? 'link' : mode.toString(8);
  const names = type === 'directory' ? '' : `*${links}`;
  return [path, type, shown, `${uid}:${gid}`, size, names, target, device?.minor, ...xattrs].join(' ');
}

test(`${seeds} random images are in the tree what they are on the disk`, { skip, timeout: 120_000 }, async () => {
  let failures = 0;
  for (let seed = 1; seed <= seeds; seed++) {
    const layers = randomLayers(seed);
    const untimed = new Set<ByteString>();
    const tree = inTree(layers, untimed);
    const disk = await onDisk(layers, untimed);
    if (disk.length === 1 && disk[0] === 'fails') failures++;
    assert.deepEqual(tree, disk, `seed ${seed}:\n${layers.map((layer) => layer.map(lineOf).join('\n')).join('\n--\n')}`);
  }
  // Otherwise the images would be no test of anything.
  assert.ok(failures < seeds / 2, `${failures} images failed`);
});

test('a layer whose one entry lies in half a million folders that have none is refused at once', () => {
  const entry = fileAt(`${'a/'.repeat(500_000)}f`);
  const application = new LayerApplication(new ImageTree(), 0);
  assert.throws(() => application.apply(entry), {
    code: 'ERR_LAYER',
    message: /^entry "a.{0,320}" lies in no folder, and Linux makes none of 999999 bytes/,
  });
});

function fileAt(path: string): Entry {
  const mtime = { seconds: 0, nanoseconds: 0 };
  return { type: 'file', path: bytesFromText(path), mode: 0o644, uid: 0, gid: 0, size: 0, mtime, xattrs: new Map() };
}
