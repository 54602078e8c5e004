// Which changes give a step another key, and which don't: one table for each kind of step.
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { Foresight } from '../../../../src/build/cache/foresight.ts';
import { keyOf } from '../../../../src/build/cache/key.ts';
import { planBuild } from '../../../../src/build/plan.ts';
import type { BuildRequest } from '../../../../src/build/request.ts';
import { bytesFromText } from '../../../../src/bytes.ts';
import { parseIgnoreFile } from '../../../../src/context/ignore.ts';
import { parseDockerfile } from '../../../../src/dockerfile/parse.ts';
import { diskView } from '../../../../src/files/disk-view.ts';
import type { Image } from '../../../../src/oci/image.ts';
import { emptyImageConfig } from '../../../../src/oci/image-config.ts';
import { plainRequest } from '../../../support/build-in-root.ts';
import { imageOf, layerOf } from '../../../support/image.ts';

interface Case {
  readonly dockerfile: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly ignore?: string;
  readonly args?: Readonly<Record<string, string>>;
  readonly request?: Partial<BuildRequest>;
  readonly epoch?: number;
  /** What the base's only layer holds. */
  readonly base?: string;
  readonly baseConfig?: Partial<Image['config']['config']>;
  readonly arrange?: (folder: string) => unknown;
}

const isRoot = process.getuid?.() === 0;

/** The keys of all steps of the last stage that make a layer; undefined for one that is not known ahead. */
async function keysOf(item: Case): Promise<readonly (string | undefined)[]> {
  const folder = mkdtempSync(join(tmpdir(), 'yadokari-keys-'));
  try {
    for (const [path, content] of Object.entries(item.files ?? { a: 'a', b: 'b', 'd/x': 'x' })) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), content);
    }
    item.arrange?.(folder);
    const { signal } = new AbortController();
    const request = {
      ...plainRequest,
      builderFolder: '/kaniko',
      rootPath: '/',
      buildArgs: new Map(Object.entries(item.args ?? {})),
      ...item.request,
    };
    const dockerfile = parseDockerfile(Buffer.from(item.dockerfile), 'Dockerfile');
    const describe = async (name: string): Promise<Image> => {
      const image = imageOf(layerOf(Buffer.from(`${name === 'other' ? 'other' : ''}${item.base ?? 'base'}`)));
      const { config } = emptyImageConfig({ os: 'linux', architecture: 'amd64' });
      return await Promise.resolve({ ...image, config: { ...image.config, config: { ...config, ...item.baseConfig } } });
    };
    const plan = await planBuild(dockerfile, request, describe);
    const ignore = item.ignore === undefined ? {} : { ignore: parseIgnoreFile(item.ignore, '.dockerignore') };
    const context = { files: diskView(bytesFromText(folder)), label: 'the build context', keepsOwners: false, ...ignore };
    const foresight = new Foresight({
      dockerfile,
      request,
      plan,
      ports: { context, namedFolders: new Map(), signal },
      bases: { describe },
      ...(item.epoch === undefined ? {} : { epoch: item.epoch }),
      onKey: () => undefined,
    });
    for (const planned of plan.stages) await foresight.look(planned);
    const last = foresight.of(plan.targets[0] ?? -1);
    return last.steps.flatMap((step) => (step.makesLayer ? [step.key] : []));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const lastKey = async (item: Case): Promise<string | undefined> => (await keysOf(item)).at(-1);

type Pair = readonly [name: string, before: Case, after: Case];

const run = (rest: string, before = ''): Case => ({ dockerfile: `FROM base\n${before}RUN ${rest}\n` });

/** What must not be taken for the same. */
const differs: readonly Pair[] = [
  ['the command', run('echo a'), run('echo b')],
  ['shell form and exec form of the same words', run('echo a'), run('["echo", "a"]')],
  ['where words of an exec form are cut', run('["echo", "a b"]'), run('["echo", "a", "b"]')],
  ['the body of a heredoc', run('<<E\necho a\nE'), run('<<E\necho b\nE')],
  ['the name of a heredoc that a command reads', run('cat <<A <<B\n1\nA\n2\nB'), run('cat <<B <<A\n1\nB\n2\nA')],
  ['a variable', run('echo', 'ENV A=1\n'), run('echo', 'ENV A=2\n')],
  ['an empty variable and none', run('echo', 'ENV A=\n'), run('echo')],
  ['where name and value are cut', run('echo', 'ENV A=B=C\n'), run('echo', 'ENV A=B C=\n')],
  ['an argument in scope', { ...run('echo', 'ARG V\n'), args: { V: '1' } }, { ...run('echo', 'ARG V\n'), args: { V: '2' } }],
  ["an argument's default", run('echo', 'ARG V=1\n'), run('echo', 'ARG V=2\n')],
  ['the user', run('id', 'USER 1\n'), run('id', 'USER 2\n')],
  ['the shell', run('x'), run('x', 'SHELL ["/bin/sh", "-ec"]\n')],
  ['the working directory', run('x', 'WORKDIR /a\n'), run('x', 'WORKDIR /b\n')],
  ['the network', run('x'), run('--network=host x')],
  ['a mount', run('x'), run('--mount=type=tmpfs,target=/t x')],
  ['the target of a mount', run('--mount=type=cache,target=/a x'), run('--mount=type=cache,target=/b x')],
  ['the id of a cache', run('--mount=type=cache,target=/a,id=1 x'), run('--mount=type=cache,target=/a,id=2 x')],
  ['the name of a secret', run('--mount=type=secret,id=a,target=/s x'), run('--mount=type=secret,id=b,target=/s x')],
  ['whether a secret is a variable', run('--mount=type=secret,id=a x'), run('--mount=type=secret,id=a,env=A x')],
  ['what a bind mount shows', { ...run('--mount=target=/c x'), files: { f: '1' } }, { ...run('--mount=target=/c x'), files: { f: '2' } }],
  ['the layers of the base', { ...run('x'), base: '1' }, { ...run('x'), base: '2' }],
  ['a variable of the base', { ...run('x'), baseConfig: { env: ['A=1'] } }, { ...run('x'), baseConfig: { env: ['A=2'] } }],
  ['the platform', run('x'), { ...run('x'), request: { platform: { os: 'linux', architecture: 'arm64' } } }],
  ['SOURCE_DATE_EPOCH', run('x'), { ...run('x'), epoch: 1 }],
  ['the compression', run('x'), { ...run('x'), request: { compression: 'zstd' } }],
  ['paths that are left out', run('x'), { ...run('x'), request: { ignorePaths: ['/a'] } }],
  ['a step before', run('x', 'RUN a\n'), run('x', 'RUN b\n')],
  ['the order of steps before', run('x', 'RUN a\nRUN b\n'), run('x', 'RUN b\nRUN a\n')],
  ['what a step before copied', { ...run('x', 'COPY a /\n'), files: { a: '1' } }, { ...run('x', 'COPY a /\n'), files: { a: '2' } }],
];

const copy = (rest: string, files?: Readonly<Record<string, string>>): Case => ({
  dockerfile: `FROM base\nCOPY ${rest}\n`,
  ...(files === undefined ? {} : { files }),
});

const copyDiffers: readonly Pair[] = [
  ['the content of a file', copy('a /', { a: '1' }), copy('a /', { a: '2' })],
  ['the name of a file in a folder', copy('. /', { a: '1' }), copy('. /', { b: '1' })],
  ['which file has which content', copy('. /', { a: '1', b: '2' }), copy('. /', { a: '2', b: '1' })],
  ['where the content of one file ends', copy('. /', { a: '12', b: '3' }), copy('. /', { a: '1', b: '23' })],
  ['an empty folder', copy('. /', { a: '1' }), { ...copy('. /', { a: '1' }), arrange: (folder) => mkdirSync(join(folder, 'e')) }],
  ['the mode of a file', copy('a /'), { ...copy('a /'), arrange: (folder) => chmodSync(join(folder, 'a'), 0o755) }],
  [
    'the target of a link',
    { ...copy('. /'), arrange: (folder) => symlinkSync('a', join(folder, 'l')) },
    { ...copy('. /'), arrange: (folder) => symlinkSync('b', join(folder, 'l')) },
  ],
  ['the destination', copy('a /x'), copy('a /y')],
  ['a file and a folder as destination', copy('a /x'), copy('a /x/')],
  ['the order of sources', copy('a b /d/', { a: '1', b: '1' }), copy('b a /d/', { a: '1', b: '1' })],
  ['--chown', copy('a /'), copy('--chown=1 a /')],
  ['--chmod', copy('a /'), copy('--chmod=600 a /')],
  ['--link', copy('a /'), copy('--link a /')],
  ['--parents', copy('d/x /'), copy('--parents d/x /')],
  ['--exclude', copy('. /'), copy('--exclude=a . /')],
  ['the body of a heredoc', copy('<<F /f\n1\nF'), copy('<<F /f\n2\nF')],
  [
    'a variable in a heredoc',
    { dockerfile: 'FROM base\nENV V=1\nCOPY <<F /f\n$V\nF\n' },
    { dockerfile: 'FROM base\nENV V=2\nCOPY <<F /f\n$V\nF\n' },
  ],
  ['COPY and ADD', copy('a /'), { dockerfile: 'FROM base\nADD a /\n' }],
  [
    'what a default in the instruction stands for',
    { ...copy('${V:-a} /f', { a: '1', b: '1' }), dockerfile: 'FROM base\nARG V\nCOPY ${V:-a} /f\n' },
    { dockerfile: 'FROM base\nARG V\nCOPY ${V:-a} /f\n', files: { a: '1', b: '2' }, args: { V: 'b' } },
  ],
  [
    'a file of a stage that is called like one that is ignored in the context',
    { dockerfile: 'FROM base AS s\nCOPY d /\nFROM base\nCOPY --from=s /x /\n', files: { 'd/x': '1' }, ignore: 'x' },
    { dockerfile: 'FROM base AS s\nCOPY d /\nFROM base\nCOPY --from=s /x /\n', files: { 'd/x': '2' }, ignore: 'x' },
  ],
  ['an ignore file that takes a file away', copy('. /'), { ...copy('. /'), ignore: 'a\n' }],
  ['the image that is copied from', copy('--from=some /a /'), copy('--from=other /a /')],
  [
    'a step of the stage that is copied from',
    { dockerfile: 'FROM base AS s\nRUN a\nFROM base\nCOPY --from=s /a /\n' },
    { dockerfile: 'FROM base AS s\nRUN b\nFROM base\nCOPY --from=s /a /\n' },
  ],
  [
    'the base of the stage that is copied from',
    { dockerfile: 'FROM base AS s\nFROM base\nCOPY --from=s /a /\n' },
    { dockerfile: 'FROM other AS s\nFROM base\nCOPY --from=s /a /\n' },
  ],
  [
    'a file that a trigger of the base copies',
    { ...run('x'), baseConfig: { onBuild: ['COPY a /'] }, files: { a: '1' } },
    { ...run('x'), baseConfig: { onBuild: ['COPY a /'] }, files: { a: '2' } },
  ],
  [
    'the checksum of a download',
    { dockerfile: `FROM base\nADD --checksum=sha256:${'1'.repeat(64)} https://h.example/f /\n` },
    { dockerfile: `FROM base\nADD --checksum=sha256:${'2'.repeat(64)} https://h.example/f /\n` },
  ],
];

/** What must not be missed. */
const same: readonly Pair[] = [
  ['labels, ports and commands', run('x'), run('x', 'LABEL a=b\nEXPOSE 80\nCMD ["c"]\nENTRYPOINT ["e"]\nSTOPSIGNAL 9\nVOLUME /v\n')],
  ["the base's labels and times", run('x'), { ...run('x'), baseConfig: { labels: new Map([['a', 'b']]) } }],
  ['the order of variables', run('x', 'ENV A=1 B=2\n'), run('x', 'ENV B=2 A=1\n')],
  ['an argument that nobody declares', run('x'), { ...run('x'), args: { V: '1' } }],
  [
    'an argument that is declared later',
    { ...run('x'), dockerfile: 'FROM base\nRUN x\nARG V\n' },
    { dockerfile: 'FROM base\nRUN x\nARG V\n', args: { V: '1' } },
  ],
  ['proxies', run('x'), { ...run('x'), args: { HTTP_PROXY: 'http://p' } }],
  [
    "a secret's value",
    run('--mount=type=secret,id=a x'),
    { ...run('--mount=type=secret,id=a x'), request: { secrets: [{ id: 'a', source: { kind: 'value', value: '1' } }] } },
  ],
  ['comments and continuations', run('a \\\n  b'), { dockerfile: '# c\nFROM base\nRUN a   b\n' }],
  ['who owns a checkout', copy('. /'), { ...copy('. /'), arrange: (folder) => isRoot && chownSync(join(folder, 'a'), 5, 6) }],
  ['times of a checkout', copy('. /'), { ...copy('. /'), arrange: (folder) => utimesSync(join(folder, 'a'), 1, 1) }],
  ['a file that is not read', copy('a /', { a: '1', b: '1' }), copy('a /', { a: '1', b: '2' })],
  ['a file that is ignored', { ...copy('. /', { a: '1', b: '1' }), ignore: 'b' }, { ...copy('. /', { a: '1', b: '2' }), ignore: 'b' }],
  ['a file that --exclude leaves out', copy('--exclude=b . /', { a: '1', b: '1' }), copy('--exclude=b . /', { a: '1', b: '2' })],
  ['the base of a linked copy', { ...copy('--link a /'), base: '1' }, { ...copy('--link a /'), base: '2' }],
  [
    'how a destination in the working directory is written',
    { dockerfile: 'FROM base\nENV P=/p\nCOPY a $P/\n' },
    { dockerfile: 'FROM base\nENV P=/p\nCOPY a /p/\n' },
  ],
];

for (const [name, before, after] of [...differs, ...copyDiffers]) {
  test(`another key: ${name}`, async () => {
    const [first, second] = [await lastKey(before), await lastKey(after)];
    assert.ok(first !== undefined && second !== undefined);
    assert.notEqual(first, second);
    assert.equal(await lastKey(before), first);
  });
}

for (const [name, before, after] of same) {
  test(`the same key: ${name}`, async () => {
    const first = await lastKey(before);
    assert.ok(first !== undefined);
    assert.equal(await lastKey(after), first);
  });
}

for (const name of ['https://h.example/f', 'https://h.example/r.git']) {
  test(`what ADD ${name} brings is not known ahead, and neither is what stands on it`, async () => {
    assert.deepEqual(await keysOf({ dockerfile: `FROM base\nADD ${name} /\nRUN x\n` }), [undefined, undefined]);
  });
}

test('keyOf() frames names and values', () => {
  const rows = [
    [{ name: 'a', value: 'b' }],
    [{ name: 'ab', value: '' }],
    [{ name: '', value: 'ab' }],
    [
      { name: 'a', value: '' },
      { name: 'b', value: '' },
    ],
    [{ name: 'a', value: '1:b' }],
  ];
  assert.equal(new Set(rows.map(keyOf)).size, rows.length);
  assert.match(keyOf([]), /^[0-9a-f]{64}$/);
});
