// The real builder in the sandbox, as people call it on a machine: `yadokari build` in a folder.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

const checkout = join(import.meta.dirname, '../../..');
const base = join(checkout, 'test/conformance/base');
const whyNot = process.getuid?.() === 0 ? false : 'needs root, for images whose files have several owners';

describe('yadokari build outside a container', { skip: whyNot, timeout: 120_000 }, () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync('/var/tmp/sandbox-build-');
    writeFileSync(join(folder, 'file'), 'context\n');
  });
  after(() => {
    for (const each of [folder, `${folder}-store`]) rmSync(each, { recursive: true, force: true });
  });

  const buildWith = (env: Readonly<Record<string, string>>, dockerfile: string, ...flags: readonly string[]) => {
    writeFileSync(join(folder, 'Dockerfile'), dockerfile);
    const args = ['build', `--build-context=base=oci-layout://${base}:base`, ...flags, '.'];
    const { status, stdout, stderr } = spawnSync(join(checkout, 'bin/yadokari'), args, {
      cwd: folder,
      env: { ...process.env, YADOKARI_ROOT: `${folder}-store`, ...env },
      encoding: 'utf8',
      timeout: 60_000,
    });
    return { status, output: stdout + stderr };
  };
  const build = (dockerfile: string, ...flags: readonly string[]) => buildWith({}, dockerfile, ...flags);

  test('makes an image of a base, a COPY and RUNs of two users', () => {
    const dockerfile = 'FROM base\nCOPY file /file\nRUN id -u > /made && chown 1000:1000 /made\nUSER 1000\nRUN id -u >> /made\n';
    const layout = join(folder, 'layout');
    const { status, output } = build(dockerfile, `--oci-layout-path=${layout}`);
    assert.equal(status, 0, output);
    const index: unknown = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8'));
    assert.match(JSON.stringify(index), /"digest":"sha256:[0-9a-f]{64}"/);
    assert.ok(readdirSync(join(layout, 'blobs/sha256')).length >= 5, 'three layers at least, a config and a manifest');
  });

  test('passes on the exit status of a RUN', () => {
    const { status, output } = build('FROM base\nRUN exit 7\n', '--no-push');
    assert.equal(status, 7, output);
  });

  test('talks as the CI system wants it that runs the command', () => {
    const { status, output } = buildWith({ GITHUB_ACTIONS: 'true' }, 'FROM base\nRUN echo said\n', '--no-push');
    assert.equal(status, 0, output);
    assert.match(output, /^::group::\[1\/1\] RUN echo said\n {2}\| said\n::endgroup::$/m);
  });

  test('takes the Dockerfile of the context, as docker build, and not that of the working directory in it', () => {
    const below = join(folder, 'below');
    mkdirSync(below);
    writeFileSync(join(below, 'Dockerfile'), 'FROM scratch\nLABEL of=below\nCOPY . /\n');
    writeFileSync(join(folder, 'Dockerfile'), 'FROM scratch\nLABEL of=above\nCOPY file /\n');
    const yadokari = (cwd: string, ...args: readonly string[]) =>
      spawnSync(join(checkout, 'bin/yadokari'), args, { cwd, encoding: 'utf8', timeout: 60_000 }).stderr;
    assert.match(yadokari(below, 'build', '--no-push', '--cache=false', '..'), /LABEL of=above/);
    assert.match(yadokari(folder, 'build', '--no-push', '--cache=false', 'below'), /LABEL of=below/);
    // kaniko looks in the working directory first.
    assert.match(yadokari(below, '--no-push', '--context=..'), /LABEL of=below/);
    rmSync(below, { recursive: true });
  });

  test('tells once what it does not understand, before anything is started', () => {
    const stray = build('FROM base\n', '--no-push', 'stray');
    assert.deepEqual([stray.status, /^error: Cannot use argument "\.": one context at most$/m.test(stray.output)], [1, true], stray.output);
    const named = build('FROM base\n', '--tag', 'Foo');
    assert.deepEqual(
      [named.status, named.output.match(/^error: .*/gm)],
      [1, ['error: Cannot use image name "Foo": a repository name must be lower case']],
    );
  });

  test('tells what changes nothing inside, where a store has its cache: --cache-from is read besides', () => {
    const { status, output } = build('FROM scratch\nCOPY file /\n', '--tag=read', `--cache-from=oci:${folder}`, '--rm');
    assert.equal(status, 0, output);
    assert.deepEqual(output.match(/^without effect.*/gm), ['without effect here: --rm (nothing of a RUN stays behind)']);
  });

  test('has its root where TMPDIR says', () => {
    const { output } = buildWith({ TMPDIR: '/proc' }, 'FROM base\n', '--no-push');
    assert.match(
      output,
      /^error: Cannot make a sandbox in \/proc: no folder can be made there$\n.*\n {2}try: TMPDIR names another folder/m,
    );
  });

  test('keeps a RUN from writing into the context and into the machine', () => {
    const target = join(folder, 'planted');
    const attempts = [`/kaniko/host${target}`, '/proc/sys/kernel/hostname'].map((path) => `! touch ${path}; ! echo x > ${path}`);
    const { status, output } = build(
      `FROM base\nRUN set -e; mkdir -p ${folder}; echo x > ${target}; ${attempts.join('; ')}\n`,
      '--no-push',
    );
    assert.equal(status, 0, output);
    assert.deepEqual([existsSync(target), readFileSync(join(folder, 'file'), 'utf8')], [false, 'context\n']);
  });

  test("keeps a RUN from changing the machine's devices, which work all the same", () => {
    const mode = statSync('/dev/full').mode;
    try {
      const { status, output } = build(
        'FROM base\nRUN ! chmod 600 /dev/full && ! chown 1:1 /dev/full && ! touch -t 200101010101 /dev/full && echo x > /dev/null\n',
        '--no-push',
      );
      assert.equal(status, 0, output);
      assert.equal(statSync('/dev/full').mode, mode);
    } finally {
      chmodSync('/dev/full', mode & 0o7777);
    }
  });

  test('brings its outputs to their places in the end, where no RUN and no COPY sees them before', () => {
    const outputs = ['image.tar', 'digest', 'names'].map((name) => join(folder, name));
    const [tar = '', digest = '', names = ''] = outputs;
    const see = `if ls /kaniko/host${folder} | grep -E 'image.tar|digest|names|layout-2'; then exit 1; fi`;
    const { status, output } = build(
      `FROM base\nRUN ${see}\nCOPY . /all\nRUN ! test -e /all/digest && ! test -e /all/layout-2\n`,
      '--no-push',
      '--destination=example.org/a/b:1',
      `--tar-path=${tar}`,
      `--digest-file=${digest}`,
      `--image-name-with-digest-file=${names}`,
      '--oci-layout-path=layout-2',
    );
    assert.equal(status, 0, output);
    const text = readFileSync(digest, 'utf8');
    assert.match(text, /^sha256:[0-9a-f]{64}$/);
    assert.equal(readFileSync(names, 'utf8'), `example.org/a/b@${text}\n`);
    assert.ok(readFileSync(join(folder, 'layout-2/index.json'), 'utf8').includes(text));
    assert.match(spawnSync('tar', ['-tf', tar], { encoding: 'utf8' }).stdout, /manifest\.json/);
    for (const path of [...outputs, join(folder, 'layout-2')]) rmSync(path, { recursive: true });
  });

  test('hides a secret and the credentials from RUN, but where the RUN asks for the secret', () => {
    const secret = join(mkdtempSync(`${folder}-secret-`), 'token');
    writeFileSync(secret, 'canary-token');
    try {
      const look = `! grep -r canary-toke[n] /kaniko/host /kaniko/out`;
      const { status, output } = build(
        `FROM base\nRUN ${look}\nRUN --mount=type=secret,id=token ${look} && grep -q . /run/secrets/token\n`,
        '--no-push',
        `--secret=id=token,src=${secret}`,
      );
      assert.equal(status, 0, output);
      assert.equal(readFileSync(secret, 'utf8'), 'canary-token');
    } finally {
      rmSync(join(secret, '..'), { recursive: true });
    }
  });
});
