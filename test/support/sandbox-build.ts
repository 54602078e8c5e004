// `bin/yadokari build` in a folder of its own: the whole builder for tests that need no registry and no container engine.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { openEntries } from '../../src/layer/open-entries.ts';
import type { Image } from '../../src/oci/image.ts';
import { readLayout } from '../../src/store/oci-layout.ts';
import { run } from './command.ts';

const checkout = join(import.meta.dirname, '../..');
/** `--build-context` that makes `FROM base` mean the small image of the conformance cases. */
const baseFlag = `--build-context=base=oci-layout://${join(checkout, 'test/conformance/base')}:base`;

export interface SandboxBuild {
  readonly status: number | undefined;
  /** Both streams. */
  readonly output: string;
}

export interface SandboxBuilds {
  /** The context. */
  readonly folder: string;
  /** Writes a file of the context, folders included. */
  readonly write: (path: string, text: string) => void;
  /** Builds a Dockerfile without pushing; `files` keeps the image for `image()`. */
  readonly build: (dockerfile: string, flags?: readonly string[], options?: BuildOptions) => Promise<SandboxBuild>;
  /** The image of the last build that ran with `keeps`. */
  readonly image: () => Promise<Image>;
  /** Name → text of every regular file in the image's layers of its own, later layers winning; whiteouts are left in. */
  readonly files: () => Promise<ReadonlyMap<string, string>>;
  readonly remove: () => void;
}

export interface BuildOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  /** The image is written to a layout. */
  readonly keeps?: boolean;
  /** Replaces the context `.`. */
  readonly context?: string;
  /** Without a command, as kaniko is called. */
  readonly isKanikos?: boolean;
}

/** Why there can be no such builds here, or false. */
export const sandboxMissing: string | false = process.getuid?.() === 0 ? false : 'needs root, for images whose files have several owners';

/** A folder to build in; `remove` it at the end. */
export function sandboxBuilds(): SandboxBuilds {
  const top = mkdtempSync('/var/tmp/yadokari-builds-');
  const folder = join(top, 'context');
  const layout = join(top, 'layout');
  mkdirSync(folder);
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  const image = async (): Promise<Image> => {
    const platform = { os: 'linux', architecture: 'amd64' };
    return (await readLayout({ folder: layout }, platform, AbortSignal.timeout(60_000))).image;
  };
  return {
    folder,
    write,
    image,
    build: async (dockerfile, flags = [], { env, input, keeps = false, context = '.', isKanikos = false } = {}) => {
      write('Dockerfile', dockerfile);
      if (keeps) rmSync(layout, { recursive: true, force: true });
      // Steps are executed, unless a test is about what is kept.
      const isCold = !isKanikos && !flags.some((flag) => flag.startsWith('--cache'));
      const place = isKanikos ? `--context=${context}` : context;
      const args = [
        ...(isKanikos ? [] : ['build']),
        baseFlag,
        '--no-check',
        ...(isCold ? ['--cache=false'] : []),
        keeps ? `--oci-layout-path=${layout}` : '--no-push',
        ...flags,
        place,
      ];
      const { status, output } = await run([join(checkout, 'bin/yadokari'), ...args], {
        cwd: folder,
        timeoutMs: 120_000,
        env: { YADOKARI_ROOT: join(top, 'store'), ...env },
        ...(input === undefined ? {} : { input }),
      });
      return { status, output };
    },
    files: async () => {
      const found = new Map<string, string>();
      const signal = AbortSignal.timeout(60_000);
      for (const layer of (await image()).layers) {
        for await (const entry of openEntries(layer, signal, () => undefined)) {
          if (entry.type !== 'file') continue;
          const chunks: Buffer[] = [];
          for await (const chunk of entry.content ?? []) chunks.push(chunk);
          found.set(entry.path, Buffer.concat(chunks).toString());
        }
      }
      return found;
    },
    remove: () => rmSync(top, { recursive: true, force: true }),
  };
}
