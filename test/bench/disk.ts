// A file system of the bench's own, so that its numbers don't depend on the machine's: ext4 with a journal, as most machines
// have it. Without one the kernel passes over every inode that was deleted lately for each new file: 0.25 ms instead of 0.03.
import { mkdtemp, open, rm, rmdir, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { must, run } from '../support/command.ts';

export class BenchDisk implements AsyncDisposable {
  /** Where it is mounted: podman takes no path of more than 50 characters. */
  readonly path: string;
  readonly #folder: string;

  private constructor(folder: string, path: string) {
    this.#folder = folder;
    this.path = path;
  }

  /**
   * A new one in a file below `folder`, which grows with what is written to it.
   * @throws Error when `folder` has less room than `gigabytes`, and where a file can't be mounted.
   */
  static async make(folder: string, gigabytes: number): Promise<BenchDisk> {
    if (process.getuid?.() !== 0) throw new Error('Cannot mount a disk for the bench: this takes root');
    const { bavail, bsize } = await statfs(folder);
    const free = (bavail * bsize) / 1e9;
    if (free < gigabytes) {
      throw new Error(`Cannot make the bench's disk in ${folder}: ${gigabytes.toFixed(1)} GB are needed, ${free.toFixed(1)} GB are free`);
    }
    const disk = new BenchDisk(await mkdtemp(join(folder, 'disk-')), await mkdtemp(join(tmpdir(), 'bench-')));
    try {
      const image = join(disk.#folder, 'ext4');
      const file = await open(image, 'wx');
      await file.truncate(Math.ceil(gigabytes * 1.1 + 1) * 1e9); // what ext4 keeps for itself
      await file.close();
      // Small files are what takes room here: an inode for each block.
      await must(['/sbin/mkfs.ext4', '-q', '-F', '-O', 'has_journal', '-i', '4096', image]);
      await must(['mount', '-o', 'loop', image, disk.path]);
      return disk;
    } catch (error) {
      await disk[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Unmounts it with all that engines have mounted in it, and removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (let tries = 0; (await run(['mountpoint', '-q', this.path])).status === 0; tries++) {
      const { status, stderr } = await run(['umount', '--recursive', this.path]);
      if (status === 0) break;
      if (tries === 20) throw new Error(`Cannot unmount ${this.path}: ${stderr.trim()}`);
      await setTimeout(250); // a container that is just ending
    }
    await rmdir(this.path);
    await rm(this.#folder, { recursive: true, force: true });
  }
}
