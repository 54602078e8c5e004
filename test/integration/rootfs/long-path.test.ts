// A RUN that goes down folder by folder makes paths that the kernel does not take in one piece.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bytesFromText } from '../../../src/bytes.ts';
import { readEntries } from '../../../src/layer/read.ts';
import { writeArchive } from '../../../src/layer/write.ts';
import { captureChanges } from '../../../src/rootfs/capture.ts';
import { clearRoot } from '../../../src/rootfs/clear.ts';
import { diffTrees } from '../../../src/rootfs/diff.ts';
import { createProtection } from '../../../src/rootfs/protect.ts';
import { scanRoot } from '../../../src/rootfs/scan.ts';
import { takeRootBack, setRootAside } from '../../../src/rootfs/set-aside.ts';
import { temporaryFolder, tree } from '../../support/tree.ts';

const signal = new AbortController().signal;
const name = 'n'.repeat(250);
const deepen = `i=0; while [ $i -lt 40 ]; do mkdir ${name}; cd -P ${name}; i=$((i+1)); done; echo deep > file; ln -s file link; ln file twin`;

test('a path of 10,000 bytes is scanned, captured, set aside, taken back and removed', async (context) => {
  const folder = temporaryFolder(context);
  tree(folder, { root: { dir: {} }, aside: { dir: {} } });
  const root = { path: bytesFromText(join(folder, 'root')), protection: createProtection([]) };
  const before = await scanRoot(root, signal);
  execFileSync('sh', ['-euc', deepen], { cwd: join(folder, 'root'), env: {} });
  const after = await scanRoot(root, signal);
  const top = `${name}/`.repeat(40);
  assert.equal(after.size, 43);
  const content = new Map<string, string>();
  for (const entry of captureChanges(root, diffTrees(before, after), signal)) {
    let text = entry.linkTarget ?? '';
    for (const chunk of entry.content ?? []) text += chunk.toString();
    if (entry.type !== 'directory') content.set(entry.path, text);
  }
  assert.deepEqual(
    [...content],
    [
      [`${top}file`, 'deep\n'],
      [`${top}link`, 'file'],
      [`${top}twin`, `${top}file`],
    ],
  );
  const archived: string[] = [];
  for await (const { path } of readEntries(writeArchive(captureChanges(root, diffTrees(before, after), signal)), signal))
    archived.push(path);
  assert.deepEqual(archived.slice(-3), [...content.keys()]);
  const aside = bytesFromText(join(folder, 'aside'));
  await setRootAside(root, aside, signal);
  assert.deepEqual(readdirSync(join(folder, 'root')), []);
  await takeRootBack(root, aside, signal);
  assert.equal((await scanRoot(root, signal)).size, 43);
  clearRoot(root, signal);
  assert.deepEqual(readdirSync(join(folder, 'root')), []);
});
