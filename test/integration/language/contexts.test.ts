// Contexts of every kind, as the whole builder opens them.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync, copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type HttpFiles, serveFiles } from '../../support/http-files.ts';
import { sandboxBuilds, type SandboxBuilds, sandboxMissing } from '../../support/sandbox-build.ts';

describe('contexts', { skip: sandboxMissing, timeout: 300_000 }, () => {
  let builds: SandboxBuilds;
  let web: HttpFiles;
  const base = join(import.meta.dirname, '../../conformance/base');
  before(async () => {
    builds = sandboxBuilds();
    web = await serveFiles(new Date(0).toUTCString());
    builds.write('part/file', 'part\n');
    builds.write('other/name', 'other\n');
    builds.write('root/etc/left-out', 'x');
    builds.write('root/etc/kept', 'kept\n');
    builds.write('root/.dockerignore', 'etc/left-*\n');
    mkdirSync(join(builds.folder, 'root/bin'));
    copyFileSync('/bin/busybox', join(builds.folder, 'root/bin/busybox'));
    symlinkSync('busybox', join(builds.folder, 'root/bin/sh'));
    const inner = join(builds.folder, 'archive');
    mkdirSync(join(inner, 'below'), { recursive: true });
    writeFileSync(join(inner, 'Dockerfile'), 'FROM scratch\nCOPY top /\n');
    writeFileSync(join(inner, 'top'), 'top\n');
    writeFileSync(join(inner, 'below/Dockerfile'), 'FROM scratch\nCOPY lower /\n');
    writeFileSync(join(inner, 'below/lower'), 'lower\n');
    for (const [name, flags] of [
      ['plain.tar', '-cf'],
      ['gzip.tgz', '-czf'],
      ['zstd.tar.zst', '-acf'],
    ] as const)
      execFileSync('tar', ['-C', inner, flags, join(builds.folder, name), '.']);
    mkdirSync(join(inner, 'epoch'));
    writeFileSync(join(inner, 'epoch/Dockerfile'), 'FROM scratch\nARG SOURCE_DATE_EPOCH\nLABEL epoch=$SOURCE_DATE_EPOCH\n');
    execFileSync('tar', ['-C', inner, '--mtime=@1577934245', '-cf', join(builds.folder, 'dated.tar'), 'epoch']);
    web.add('/archive.tgz', readFileSync(join(builds.folder, 'gzip.tgz')));
  });
  after(async () => {
    builds.remove();
    await web.stop();
  });

  const build = async (dockerfile: string, ...flags: readonly string[]): Promise<ReadonlyMap<string, string>> => {
    const { status, output } = await builds.build(dockerfile, flags, { keeps: true });
    assert.equal(status, 0, output);
    return await builds.files();
  };

  test('a folder can be a base: its content is the root, without what its .dockerignore names', async () => {
    const files = await build(
      'FROM root\nRUN ["/bin/sh", "-c", "/bin/busybox test ! -e /etc/left-out && /bin/busybox cat /etc/kept > /seen"]\nFROM root\nCOPY --from=0 /seen /seen\n',
      '--build-context=root=root',
    );
    assert.equal(files.get('seen'), 'kept\n');
    assert.equal(files.get('etc/kept'), 'kept\n');
    const { config } = await builds.image();
    assert.deepEqual(config.config.env, ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin']);
    assert.deepEqual(
      config.history.map((entry) => entry.createdBy),
      ['FROM root', 'COPY /seen /seen # buildkit'],
    );
  });

  test('a context replaces an image however its name is written', async () => {
    for (const name of ['alpine', 'docker.io/library/alpine:latest', 'library/alpine']) {
      const files = await build(
        `FROM ${name}\nCOPY --from=alpine:latest /etc/passwd /copied\n`,
        `--build-context=alpine=oci-layout://${base}:base`,
      );
      assert.match(files.get('copied') ?? '', /^root:/);
    }
  });

  test('a context replaces a whole stage, for FROM, COPY and a number', async () => {
    const files = await build(
      'FROM scratch AS tools\nRUN false\nFROM tools\nCOPY --from=tools /name /one\nCOPY --from=0 /name /two\n',
      '--build-context=tools=other',
    );
    assert.deepEqual([files.get('name'), files.get('one'), files.get('two')], ['other\n', 'other\n', 'other\n']);
  });

  test('--context-sub-path is of the main context alone', async () => {
    const files = await build(
      'FROM scratch\nCOPY file /file\nCOPY --from=other name /name\n',
      '--context-sub-path=part',
      '--file=Dockerfile',
      '--build-context=other=other',
    );
    assert.deepEqual([files.get('file'), files.get('name')], ['part\n', 'other\n']);
  });

  test("an archive's .dockerignore counts on kaniko's command line, and not in `build`", async () => {
    const folder = join(builds.folder, 'ignoring');
    mkdirSync(folder);
    writeFileSync(join(folder, 'Dockerfile'), 'FROM scratch\nCOPY . /c/\n');
    writeFileSync(join(folder, '.dockerignore'), 'token\nDockerfile\n.dockerignore\n');
    writeFileSync(join(folder, 'token'), 's3cret');
    writeFileSync(join(folder, 'file'), 'file\n');
    execFileSync('tar', ['-C', folder, '-cf', join(builds.folder, 'ignoring.tar'), '.']);
    const context = 'tar://ignoring.tar';
    const asKaniko = await builds.build('', [], { keeps: true, context, isKanikos: true });
    assert.equal(asKaniko.status, 0, asKaniko.output);
    assert.match(asKaniko.output, /\.dockerignore is applied, as kaniko does/);
    assert.deepEqual([...(await builds.files())], [['c/file', 'file\n']]);
    const asBuildKit = await builds.build('', [], { keeps: true, context });
    assert.match(asBuildKit.output, /warning: the context's \.dockerignore is not applied/);
    assert.ok((await builds.files()).has('c/token'));
  });

  for (const name of ['plain.tar', 'gzip.tgz', 'zstd.tar.zst']) {
    test(`an archive, ${name}, by its name and by standard input`, async () => {
      const { status, output } = await builds.build('', ['--context-sub-path=below'], { keeps: true, context: `tar://${name}` });
      assert.equal(status, 0, output);
      assert.deepEqual([...(await builds.files())], [['lower', 'lower\n']]);
      const input = readFileSync(join(builds.folder, name));
      const piped = await builds.build('', [], { keeps: true, context: 'tar://stdin', input });
      assert.equal(piped.status, 0, piped.output);
      assert.deepEqual([...(await builds.files())], [['top', 'top\n']]);
    });
  }

  test('SOURCE_DATE_EPOCH=context is the time of the newest file in an archive, also for commands', async () => {
    const { status, output } = await builds.build('', ['--build-arg=SOURCE_DATE_EPOCH=context', '--context-sub-path=epoch'], {
      keeps: true,
      context: 'tar://dated.tar',
    });
    assert.equal(status, 0, output);
    const { config } = await builds.image();
    assert.deepEqual([config.created, config.config.labels.get('epoch')], ['2020-01-02T03:04:05Z', '1577934245']);
  });

  test('an archive of the web, as context and as base', async () => {
    const { status, output } = await builds.build('', [], { keeps: true, context: `${web.origin}/archive.tgz` });
    assert.equal(status, 0, output);
    assert.deepEqual([...(await builds.files())], [['top', 'top\n']]);
    const files = await build('FROM web\nCOPY --from=web top /copied\n', `--build-context=web=${web.origin}/archive.tgz`);
    assert.deepEqual([files.get('below/lower'), files.get('copied')], ['lower\n', 'top\n']);
  });
});
