// Looking at a hundred thousand files, all that a snapshot does when nothing has changed, against find(1).
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bytesFromText } from '../../src/bytes.ts';
import { createProtection } from '../../src/rootfs/protect.ts';
import { scanRoot } from '../../src/rootfs/scan.ts';
import { must } from '../support/command.ts';
import { compare, type Ratio } from './ratio.ts';

const folders = 1000;
const filesEach = 100;

/** Seconds of wall clock, ours to `find -printf` with the same fields. */
export async function benchScan(rounds: number, folder: string): Promise<Ratio> {
  const work = await mkdtemp(join(folder, 'scan-'));
  try {
    for (let outer = 0; outer < folders; outer++) {
      const inner = join(work, `d${outer % 10}`, `d${outer}`);
      await mkdir(inner, { recursive: true });
      for (let file = 0; file < filesEach; file++) await writeFile(join(inner, `file-${file}`), '');
    }
    const fields = '%p %m %U %G %s %T@ %C@ %i %D %n\\n';
    const root = { path: bytesFromText(work), protection: createProtection([]) };
    return await compare({ name: 'scan 100,000 files', reference: 'find -printf', aim: 2.0 }, rounds, {
      ours: {
        run: async () => {
          const tree = await scanRoot(root, new AbortController().signal);
          if (tree.size < folders * filesEach) throw new Error(`the scan found ${tree.size} entries`);
        },
      },
      theirs: {
        run: async () => {
          await must(['find', work, '-fprintf', join(folder, 'found.txt'), fields]);
        },
      },
    });
  } finally {
    await rm(work, { recursive: true, force: true });
    await rm(join(folder, 'found.txt'), { force: true });
  }
}
