// The same scripts by the real buildah and by us, as root and some of them as an ordinary user with ranges of ids: config, history,
// annotations and files of what is committed are equal, but for what `differences` lists, each with its reason.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createReadStream, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { createGunzip } from 'node:zlib';
import { type FlatNode, flatten } from '../../support/flatten.ts';
import { readTar } from '../../support/tar-reader.ts';
import { type Caller, type ContainerBench, openContainerBench, whyNoContainers } from '../../support/working-containers.ts';

/** Lines of a script; `$c` is its container, which begins as busybox unless the script says otherwise. */
interface Script {
  readonly name: string;
  readonly lines: readonly string[];
  readonly from?: string;
  /** Flags of its commit. */
  readonly commit?: readonly string[];
  /** Goes to `dir:`, as no layout holds it. */
  readonly isDocker?: true;
}

const changesFiles = 'run $c sh -c "mkdir -p /srv/a && echo hi > /srv/a/f && chmod 4711 /srv/a/f && ln -s a /srv/l && rm /bin/ps"';
const scripts: readonly Script[] = [
  { name: 'nothing at all', lines: [] },
  { name: 'files by commands', lines: [changesFiles] },
  { name: 'owners and times', lines: ['run $c sh -c "echo x > /x && chown 12:34 /x && touch -d @86400 /x && mkdir /d && chown 5:6 /d"'] },
  { name: 'a change and its way back', lines: ['run $c sh -c "echo x > /x && rm /x && chmod 700 /etc && chmod 755 /etc"'] },
  { name: 'a folder in place of a link', lines: ['run $c sh -c "rm /bin/pwd && mkdir /bin/pwd && echo in > /bin/pwd/in"'] },
  { name: 'hard links', lines: ['run $c sh -c "echo x > /one && ln /one /two && ln /etc/group /group"'] },
  { name: 'two commands and one layer', lines: ['run $c sh -c "echo x > /x"', 'run $c sh -c "echo y >> /x; echo z > /z"'] },
  { name: 'a user who writes', lines: ['run $c sh -c "mkdir -m 777 /open"', 'run --user guest $c sh -c "echo mine > /open/mine"'] },
  { name: 'a command in a folder of its own', lines: ['run --workingdir /etc $c sh -c "echo here > here"'] },
  { name: 'variables of a command', lines: ['config --env A=1 $c', 'run --env B=2 $c sh -c "echo $A$B$HOME > /env"'] },
  { name: 'commands in the history', lines: ['run --add-history $c sh -c "echo x > /x"', 'run $c sh -c :'] },
  { name: 'a file copied', lines: ['copy $c one.txt /srv/'] },
  { name: 'a file copied to another name', lines: ['copy $c one.txt /srv/other'] },
  { name: 'a file copied to the working folder', lines: ['config --workingdir /work $c', 'copy $c one.txt'] },
  { name: 'a folder copied', lines: ['copy $c folder /srv'] },
  { name: 'several sources', lines: ['copy $c one.txt folder/two.txt /srv/'] },
  { name: 'a pattern', lines: ['copy $c folder/*.txt /srv/'] },
  { name: 'an owner by number', lines: ['copy --chown 7:8 $c folder /srv'] },
  { name: 'an owner by name', lines: ['copy --chown guest:extra $c one.txt /one'] },
  { name: 'a mode', lines: ['copy --chmod 0751 $c one.txt /one'] },
  { name: 'a folder with rules', lines: ['copy --contextdir "$PWD" --ignorefile ignore $c "$PWD/folder" /srv'] },
  { name: 'copies in the history', lines: ['copy --add-history $c one.txt /one', 'add --add-history $c one.txt /two'] },
  { name: 'an archive unpacked', lines: ['add $c archive.tar /srv'] },
  { name: 'an archive copied', lines: ['copy $c archive.tar /srv/'] },
  {
    name: 'all settings of a process',
    lines: [
      'config --env A=1 --env B=two=2 --cmd "sh -c \'echo a b\'" --entrypoint \'["/bin/echo","x"]\' --user 5:6 --workingdir /w --stop-signal 9 $c',
    ],
  },
  {
    name: 'ports, volumes, labels',
    lines: ['config --port 80 --port 53/udp --volume /v --label a=b --label c= --label a- --annotation x=y $c'],
  },
  { name: 'an entry point for the shell', lines: ['config --entrypoint "echo hi" $c', 'config --cmd "" $c'] },
  {
    name: 'who and how',
    lines: ['config --author me --created-by by-hand --history-comment why --arch arm64 --os linux --os-version 3 $c'],
  },
  { name: 'settings in the history', lines: ['config --add-history --env A=1 --label a=b --user guest $c'] },
  {
    name: "Docker's format",
    lines: [
      'config --shell "/bin/ash -c" --healthcheck "CMD true" --healthcheck-interval 3s --onbuild "RUN true" --comment hm $c',
      changesFiles,
    ],
    commit: ['--format', 'docker'],
    isDocker: true,
  },
  {
    name: 'OCI without what Docker has',
    lines: ['config --shell "/bin/ash -c" --healthcheck "CMD true" --onbuild "RUN true" --comment hm $c'],
  },
  { name: 'one layer of all', lines: [changesFiles], commit: ['--squash'] },
  { name: 'a time for all', lines: ['copy $c folder /srv'], commit: ['--timestamp', '86400'] },
  { name: 'no history and one variable less', lines: ['config --env A=1 --env B=2 $c'], commit: ['--omit-history', '--unsetenv', 'A'] },
  { name: 'from nothing', lines: ['copy $c one.txt /one', 'config --cmd /one $c'], from: 'scratch' },
];

/** What has to differ. */
const differences = {
  /** Everybody's label has his own name, and our version of a base is another bytes' digest. */
  names: /^(?:io\.(?:buildah|yadokari)\.version|org\.opencontainers\.image\.base\.digest)$/,
  /** buildah notes of scratch that its name is empty. */
  empty: /^org\.opencontainers\.image\.base\./,
  /** Of a tar stream of buildah's making; ours is of the content itself. */
  copied: /(#\(nop\) (?:COPY|ADD) \w+:)[0-9a-f]{64}$/,
  /** Of the whole machine's clock. */
  times: ['created'],
  /** buildah leaves the places of its mounts in the image; here they go again. */
  mountPoints: new Set(['/dev', '/proc', '/sys', '/run', '/run/.containerenv', '/etc/hosts', '/etc/hostname', '/etc/resolv.conf']),
  /** docker's builders of old: the container that it was made in, and what it was made of. Nobody reads them. */
  dockerOnly: new Set(['container', 'container_config', 'docker_version', 'parent', 'id']),
};

/** What an ordinary user's ranges of ids may change: owners, and who may do what. */
const byUser: ReadonlySet<string> = new Set([
  'owners and times',
  'a user who writes',
  'an archive unpacked',
  'one layer of all',
  'from nothing',
]);

for (const caller of ['root', 'user'] as const) {
  const skip = whyNoContainers(caller) || (spawnSync('buildah', ['--version']).status !== 0 && 'buildah is not installed');
  const bench = skip === false ? await openContainerBench(caller) : undefined;
  suite(`scripts by buildah and by us, as ${caller === 'root' ? 'root' : 'an ordinary user'}`, { skip }, () => {
    if (bench !== undefined) testScripts(bench, caller, caller === 'root' ? scripts : scripts.filter(({ name }) => byUser.has(name)));
  });
}

function testScripts(bench: ContainerBench, caller: Caller, chosen: readonly Script[]): void {
  const { folder, storeFolder, argv, must } = bench;
  // One shell is the caller's, and all that it starts.
  const asCaller = argv().slice(0, argv().indexOf('--') + 1);
  const engine = ['buildah', '--root', join(folder, 'buildah'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs'];
  const env = { ...bench.env, BUILDAH_ISOLATION: 'chroot', XDG_RUNTIME_DIR: join(folder, 'xdg'), TMPDIR: folder };
  const shell = (text: string, cwd = folder) =>
    spawnSync('env', [...asCaller, 'sh', '-ec', text], { cwd, encoding: 'utf8', env, timeout: 120_000 });
  after(() => {
    shell(`${engine.join(' ')} rm --all`);
    // An ordinary user's podman leaves a process that holds his namespaces, and by that his account.
    if (caller === 'user') shell('podman system migrate');
    bench[Symbol.dispose]();
  });
  writeSources(folder);
  must('copy', '--quiet', `oci:${join(storeFolder, 'images')}:localhost/busybox:latest`, `oci:${folder}/base:busybox`);
  const pull = `mkdir -m 700 xdg; ${engine.join(' ')} tag $(${engine.join(' ')} pull -q oci:base:busybox) localhost/busybox:latest`;
  const { status, stderr } = shell(pull);
  assert.equal(status, 0, stderr);
  const tools = { buildah: engine, yadokari: argv().slice(asCaller.length) };
  test('an image goes to podman and to buildah and comes back, and files keep the owners that they were given', () => {
    const ended = shell(`
      yadokari() { ${tools.yadokari.map((word) => `'${word}'`).join(' ')} "$@"; }
      buildah() { command ${engine.join(' ')} "$@"; }
      podman() { command podman ${engine.slice(1).join(' ')} "$@"; }
      c=$(yadokari from busybox)
      yadokari run $c sh -c 'touch /f && chown 7:8 /f'
      yadokari commit -q $c oci:owners:x > id
      yadokari commit -q --rm $c owners > id
      yadokari save -q -o ours.tar owners
      podman load -q -i ours.tar > id
      podman save -q -o theirs.tar localhost/owners
      yadokari rmi owners > id
      yadokari load -q -i theirs.tar > id
      yadokari run $(yadokari from owners) stat -c %u:%g /f
      buildah pull -q oci:owners:x > id
      c=$(buildah from localhost/owners)
      buildah run $c -- stat -c %u:%g /f
      buildah run $c -- chown 9:10 /f
      buildah commit -q --rm $c oci:back:x > id
      yadokari pull -q oci:back:x > id
      yadokari run $(yadokari from x) stat -c %u:%g /f
      yadokari rm --all > id`);
    assert.deepEqual([ended.status, ended.stdout], [0, '7:8\n7:8\n9:10\n'], ended.stderr);
  });
  for (const [number, script] of chosen.entries()) {
    test(`buildah and yadokari make the same image: ${script.name}`, async () => {
      const images = [];
      for (const [name, command] of Object.entries(tools)) {
        const layout = join(folder, name, String(number));
        const call = command.map((word) => `'${word}'`).join(' ');
        const place = script.isDocker === true ? `dir:${layout}` : `oci:${layout}:case`;
        const lines = [
          `mkdir -p ${layout}; c=case-${number}`,
          `${call} from --name $c ${script.from ?? 'localhost/busybox:latest'}`,
          ...script.lines.map((line) => `${call} ${line}`),
          `${call} commit --quiet --rm ${(script.commit ?? []).join(' ')} $c ${place}`,
        ];
        const ended = shell(lines.join('\n'), join(folder, 'sources'));
        assert.equal(ended.status, 0, `${name}: ${ended.stderr}`);
        images.push(await imageIn(layout, script.isDocker));
      }
      const [theirs, ours] = images;
      assert.deepEqual(ours, theirs);
    });
  }
}

function writeSources(folder: string): void {
  const sources = join(folder, 'sources');
  mkdirSync(join(sources, 'folder/sub'), { recursive: true });
  for (const [name, text] of [
    ['one.txt', 'one'],
    ['folder/two.txt', 'two'],
    ['folder/three.txt', 'three'],
    ['folder/sub/script', '#!/bin/sh\n'],
    ['ignore', 'folder/sub\nfolder/thr*\n'],
  ] as const)
    writeFileSync(join(sources, name), text, { mode: name.endsWith('script') ? 0o755 : 0o644 });
  // Without an entry for the folder itself, which changes nothing here, as in BuildKit's ADD, and the destination's owner in buildah's.
  execFileSync('tar', ['-C', sources, '--owner=3', '--group=4', '-cf', join(sources, 'archive.tar'), 'folder', 'one.txt']);
}

interface Comparable {
  readonly config: unknown;
  readonly annotations: unknown;
  readonly tree: readonly string[];
}

async function imageIn(layout: string, isFolder = false): Promise<Comparable> {
  const blob = (digest: string): string => join(layout, isFolder ? '' : 'blobs/sha256', digest.replace('sha256:', ''));
  const read = (path: string): Json => JSON.parse(readFileSync(path, 'utf8')) as Json; // image-spec
  const entry = (): Json | undefined => listAt(read(join(layout, 'index.json')), 'manifests')[0];
  const manifest = read(isFolder ? join(layout, 'manifest.json') : blob(textAt(entry(), 'digest')));
  const config = read(blob(textAt(memberAt(manifest, 'config'), 'digest')));
  const layers = [];
  for (const layer of listAt(manifest, 'layers')) {
    const source = createReadStream(blob(textAt(layer, 'digest')));
    layers.push(await readTar(textAt(layer, 'mediaType').endsWith('gzip') ? source.pipe(createGunzip()) : source));
  }
  const { tree } = flatten(layers);
  const count = listAt(memberAt(config, 'rootfs'), 'diff_ids').length;
  return {
    config: settled({ ...asObject(config), rootfs: count }),
    annotations: settled(memberAt(manifest, 'annotations')),
    tree: [...tree].flatMap(([path, node]) => (differences.mountPoints.has(path) ? [] : lineOf(path, node))).toSorted(),
  };
}

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** Without what has to differ, and without members that say nothing: Docker's format has many. */
function settled(value: Json | undefined): Json {
  if (Array.isArray(value)) return value.map((item: Json) => settled(item));
  if (typeof value === 'string') return value.replace(differences.copied, '$1');
  if (typeof value !== 'object' || value === null) return value ?? {};
  const kept = Object.entries(value).flatMap(([key, item]): [string, Json][] => {
    if (differences.names.test(key) || differences.times.includes(key) || differences.dockerOnly.has(key)) return [];
    const inner = settled(item);
    const isEmpty = inner === '' || inner === null || inner === false || (typeof inner === 'object' && Object.keys(inner).length === 0);
    // A key of a map of labels, ports or volumes says something by being there.
    return isEmpty && (/^(?:[A-Z]|history$)/.test(key) || differences.empty.test(key)) ? [] : [[key, inner]];
  });
  return Object.fromEntries(kept.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** Times count only where a script set them. */
function lineOf(path: string, { type, mode, uid, gid, size, mtime, sha256, target }: FlatNode): string {
  const time = mtime === 86_400 ? ' 1970-01-02' : '';
  const content = type === 'file' ? ` ${size} ${sha256.slice(0, 12)}` : '';
  return `${path} ${type} ${(mode & 0o7777).toString(8)} ${uid}:${gid}${content}${target === '' ? '' : ` -> ${target}`}${time}`;
}

function asObject(value: Json | undefined): { readonly [key: string]: Json } {
  assert.ok(typeof value === 'object' && value !== null && !Array.isArray(value));
  return value as { readonly [key: string]: Json }; // checked above
}

function memberAt(value: Json | undefined, key: string): Json | undefined {
  return asObject(value)[key];
}

function listAt(value: Json | undefined, key: string): readonly Json[] {
  const member = memberAt(value, key);
  assert.ok(Array.isArray(member), key);
  return member as readonly Json[]; // checked above
}

function textAt(value: Json | undefined, key: string): string {
  const member = memberAt(value, key);
  assert.ok(typeof member === 'string', key);
  return member;
}
