import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readFileSync } from 'node:fs';
import { parseFlags } from '../../../../src/cli/flags.ts';
import { buildFlags } from '../../../../src/cli/tables/build.ts';
import { makeBuildRequest } from '../../../../src/cli/requests/build-request.ts';
import { Settings } from '../../../../src/cli/settings.ts';
import { parseReference } from '../../../../src/oci/reference.ts';
import { version } from '../../../../src/cli/version.ts';
import type { BuildRequest } from '../../../../src/build/request.ts';

function request(argv: readonly string[], env: Readonly<Record<string, string>> = {}): BuildRequest {
  const flags = parseFlags(argv, buildFlags);
  return makeBuildRequest(new Settings(flags, buildFlags, env), flags.positionals, {
    env,
    workingDirectory: '/w',
    nodeArch: 'x64',
    builderFolder: '/kaniko',
    defaultContext: '/workspace/',
  });
}

test('a destination without tag gets latest, and Docker Hub its defaults', () => {
  assert.deepEqual(request(['-d', 'app']).output.destinations, [{ registry: 'index.docker.io', repository: 'library/app', tag: 'latest' }]);
});

for (const name of [`app@sha256:${'0'.repeat(64)}`, `r.example/app:v1@sha256:${'0'.repeat(64)}`])
  test(`the destination ${name.slice(0, 24)}… is refused: what is pushed has a digest of its own`, () =>
    assert.throws(() => request(['-d', name]), { code: 'ERR_USAGE', message: /^Cannot push to .*: a destination is a name and a tag/ }));

for (const [name, says] of [
  ['reg.test/app:v 1', /"v 1" is not a tag/],
  ['reg.test/App:v1', /must be lower case/],
  ['reg.test/-app', /is not a repository name/],
  ['reg.test:99999/app', /is not a registry host/],
  ['user:hunter2@reg.test/app', /image name with a user in it/],
  ['https://reg.test/app', /has no scheme/],
  ['::1/app', /is not a registry host/],
] as const)
  test(`the destination ${name} is refused before anything is built, beside a good one`, () =>
    assert.throws(() => request(['-d', 'reg.test/good:v1', '-d', name]), { code: 'ERR_REFERENCE', message: says }));

test('a destination may be at an IPv6 address, have a long name, and come twice', () => {
  const long = `reg.test/${'a'.repeat(200)}:v1`;
  const { destinations } = request(['-d', '[::1]:5000/app:v1', '-d', long, '-d', long]).output;
  assert.deepEqual([destinations.length, destinations[0]?.registry, destinations[1]?.repository.length], [3, '[::1]:5000', 200]);
});

test('a build without any place for the image is refused', () => {
  assert.throws(() => request([]), /nowhere to put the image/);
  assert.equal(request(['--no-push']).output.noPush, true);
  assert.equal(request(['--tar-path', 'x.tar']).output.tarPath, '/w/x.tar');
});

test('result files go to paths and URLs, images to paths', () => {
  const { output } = request(['-d', 'a', '--digest-file=https://h/x?s=1', '--image-name-with-digest-file=names'], {
    BUILDER_OUTPUT: '/out',
  });
  assert.deepEqual(
    [output.digestFile, output.imageNameWithDigestFile, output.builderOutput],
    ['https://h/x?s=1', '/w/names', '/out/images'],
  );
  assert.equal(request(['-d', 'a'], { BUILDER_OUTPUT: '' }).output.builderOutput, undefined);
  assert.throws(() => request(['--tar-path=https://h/x']), { message: /^Cannot write --tar-path to https:/ });
});

test('--bucket is a context where there is no other: of Google where it says no scheme', () => {
  assert.equal(request(['--no-push', '--bucket=b/c.tar.gz']).context, 'gs://b/c.tar.gz');
  assert.equal(request(['--no-push', '-b', 's3://b']).context, 's3://b');
  assert.equal(request(['--no-push', '--bucket=b', '--context=/w']).context, '/w');
  assert.equal(request(['--no-push', '--bucket=']).context, '/workspace/');
});

test('KANIKO_NO_PUSH wins over its flag, as in kaniko', () => {
  assert.equal(request(['--no-push=false', '-d', 'a'], { KANIKO_NO_PUSH: 'true' }).output.noPush, true);
});

test('KANIKO_REGISTRY_MIRROR counts only where the flag is not given', () => {
  const flags = parseFlags(['--registry-mirror=a', '--no-push'], buildFlags);
  assert.deepEqual(new Settings(flags, buildFlags, { KANIKO_REGISTRY_MIRROR: 'b,c' }).list('registry-mirror'), ['a']);
  const none = parseFlags(['--no-push'], buildFlags);
  assert.deepEqual(new Settings(none, buildFlags, { KANIKO_REGISTRY_MIRROR: 'b,c' }).list('registry-mirror'), ['b', 'c']);
});

test('a bare --build-arg takes its value from the environment, and is nothing where that has none', () => {
  const made = request(['--no-push', '--build-arg', 'A', '--build-arg', 'B', '--build-arg', 'C=x=y'], { A: '1' });
  assert.deepEqual(
    [...made.buildArgs],
    [
      ['A', '1'],
      ['C', 'x=y'],
    ],
  );
});

test('SOURCE_DATE_EPOCH of the environment counts where no --build-arg says another, and --timestamp before it', () => {
  const epochOf = (argv: readonly string[], text: string): string | undefined =>
    request(['--no-push', ...argv], { SOURCE_DATE_EPOCH: text }).buildArgs.get('SOURCE_DATE_EPOCH');
  assert.equal(epochOf([], '7'), '7');
  assert.equal(epochOf([], ''), undefined);
  assert.equal(epochOf(['--build-arg=SOURCE_DATE_EPOCH=8'], '7'), '8');
});

const day = 24 * 3_600_000;
const cachePlace = (text: string): object =>
  text.startsWith('oci:') ? { kind: 'layout', folder: text.slice(4) } : { kind: 'registry', reference: parseReference(text) };

const caches: readonly { readonly argv: readonly string[]; readonly from: readonly string[]; readonly to?: string }[] = [
  { argv: ['-d', 'r.example/app:1'], from: ['r.example/app/cache'], to: 'r.example/app/cache' },
  { argv: ['-d', 'r.example/app', '--cache-repo=c.example/c'], from: ['c.example/c'], to: 'c.example/c' },
  { argv: ['--no-push', '--cache-repo=oci:c'], from: ['oci:/w/c'], to: 'oci:/w/c' },
  {
    argv: ['-d', 'r.example/app', '--cache-from=r.example/main', '--cache-from=oci:/c'],
    from: ['r.example/app/cache', 'r.example/main', 'oci:/c'],
    to: 'r.example/app/cache',
  },
  { argv: ['--no-push', '--cache-to=r.example/b', '--cache-from=r.example/a'], from: ['r.example/b', 'r.example/a'], to: 'r.example/b' },
  {
    argv: ['--no-push', '--cache-to=type=registry,ref=r.example/b:x,mode=max,image-manifest=true', '--cache-from=type=local,src=/a'],
    from: ['r.example/b', 'oci:/a'],
    to: 'r.example/b',
  },
  { argv: ['--no-push', '--no-push-cache', '--cache-from=r.example/a'], from: ['r.example/a'] },
  { argv: ['-d', 'r.example/app', '--no-push-cache'], from: ['r.example/app/cache'] },
];
for (const { argv, from, to } of caches) {
  test(`--cache with ${argv.join(' ')} reads ${from.join(', ')} and writes ${to ?? 'nothing'}`, () => {
    const { cache } = request(['--cache', ...argv]);
    const expected = { ttlMs: 14 * day, copyLayers: false, runLayers: true };
    assert.deepEqual(cache, {
      ...expected,
      from: from.map(cachePlace),
      ...(to === undefined ? {} : { to: cachePlace(to) }),
      ...(argv.some((word) => word.startsWith('--cache-to')) ? { copiesFound: true } : {}),
    });
  });
}

test('--cache=false, and no --cache, is no cache', () => {
  assert.equal(request(['--no-push', '--cache=false', '--cache-repo=c']).cache, undefined);
  assert.equal(request(['--no-push', '--cache-repo=c']).cache, undefined);
});

for (const argv of [['--cache-repo=c:tag'], ['--cache-repo=oci:'], ['--cache-ttl=5', '--cache-repo=c'], ['--no-push-cache'], []]) {
  test(`--cache --no-push ${argv.join(' ')} is refused`, () => {
    assert.throws(() => request(['--cache', '--no-push', ...argv]), { code: 'ERR_USAGE', message: /--cache/ });
  });
}

for (const spec of ['type=gha', 'type=inline', 'type=registry', 'type=local', 'type=registry,ref=r.example/a,name=x', 'type=local,src="']) {
  test(`--cache-from=${spec} is refused`, () => {
    assert.throws(() => request(['--cache', '--no-push', `--cache-from=${spec}`]), {
      code: 'ERR_UNSUPPORTED',
      message: /^Cannot honour the cache "type=/,
    });
  });
}

test('secrets come from files, variables, or the variable of their id', () => {
  const made = request(['--no-push', '--secret', 'id=a,src=f', '--secret', 'id=b,env=V', '--secret', 'id=W'], { V: 'v', W: 'w' });
  assert.deepEqual(made.secrets, [
    { id: 'a', source: { kind: 'file', path: '/w/f' } },
    { id: 'b', source: { kind: 'value', value: 'v' } },
    { id: 'W', source: { kind: 'value', value: 'w' } },
  ]);
  assert.throws(() => request(['--no-push', '--secret', 'id=b,env=NONE']), /the environment has no NONE/);
  assert.throws(() => request(['--no-push', '--secret', 'id=b,foo=1']), /no field "foo"/);
});

test('the empty words of a pipeline change nothing, and take nobody else along', () => {
  const words = [
    '--build-arg',
    '',
    '--digest-file',
    '',
    '--target',
    '',
    '--tar-path',
    '',
    '--ignore-path',
    '',
    '--context',
    '',
    '--no-push',
  ];
  assert.deepEqual(request(['-d', 'app', ...words]), request(['-d', 'app', '--no-push']));
  const folder = { KANIKO_DIR: '/elsewhere' };
  assert.deepEqual(request(['--no-push', '--kaniko-dir', ''], folder), request(['--no-push'], folder));
});

test('estargz is refused by its name, as a flag and as the variable', () => {
  const refused = (asked: string, what: string): object => ({
    code: 'ERR_UNSUPPORTED',
    message: `Cannot honour ${asked}: ${what} written here`,
  });
  assert.throws(() => request(['--no-push', '--compression=estargz']), refused('--compression=estargz', 'it is not'));
  assert.throws(() => request(['--no-push'], { GGCR_EXPERIMENT_ESTARGZ: '1' }), refused('GGCR_EXPERIMENT_ESTARGZ=1', 'no estargz is'));
  assert.equal(request(['--no-push'], { GGCR_EXPERIMENT_ESTARGZ: '0' }).compression, 'gzip');
});

test('an empty path is no place for the image', () => {
  for (const flag of ['--tar-path', '--oci-layout-path']) assert.throws(() => request([flag, '']), /nowhere to put the image/);
});

const contradictions: readonly (readonly string[])[] = [
  ['--compression=zstd', '--image-format=docker', '--no-push'],
  ['--tar-path=x', '--image-format=oci'],
  ['--tar-path=x', '--compression=zstd'],
  ['--no-push', '--image-name-with-digest-file=x'],
  ['--no-push', '--compression=xz'],
  ['--no-push', '--compression-level=99'],
  ['--no-push', '--git', 'brnch=x'],
  ['--no-push', '--git', 'branch'],
  ['--no-push', '--context', 'a', 'b'],
  ['--no-push', '--custom-platform', 'linux/a/b/c'],
  ['--no-push', '--build-context', 'scratch=.'],
  ['--no-push', '--build-context', 'deps='],
  ['--no-push', '--secret', 'id=a,src='],
];
for (const argv of contradictions) {
  test(`makeBuildRequest() refuses ${argv.join(' ')}`, () => {
    assert.throws(
      () => request(argv),
      (error: { code?: string }) => error.code === 'ERR_USAGE' || error.code === 'ERR_UNSUPPORTED',
    );
  });
}

test('the version that is printed is the one of package.json', () => {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../../../package.json', import.meta.url), 'utf8'));
  assert.ok(typeof manifest === 'object' && manifest !== null && 'version' in manifest);
  assert.equal(manifest.version, version);
});
