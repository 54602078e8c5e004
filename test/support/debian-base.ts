// A real distribution to build on: Debian bookworm by debootstrap, made once and kept in build/cache as an OCI layout.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { must } from './command.ts';
import { pushLayout, writeOciLayout } from './image-writer.ts';

const cache = resolve(import.meta.dirname, '../../build/cache');
const layout = join(cache, 'debian-bookworm');

/** Pushes Debian to `<registry>/debian:bookworm` and gives that name. The first call ever takes a minute or two. */
export async function debianBase(registry: string): Promise<string> {
  await debianLayout();
  const name = `${registry}/debian:bookworm`;
  await pushLayout(layout, 'bookworm', name);
  return name;
}

/** The OCI layout of Debian, tag `bookworm`; made by debootstrap from this machine's mirror when it isn't there. */
export async function debianLayout(): Promise<string> {
  if (existsSync(join(layout, 'index.json'))) return layout;
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'debian-'));
  try {
    const root = join(work, 'root');
    const mirror = debianMirror();
    await must(['debootstrap', '--variant=minbase', 'bookworm', root, mirror]);
    await rm(join(root, 'var/cache/apt/archives'), { recursive: true, force: true });
    await mkdir(join(root, 'var/cache/apt/archives/partial'), { recursive: true });
    await rm(join(root, 'var/lib/apt/lists'), { recursive: true, force: true });
    await mkdir(join(root, 'var/lib/apt/lists/partial'), { recursive: true });
    // what debootstrap copied from this machine
    await rm(join(root, 'etc/resolv.conf'), { force: true });
    await writeFile(join(root, 'etc/hostname'), 'debian\n');
    const archive = join(work, 'layer.tar');
    await must(['tar', '--create', '--file', archive, '--numeric-owner', '--sort=name', '--xattrs', '--xattrs-include=*', '-C', root, '.']);
    const made = join(work, 'layout');
    await writeOciLayout(made, 'bookworm', { layers: [archive], config: { Cmd: ['bash'] } });
    await rename(made, layout).catch((error: unknown) => {
      if (!existsSync(join(layout, 'index.json'))) throw error; // else another test file was faster
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return layout;
}

/** The first Debian mirror of this machine's own package sources. */
export function debianMirror(): string {
  const folder = '/etc/apt/sources.list.d';
  const files = ['/etc/apt/sources.list', ...(existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [])];
  for (const file of files.filter((path) => /\.(?:list|sources)$/.test(path) && existsSync(path))) {
    const text = readFileSync(file, 'utf8');
    const mirror = /^(?:deb|URIs:)\s.*?(https?:\/\/\S*\/debian)\/?(?:\s|$)/m.exec(text)?.[1];
    if (mirror !== undefined) return mirror;
  }
  return 'http://deb.debian.org/debian';
}
