// usage: npm run image [-- --debug] [--busybox PATH] [--output FOLDER]
//        node scripts/image.ts --rootfs FOLDER [--debug] [--busybox PATH]
// Writes the builder image as an OCI layout (tags latest and warmer, with --debug also debug) with our own code and no engine, and its
// program into build/program, for bin/yadokari; or, with --rootfs, only the image's files for a Containerfile. Same sources and machine,
// same bytes.
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { appFiles, appFolder, debugFiles, type ImageFile, runtimeFiles } from './image-files.ts';
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

/**
 * Keeps the program beside the image, for bin/yadokari to start in half the time that the sources take.
 * @param begun - when the sources were read; what changes after that is newer than the program, and is run as it is
 */
function keepProgram(app: readonly ImageFile[], begun: Date): void {
  const build = join(root, 'build');
  mkdirSync(build, { recursive: true });
  const folder = mkdtempSync(join(build, 'program-'));
  const files = app
    .filter(({ path }) => path.startsWith(`${appFolder}/`))
    .map((file) => ({ ...file, path: relative(appFolder, file.path) }));
  writeRootfs(folder, files);
  chmodSync(folder, 0o755);
  utimesSync(join(folder, 'main.js'), begun, begun);
  const place = join(build, 'program');
  rmSync(place, { recursive: true, force: true });
  renameSync(folder, place);
}

async function main(): Promise<void> {
  const begun = new Date();
  const { values } = parseArgs({
    options: {
      debug: { type: 'boolean', default: false },
      busybox: { type: 'string', default: '/bin/busybox' },
      output: { type: 'string', default: join(root, 'build/image') },
      rootfs: { type: 'string' },
    },
  });
  const app = await appFiles(root);
  const normal: readonly Part[] = [
    { comment: 'Node and what it needs', files: runtimeFiles() },
    { comment: 'the builder', files: app },
  ];
  const debug: readonly Part[] = values.debug ? [{ comment: 'busybox', files: debugFiles(values.busybox) }] : [];
  if (values.rootfs !== undefined) {
    writeRootfs(
      values.rootfs,
      [...normal, ...debug].flatMap((part) => part.files),
    );
    return;
  }
  keepProgram(app, begun);
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
