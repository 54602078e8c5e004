// usage: npm run image [-- --debug] [--busybox PATH] [--output FOLDER]
//        node scripts/image.ts --rootfs FOLDER [--debug] [--busybox PATH]
// Writes the builder image as an OCI layout (tags latest and warmer, with --debug also debug) with our own code and no engine, or,
// with --rootfs, only its files for a Containerfile. Same sources and machine, same bytes.
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { appFiles, debugFiles, type ImageFile, runtimeFiles } from './image-files.ts';
import { type Part, builderConfig, writeImageLayout } from './image-layout.ts';
import type { RunConfig } from '../src/oci/run-config.ts';

const root = join(import.meta.dirname, '..');

/** Puts the files below `folder`, which should be new and empty. */
function writeRootfs(folder: string, files: readonly ImageFile[]): void {
  mkdirSync(folder, { recursive: true });
  for (const { path, mode, content } of files) {
    const target = join(folder, path);
    if (content.kind === 'symlink') {
      symlinkSync(content.target, target);
      continue;
    }
    if (content.kind === 'directory') mkdirSync(target, { recursive: true });
    else writeFileSync(target, content.bytes, { flag: 'wx' });
    chmodSync(target, mode); // the umask took bits away
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      debug: { type: 'boolean', default: false },
      busybox: { type: 'string', default: '/bin/busybox' },
      output: { type: 'string', default: join(root, 'build/image') },
      rootfs: { type: 'string' },
    },
  });
  const normal: readonly Part[] = [
    { comment: 'Node and what it needs', files: runtimeFiles() },
    { comment: 'the builder', files: await appFiles(root) },
  ];
  const debug: readonly Part[] = values.debug ? [{ comment: 'busybox', files: debugFiles(values.busybox) }] : [];
  if (values.rootfs !== undefined) {
    writeRootfs(
      values.rootfs,
      [...normal, ...debug].flatMap((part) => part.files),
    );
    return;
  }
  const controller = new AbortController();
  process.once('SIGINT', () => controller.abort(new Error('stopped by SIGINT')));
  const seconds = Number(process.env['SOURCE_DATE_EPOCH'] ?? 0);
  const write = async (tag: string, parts: readonly Part[], config: RunConfig): Promise<void> => {
    const request = { folder: values.output, tag, parts, config, seconds };
    const { digest, sizeBytes } = await writeImageLayout(request, controller.signal);
    console.log(`${values.output}:${tag} ${digest} ${(sizeBytes / 1e6).toFixed(1)} MB`);
  };
  await write('latest', normal, builderConfig(false));
  await write('warmer', normal, { ...builderConfig(false), entrypoint: ['/kaniko/warmer'] });
  if (values.debug) await write('debug', [...normal, ...debug], builderConfig(true));
}

await main();
