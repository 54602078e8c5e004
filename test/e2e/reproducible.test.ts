// --reproducible with RUNs: the same Dockerfile gives the same bytes in containers whose roots are on other file systems, at other times,
// with other CPUs, and whatever compresses there.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { must } from '../support/command.ts';
import { chosenEngine } from '../support/engine.ts';
import { podmanCommand, runContainer } from '../support/podman.ts';
import { inPod, podVolumes } from '../support/pod-shape.ts';
import { readRegistryImage } from '../support/registry-image.ts';
import { Scene } from '../support/scene.ts';
import { tarArchive } from '../support/tar-writer.ts';

const skip = chosenEngine() === 'podman' ? false : 'roots on chosen file systems need podman';
const names = Array.from({ length: 60 }, (_, index) => `file-${(index * 17) % 60}`);
const dockerfile = `FROM @REG@/base AS made
WORKDIR /srv/app
COPY files /srv/files
ADD archive.tar /srv/archive
RUN mkdir -p /made/deep && for i in 9 3 7 1 5; do for j in c a b; do echo $i > /made/deep/$j$i; ln /made/deep/$j$i /made/hard-$j$i; done; done
RUN ln -s deep/a1 /made/soft && chmod 4755 /made/deep/a3 && chown 12:34 /made/deep/a5 && mkfifo /made/fifo && \\
    dd if=/dev/zero of=/made/sparse bs=1 seek=3000000 count=1 && mv /srv/files/deep /srv/moved && rm /srv/files/file-1 && \\
    rm -r /srv/archive/gone && mkdir /srv/archive/gone && touch /srv/archive/gone/again
RUN mkdir -p /opt/it && cp /etc/passwd /opt/it/ && chmod 600 /etc/group && touch /etc/passwd
RUN mv /opt /opt-moved && mv /opt-moved /opt && mv /root /root-moved && mv /root-moved /root
RUN true
FROM @REG@/base
RUN --mount=type=cache,target=/cache echo kept > /cache/it && cp /cache/it /from-cache
COPY --from=made /made /srv /all/
WORKDIR /all
RUN find . | sort > /list && : > /tmp/x && rm /tmp/x
`;

let scene: Scene;
let folder = '';
const mounted: string[] = [];
before(async () => {
  if (skip !== false) return;
  scene = await Scene.start();
  folder = await mkdtemp('/var/tmp/yadokari-same-');
});
after(async () => {
  for (const place of mounted.toReversed()) await must(['umount', '-l', place]);
  if (folder !== '') await rm(folder, { recursive: true, force: true });
  await scene?.stop();
});

/** The context, made in that order with that time. */
async function contextAt(place: string, order: readonly string[], time: string): Promise<string> {
  await mkdir(join(place, 'files/deep'), { recursive: true });
  const archive = tarArchive([
    { name: 'gone/', type: 'dir', mtime: 5 },
    { name: 'gone/a', content: 'a', mtime: 6 },
    { name: 'kept', content: 'k', mtime: 7 },
  ]);
  await writeFile(join(place, 'archive.tar'), archive);
  await writeFile(join(place, 'Dockerfile'), dockerfile.replaceAll('@REG@', scene.registry.host));
  for (const name of order) for (const below of ['files', 'files/deep']) await writeFile(join(place, below, name), name.repeat(500));
  for (const name of [...order, '.'])
    for (const below of ['files/deep', 'files']) await utimes(join(place, below, name), new Date(time), new Date(time));
  return place;
}

type FileSystem = 'xfs' | 'btrfs' | 'ext4' | 'tmpfs';
/** ext4 without its index lists names in the order in which they were made. */
const options: Readonly<Partial<Record<FileSystem, readonly string[]>>> = { ext4: ['-O', '^dir_index'] };

/** A folder on a file system of its own; undefined where this machine has none of the kind. */
async function fileSystem(kind: FileSystem): Promise<string | undefined> {
  const place = join(folder, kind);
  await mkdir(place);
  try {
    if (kind === 'tmpfs') await must(['mount', '-t', 'tmpfs', '-o', 'size=400m', 'tmpfs', place]);
    else {
      await must(['truncate', '-s', '400M', `${place}.img`]);
      await must([`mkfs.${kind}`, '-q', ...(options[kind] ?? []), `${place}.img`], {
        env: { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` },
      });
      await must(['mount', '-o', 'loop', `${place}.img`, place]);
    }
  } catch {
    return undefined;
  }
  mounted.push(place);
  return place;
}

/** Mounts that have the builder believe it is then: Debian's libfaketime in place of a library that glibc keeps for its name alone. */
async function clockIn(date: string): Promise<readonly string[]> {
  const library = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1';
  if (!existsSync(library)) return [];
  const settings = join(folder, 'faketimerc');
  await writeFile(settings, `@${date}\n`);
  return [`${library}:/kaniko/lib/libdl.so.2:ro`, `${settings}:/etc/faketimerc:ro`];
}

interface Variant {
  readonly name: string;
  /** Where the container's root is; the engine's own place where left out. */
  readonly root?: string;
  readonly order: readonly string[];
  readonly time: string;
  readonly args?: readonly string[];
  readonly volumes?: readonly string[];
  readonly extra?: readonly string[];
}

/** The digest and layers of what a container of that kind pushes. */
async function build({
  name,
  root,
  order,
  time,
  args = [],
  volumes = [],
  extra = [],
}: Variant): Promise<{ readonly digest: string; readonly layers: unknown }> {
  const context = await contextAt(await mkdtemp(join(folder, 'context-')), order, time);
  const repository = `same/${name}`;
  const destination = `--destination=${scene.registry.host}/${repository}:latest`;
  const flags = [destination, '--insecure', '--insecure-pull', '--reproducible', '--log-timestamp', ...args];
  const pod = inPod({
    image: root ?? scene.builder,
    command: root === undefined ? flags : ['/kaniko/executor', ...flags],
    extra: [...extra, ...(root === undefined ? [] : ['--rootfs', '--env=HOME=/root', '--workdir=/workspace'])],
    volumes: podVolumes('kubernetes', { context, volumes }),
    name: `yadokari-same-${process.pid}-${name}`,
  });
  const result = await runContainer(pod);
  assert.equal(result.status, 0, `${name}: ${result.output.slice(-3000)}`);
  if (volumes.some((volume) => volume.includes('faketime'))) assert.match(result.output, /^2040-02-29T/m);
  const image = await readRegistryImage(scene.registry.host, repository, 'latest');
  assert.ok(image !== undefined);
  return { digest: image.digest, layers: image.manifest['layers'] };
}

/** The builder's image, unpacked. */
async function rootIn(place: string): Promise<string> {
  const root = join(place, 'root');
  await mkdir(root);
  const id = (await must(podmanCommand(['create', scene.builder]))).trim();
  try {
    await must(['sh', '-c', `podman export ${id} | tar -x --numeric-owner -C "$1"`, 'sh', root]);
    await mkdir(join(root, 'workspace'), { recursive: true });
  } finally {
    await must(podmanCommand(['rm', '-f', id]));
  }
  return root;
}

test(
  'an image with RUNs has the same digest on every file system, at any time, and with any number of CPUs',
  { skip, timeout: 600_000 },
  async (t) => {
    const nothing = join(folder, 'nothing');
    await writeFile(nothing, '');
    const lacking: string[] = [];
    const clock = await clockIn('2040-02-29 12:00:00');
    if (clock.length === 0) lacking.push('another clock');
    const isal = existsSync('/usr/lib/x86_64-linux-gnu/libisal.so.2') ? [`${nothing}:/kaniko/lib/libisal.so.2:ro`] : [];
    const first = await build({ name: 'first', order: names, time: '2001-02-03T04:05:06.789Z' });
    await delay(1100); // no two are made within one second
    const variants: Variant[] = [
      { name: 'one-cpu', order: names.toReversed(), time: '2031-12-30T23:59:59Z', volumes: isal, extra: ['--cpuset-cpus=0'] },
    ];
    for (const kind of ['xfs', 'btrfs', 'ext4', 'tmpfs'] as const) {
      const place = await fileSystem(kind);
      if (place === undefined) lacking.push(kind);
      else
        variants.push({
          name: kind,
          root: await rootIn(place),
          order: names.toSorted(),
          time: '2026-01-01T00:00:00Z',
          args: [`--kaniko-dir=/builder-${kind}`],
          volumes: kind === 'ext4' ? clock : [],
        });
    }
    for (const variant of variants) {
      const other = await build(variant);
      assert.deepEqual(other.layers, first.layers, variant.name);
      assert.equal(other.digest, first.digest, variant.name);
    }
    if (lacking.length > 0) t.diagnostic(`not tried, as this machine can't: ${lacking.join(', ')}`);
  },
);
