// The flags of docker build and buildah, and what they can't be combined with.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BuildRequest } from '../../../src/build/request.ts';
import { parseFlags } from '../../../src/cli/flags.ts';
import { makeBuildRequest } from '../../../src/cli/requests/build-request.ts';
import { Settings, isQuiet } from '../../../src/cli/settings.ts';
import { ownBuildFlags } from '../../../src/cli/tables/own-build.ts';
import { formatReference } from '../../../src/oci/reference.ts';

function request(argv: readonly string[], env: Readonly<Record<string, string>> = {}): BuildRequest {
  const flags = parseFlags(argv, ownBuildFlags);
  return makeBuildRequest(new Settings(flags, ownBuildFlags, env), flags.positionals, {
    env,
    workingDirectory: '/w',
    nodeArch: 'x64',
    builderFolder: '/kaniko',
    defaultContext: '.',
  });
}

const stored: readonly { readonly argv: readonly string[]; readonly names: readonly string[] | undefined }[] = [
  { argv: [], names: [] },
  { argv: ['-t', 'app', '--tag=r.example/app:2'], names: ['localhost/app:latest', 'r.example/app:2'] },
  { argv: ['-t', 'app', '-d', 'r.example/app', '-o', 'out'], names: ['localhost/app:latest'] },
  { argv: ['-d', 'r.example/app'], names: undefined },
  { argv: ['-o', 'out'], names: undefined },
  { argv: ['--no-push'], names: undefined },
  { argv: ['--dryrun'], names: undefined },
];
for (const { argv, names } of stored) {
  const where = names === undefined ? 'nothing in the store' : `an image of ${names.length} names in the store`;
  test(`yadokari build ${argv.join(' ')} leaves ${where}`, () => {
    const { output, store } = request([...argv, '--root=store']);
    assert.deepEqual(output.store, names === undefined ? undefined : { folder: '/w/store', names });
    assert.deepEqual(store, { folder: '/w/store', pull: 'missing' });
  });
}

test('where there is a store, results of all steps are kept in it, unless another place is named', () => {
  const placeOf = (...argv: readonly string[]) => request(['--no-push', ...argv], { YADOKARI_ROOT: '/s' }).cache;
  const inStore = { kind: 'layout', folder: '/s/cache' };
  assert.deepEqual([placeOf()?.from, placeOf()?.to, placeOf()?.copyLayers], [[inStore], inStore, true]);
  assert.deepEqual([placeOf('--no-cache')?.from, placeOf('--no-cache')?.to], [[], inStore]);
  assert.equal(placeOf('--cache=false'), undefined);
  assert.deepEqual(placeOf('--cache-repo=oci:/other')?.to, { kind: 'layout', folder: '/other' });
  assert.deepEqual(request(['--cache', '-d', 'r.example/app'], { YADOKARI_ROOT: '/s' }).cache?.to?.kind, 'registry');
  assert.throws(() => placeOf('--cache', '--no-cache'), { code: 'ERR_USAGE', message: 'Cannot combine --cache with --no-cache' });
});

test('--pull says always by itself, takes one of its words, and leaves any other to the context', () => {
  const pullOf = (...argv: readonly string[]) => request([...argv, '--no-push', '--root=/s']);
  assert.equal(pullOf('--pull').store?.pull, 'always');
  assert.equal(pullOf('--pull', 'never', 'folder').store?.pull, 'never');
  assert.equal(pullOf('--pull=false').store?.pull, 'missing');
  const { context, store } = pullOf('--pull', 'folder');
  assert.deepEqual([context, store?.pull], ['folder', 'always']);
  assert.equal(pullOf('--pull=ifnewer').store?.pull, 'newer');
  assert.throws(() => pullOf('--pull=newest'), { code: 'ERR_USAGE', message: /--pull=newest/ });
});

test('a container without a store refuses what needs one, and asks registries as ever', () => {
  assert.throws(() => request(['-t', 'app']), {
    code: 'ERR_USAGE',
    message: /Cannot name the image localhost\/app:latest: a container has no store/,
  });
  assert.throws(() => request(['--no-push', '--pull=never']), { code: 'ERR_USAGE', message: /--pull=never/ });
  assert.throws(() => request([]), { code: 'ERR_USAGE', message: /nowhere to put the image/ });
  assert.equal(request(['--no-push', '--pull=missing']).store, undefined);
});

test('--layers, --squash and --timestamp are what the image is like', () => {
  const shape = (...argv: readonly string[]) => request([...argv, '--no-push']);
  assert.deepEqual([shape().merges, shape('--layers=false').merges, shape('--squash').merges], [undefined, 'new', 'all']);
  assert.equal(shape('--timestamp', '1700000000').timestamp, 1_700_000_000);
  assert.equal(shape('--format=docker', '--file=x').imageFormat, 'docker');
  for (const other of [['--reproducible'], ['--build-arg=SOURCE_DATE_EPOCH=1']])
    assert.throws(() => shape('--timestamp=5', ...other), { code: 'ERR_USAGE', message: /Cannot combine --timestamp with/ });
  assert.throws(() => shape('--squash', '--layers'), { code: 'ERR_USAGE', message: /Cannot combine --squash with --layers/ });
  for (const text of ['-1', '1.5', 'now']) assert.throws(() => shape(`--timestamp=${text}`), { code: 'ERR_USAGE' });
});

test('combinations of outputs that can not be are refused', () => {
  for (const argv of [
    ['-o', '-', '-o', 'type=oci'],
    ['-o', 'type=docker,dest=x', '--compression=zstd'],
    ['-o', 'type=docker,dest=x', '--format=oci'],
  ])
    assert.throws(() => request(argv), { code: 'ERR_USAGE', message: /Cannot combine/ });
  assert.throws(() => request(['-o', 'x', '-f', '-', '-']), { code: 'ERR_USAGE', message: /Cannot read both/ });
});

test('what scripts for docker build, buildah and podman pass is honoured, told as changing nothing, or refused with a way out', () => {
  const of = (...argv: readonly string[]) => request(['--root=/s', ...argv], { FROM_HERE: 'here' });
  const pushed = of('--push', '-t', 'r.example/app:1').output;
  assert.deepEqual([pushed.destinations.map(({ tag }) => tag), pushed.noPush, pushed.store], [['1'], false, undefined]);
  assert.deepEqual(
    [...of('--env', 'A=B', '--env=FROM_HERE').env],
    [
      ['A', 'B'],
      ['FROM_HERE', 'here'],
    ],
  );
  assert.deepEqual(of('--arch=arm64', '--variant=v8').platforms, [{ os: 'linux', architecture: 'arm64', variant: 'v8' }]);
  assert.throws(() => of('--arch=arm64', '--platform=linux/amd64'), {
    message: 'Cannot combine --arch with --platform: both say what to build for',
  });
  assert.equal(of('--squash-all').merges, 'all');
  assert.equal(parseFlags(['--progress=plain'], ownBuildFlags).values.get('log-format')?.[0], 'text');
  assert.equal(parseFlags(['--progress', 'auto'], ownBuildFlags).values.has('log-format'), false);
  for (const word of ['quiet', 'none'])
    assert.ok(isQuiet(new Settings(parseFlags(['--progress', word], ownBuildFlags), ownBuildFlags, {})));
  assert.throws(() => of('-m', '512m'), { code: 'ERR_UNSUPPORTED', message: /^Cannot honour --memory: .*systemd-run/ });
  of(
    '--rm',
    '--force-rm=false',
    '--isolation=chroot',
    '--security-opt',
    'label=disable',
    '--retry=3',
    '--provenance=false',
    '--load=false',
  );
  for (const flag of [
    '--ulimit=nofile=1',
    '--add-host=a:1.2.3.4',
    '--volume=/a:/b',
    '--memory=1g',
    '--creds=a:b',
    '--cert-dir=x',
    '--policy=x',
    '--debug',
  ])
    assert.throws(
      () => of(flag),
      { code: 'ERR_UNSUPPORTED', message: new RegExp(`^Cannot honour ${/^--[a-z-]+/.exec(flag)?.[0] ?? ''}: `) },
      flag,
    );
});

test('--load keeps the image in the store, whatever else is done with it', () => {
  const of = (...argv: readonly string[]) => {
    const { destinations, store } = request(['--load', '--root=/s', ...argv]).output;
    return { pushed: destinations.map(formatReference), kept: store?.names };
  };
  assert.deepEqual(of('-t', 'a'), { pushed: [], kept: ['localhost/a:latest'] });
  assert.deepEqual(of('-t', 'r.example/a:1', '--push'), { pushed: ['r.example/a:1'], kept: ['r.example/a:1'] });
  assert.deepEqual(of('-d', 'r.example/a:1'), { pushed: ['r.example/a:1'], kept: [] });
  assert.deepEqual(of('-o', 'x'), { pushed: [], kept: [] });
  const hint = /^-o type=docker,dest=FILE writes an archive/;
  assert.throws(() => request(['--load', '--no-push']), { code: 'ERR_USAGE', message: /^Cannot honour --load: a container/, hint });
});

test('an --output that is an image is pushed or kept by the names of --tag, or its own', () => {
  const of = (...argv: readonly string[]) => {
    const { destinations, store } = request([...argv, '--root=/s']).output;
    return { pushed: destinations.map(formatReference), kept: store?.names };
  };
  const pushed = ['r.example/a:1', 'r.example/b:latest'];
  assert.deepEqual(of('-o', 'type=image,"name=r.example/a:1,r.example/b",push=true'), { pushed, kept: undefined });
  assert.deepEqual(of('--output=type=registry', '-t', 'r.example/a:1', '-t', 'r.example/b'), { pushed, kept: undefined });
  assert.deepEqual(of('-o', 'type=image,name=r.example/c,push=true', '-t', 'r.example/a:1').pushed, ['r.example/a:1']);
  assert.deepEqual(of('-o', 'type=image,name=a'), { pushed: [], kept: ['localhost/a:latest'] });
  assert.throws(() => of('--push'), { code: 'ERR_USAGE', message: 'Cannot push: the image has no name' });
  assert.throws(() => of('-o', 'type=image,name=a,compression=zstd'), { code: 'ERR_UNSUPPORTED', message: /there is no compression here/ });
});
