// The base image of the example: this machine's Node on an otherwise empty root, so that a first build needs no registry.
import { existsSync, readFileSync } from 'node:fs';
import { readLoader, withoutSections } from './elf.ts';
import { type ImageFile, file, directory, sharedObjects } from './image-files.ts';
import type { RunConfig } from '../src/oci/run-config.ts';

/** Node in /usr/local/bin, the libraries it is loaded with where this machine has them, and two users. */
export function bareNodeFiles(): readonly ImageFile[] {
  const node = withoutSections(readFileSync(process.execPath));
  const { loader } = readLoader(node);
  const libraries = sharedObjects().filter((path) => /\/lib[^/]*\.so\.\d+$/.test(path) && existsSync(path));
  const files = [
    file('usr/local/bin/node', node, 0o755),
    file(loader.slice(1), readFileSync(loader), 0o755),
    ...libraries.map((path) => file(path.slice(1), readFileSync(path), 0o755)),
    file('etc/passwd', 'root:x:0:0:root:/root:/sbin/nologin\nnode:x:1000:1000:node:/home/node:/sbin/nologin\n'),
    file('etc/group', 'root:x:0:\nnode:x:1000:\n'),
  ];
  const folders = new Set(
    files.flatMap(({ path }) =>
      path
        .split('/')
        .slice(0, -1)
        .map((_, index, parts) => parts.slice(0, index + 1).join('/')),
    ),
  );
  return [...[...folders].map((path) => directory(path)), directory('root', 0o700), directory('tmp', 0o1777), ...files];
}

export const bareNodeConfig: RunConfig = {
  env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
  cmd: ['node'],
  labels: new Map(),
  unknown: new Map(),
};
