// `yadokari build` with the flags of docker build and buildah, judged by umoci, skopeo and podman.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, createReadStream, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, describe, test } from 'node:test';
import { run } from '../../support/command.ts';
import { podman } from '../../support/podman.ts';
import { sandboxBuilds, sandboxMissing } from '../../support/sandbox-build.ts';
import { readTar, type TarMember } from '../../support/tar-reader.ts';

const missing = ['umoci', 'skopeo', 'podman'].filter((name) => spawnSync(name, ['--version']).status !== 0);
const skip = missing.length > 0 ? `${missing.join(', ')} not installed` : sandboxMissing;
const dockerfile = `FROM base
LABEL a=b
COPY file /file
RUN echo made > /made && chown 1000:1000 /made && mkdir -p /d/e && ln /made /d/other && ln -s ../made /d/link && mkfifo /d/pipe
ENV X=1
`;

describe('yadokari build -o', { skip, timeout: 300_000 }, () => {
  const builds = sandboxBuilds();
  builds.write('file', 'context\n');
  const out = join(builds.folder, '..', 'out');
  mkdirSync(out);
  after(builds.remove);

  test('gives the files as a folder and as an archive, and the image in archives that engines read', async () => {
    mkdirSync(join(out, 'files/d'), { recursive: true });
    for (const name of ['files/mine', 'files/d/mine', 'files/made']) writeFileSync(join(out, name), 'was here');
    const outputs = [
      'type=oci,dest=oci.tar',
      'type=docker,dest=docker.tar',
      'type=oci,tar=false,dest=layout',
      'type=tar,dest=files.tar',
      'files',
    ];
    const flags = outputs.map((text) => `-o=${text.replace(/(dest=|^)(?=\w+(?:\.tar)?$)/, `$1${out}/`)}`);
    const { status, output } = await builds.build(dockerfile, [...flags, '-d', 'registry.example/app:1', '--no-push'], { keeps: true });
    assert.equal(status, 0, output);
    assert.match(output, new RegExp(`^Wrote files:${out}/files sha256:`, 'm'));

    const listed = linesOf(await readTar(createReadStream(join(out, 'files.tar'))));
    // What the header of a hard link says, engines apply, and umoci does not.
    const agreed = (lines: readonly string[]): readonly string[] => lines.filter((line) => !/^opt\/tree\/(?:hard-)?a /.test(line));
    assert.deepEqual(agreed(listed), agreed(linesOf(await asUmociUnpacks(join(out, 'layout')))));
    const inFolder = await archiveOf(join(out, 'files'), ['mine', 'd/mine']);
    assert.deepEqual(
      linesOf(inFolder),
      listed.map((line) => line.replace(/ \d+:\d+ /, ' 0:0 ')),
      'all of it belongs to whoever builds',
    );
    for (const name of ['mine', 'd/mine']) assert.equal(readFileSync(join(out, 'files', name), 'utf8'), 'was here');

    const digest = /"digest":"(sha256:[0-9a-f]+)"/.exec(readFileSync(join(out, 'layout/index.json'), 'utf8'))?.[1];
    const { stdout } = await run(['skopeo', 'inspect', '--format={{.Digest}}', `oci-archive:${out}/oci.tar`]);
    assert.equal(stdout.trim(), digest);
    for (const name of ['oci', 'docker']) {
      const loaded = await podman(['load', '-q', '-i', join(out, `${name}.tar`)]);
      assert.match(loaded.output, /Loaded image: registry\.example\/app:1$/m, name);
      await podman(['untag', 'registry.example/app:1']);
    }
  });

  test('writes an archive to standard output, and nothing else', async () => {
    builds.write('Dockerfile', dockerfile);
    const command = ['build', '--build-context=base=oci-layout://', '-o=-', '-q', '.'];
    const { status, stdout, stderr } = spawnSync(join(import.meta.dirname, '../../../bin/yadokari'), withBase(command), {
      cwd: builds.folder,
      env: { ...process.env, YADOKARI_ROOT: join(out, 'store') },
      maxBuffer: 1 << 26,
    });
    assert.equal(status, 0, stderr.toString());
    const names = (await readTar(Readable.from([stdout]))).map(({ name }) => name);
    assert.ok(names.includes('made') && names.includes('bin/busybox'), names.join(' '));
  });

  test('leaves no folder behind where the build fails', async () => {
    const place = join(out, 'nothing');
    const { status } = await builds.build('FROM base\nRUN false\n', [`-o=${place}`]);
    assert.equal(status, 1);
    assert.equal(existsSync(place), false);
  });

  for (const { flags, layers, history } of [
    { flags: ['--squash'], layers: 1, history: ['LABEL a=b', 'COPY file /file', 'RUN …', 'ENV X=1 *'] },
    {
      flags: ['--layers=false'],
      layers: 2,
      history: ['ADD rootfs.tar / # conformance base *', 'CMD ["sh"]', 'LABEL a=b', 'COPY file /file', 'RUN … *', 'ENV X=1'],
    },
    { flags: ['--omit-history'], layers: 3, history: [] },
  ] as const) {
    test(`${flags.join(' ')} makes an image as buildah's is`, async () => {
      const { status, output } = await builds.build(dockerfile, flags, { keeps: true });
      assert.equal(status, 0, output);
      const image = await builds.image();
      assert.equal(image.layers.length, layers);
      const shown = image.config.history.map(({ createdBy = '', emptyLayer }) => {
        const text = createdBy.replace(/^RUN .*/, 'RUN …').replace(/ # buildkit$/, '');
        return `${text}${emptyLayer === true ? '' : ' *'}`;
      });
      assert.deepEqual(shown, history);
      assert.equal((await builds.files()).get('made') ?? (await builds.files()).get('d/other'), 'made\n');
    });
  }

  test('--timestamp is the time of the image, its history and each file of new layers, whatever the clock says', async () => {
    const digests = new Set<string>();
    for (const _ of [1, 2]) {
      const { status, output } = await builds.build(dockerfile, ['--timestamp=86400', '-o', `type=tar,dest=${out}/dated.tar`], {
        keeps: true,
      });
      assert.equal(status, 0, output);
      digests.add(/^digest (sha256:\w+)/m.exec(output)?.[1] ?? '');
    }
    assert.equal(digests.size, 1);
    const { config, layers } = await builds.image();
    assert.equal(config.created, '1970-01-02T00:00:00Z');
    assert.equal(config.history.at(-1)?.created, '1970-01-02T00:00:00Z');
    const last = layers.at(-1);
    assert.ok(last !== undefined);
    const times = new Set((await readTar(createReadStream(join(out, 'dated.tar')))).map(({ mtime }) => mtime));
    assert.deepEqual([...times], [86_400]);
  });
});

describe('yadokari build -', { skip: sandboxMissing, timeout: 120_000 }, () => {
  const builds = sandboxBuilds();
  builds.write('file', 'context\n');
  builds.write('other/Dockerfile', 'FROM base\nCOPY file /from-archive\n');
  builds.write('other/file', 'archive\n');
  after(builds.remove);
  const input = (...argv: readonly string[]): Buffer => spawnSync('tar', ['-C', join(builds.folder, 'other'), ...argv, '.']).stdout;

  test('takes an archive, compressed or not, as the context, and its Dockerfile whatever lies in the working directory', async () => {
    for (const archive of [input('-c'), input('-cz')]) {
      const { status, output } = await builds.build('FROM base\nRUN false\n', [], { context: '-', input: archive, keeps: true });
      assert.equal(status, 0, output);
      assert.equal((await builds.files()).get('from-archive'), 'archive\n');
    }
  });

  test('takes anything else as a Dockerfile without a context', async () => {
    const without = await builds.build('', [], { context: '-', input: 'FROM base\nRUN echo hi > /said\n', keeps: true });
    assert.equal(without.status, 0, without.output);
    assert.equal((await builds.files()).get('said'), 'hi\n');
    const copying = await builds.build('', [], { context: '-', input: 'FROM base\nCOPY file /\n' });
    assert.match(copying.output, /file.*(?:is not|not found|no such)/i);
    const named = await builds.build('', ['-f=other/Dockerfile'], { context: '-', input: 'FROM base\n' });
    assert.match(named.output, /Cannot use --dockerfile: what comes by standard input is no archive/);
  });

  test('-f - takes the Dockerfile alone, and both at once are refused', async () => {
    const { status, output } = await builds.build('', ['-f=-'], { input: 'FROM base\nCOPY file /copied\n', keeps: true });
    assert.equal(status, 0, output);
    assert.equal((await builds.files()).get('copied'), 'context\n');
    const both = await builds.build('', ['-f=-'], { context: '-', input: '' });
    assert.match(both.output, /Cannot read both the Dockerfile and the context from standard input/);
  });

  test('--build-arg-file gives ARGs, of which --build-arg wins, and a bare name is of the environment', async () => {
    builds.write('args', '# a comment\n\nONE=of file\nTWO=of file\nTHREE\n');
    const { status, output } = await builds.build(
      'FROM base\nARG ONE TWO THREE\nRUN echo "$ONE, $TWO, $THREE" > /args\n',
      ['--build-arg=TWO=of flag', '--build-arg-file=args'],
      { keeps: true, env: { THREE: 'of environment' } },
    );
    assert.equal(status, 0, output);
    assert.equal((await builds.files()).get('args'), 'of file, of flag, of environment\n');
  });
});

test('a folder of cache entries is out of reach of a RUN, and the next build finds them', { skip: sandboxMissing }, async () => {
  const builds = sandboxBuilds();
  try {
    const cache = join(builds.folder, 'cache');
    const attempts = [`/kaniko/host${cache}`, '/proc/1/fd/6', '/proc/self/fd/6'].map((place) => `! touch ${place}/planted`).join(' && ');
    const text = `FROM base\nRUN ${attempts} && echo once > /made\n`;
    for (const pattern of [/done in/, /from the cache/]) {
      const { status, output } = await builds.build(text, ['--cache', `--cache-repo=oci:${cache}`]);
      assert.equal(status, 0, output);
      assert.match(output, pattern);
    }
    assert.equal(existsSync(join(cache, 'planted')), false);
    assert.equal(statSync(cache).uid, process.getuid?.());
    assert.equal(readdirSync(cache).length, 2, 'an entry and a record');
  } finally {
    builds.remove();
  }
});

/** The command with the small image of the conformance cases as `base`. */
function withBase(command: readonly string[]): readonly string[] {
  return command.map((word) =>
    word.endsWith('oci-layout://') ? `${word}${join(import.meta.dirname, '../../conformance/base')}:base` : word,
  );
}

async function asUmociUnpacks(layout: string): Promise<readonly TarMember[]> {
  const bundle = `${layout}-unpacked`;
  const { status, output } = await run(['umoci', 'raw', 'unpack', '--image', `${layout}:1`, bundle]);
  assert.equal(status, 0, output);
  return await archiveOf(bundle, []);
}

/** What GNU tar finds in a folder, without some of it. */
async function archiveOf(folder: string, except: readonly string[]): Promise<readonly TarMember[]> {
  for (const name of except) chownSync(join(folder, name), 0, 0);
  const excludes = except.map((name) => `--exclude=./${name}`);
  const { stdout } = spawnSync('tar', ['--format=pax', '-C', folder, ...excludes, '-c', '.'], { maxBuffer: 1 << 26 });
  rmSync(`${folder}-unpacked`, { recursive: true, force: true });
  return await readTar(Readable.from([stdout]));
}

/** A line for each path; names of one file stand together, whichever of them has the content. */
function linesOf(members: readonly TarMember[]): readonly string[] {
  const name = (text: string): string => text.replace(/^\.\//, '').replace(/\/$/, '');
  const files = new Map(members.map((each) => [name(each.name), each]));
  const lines = [...files].flatMap(([path, member]) => {
    if (path === '' || path === '.') return [];
    const first = member.type === 'hardlink' ? name(member.linkname) : path;
    const { type, mode, uid, gid, size, linkname, sha256 } = files.get(first) ?? member;
    const names = [...files].filter(([, other]) => other.type === 'hardlink' && name(other.linkname) === first).length + 1;
    return [[path, type, mode.toString(8), `${uid}:${gid}`, size, sha256.slice(0, 12), linkname, `*${names}`].join(' ')];
  });
  return lines.toSorted();
}
