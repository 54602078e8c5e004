// One build for several platforms: an index that names an image of each, all results are those of the index, and it is pushed last.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { digestOf } from '../../src/oci/digest.ts';
import { must } from '../support/command.ts';
import { asList, asObject, asText } from '../support/parsed.ts';
import { manifestTypes, readRegistryImage } from '../support/registry-image.ts';
import { Scene } from '../support/scene.ts';

const noSkopeo = existsSync('/usr/bin/skopeo') ? false : 'skopeo is not installed';
const both = '--platform=linux/amd64,linux/arm64';

describe('several platforms', () => {
  let scene: Scene;
  before(async () => {
    scene = await Scene.start();
  });
  after(() => scene?.stop());

  const manifestOf = async (repository: string, name = 'latest'): Promise<string> => {
    const url = `http://${scene.registry.host}/v2/${repository}/manifests/${name}`;
    return await (await fetch(url, { headers: { accept: manifestTypes } })).text();
  };

  test(
    'files alone are built for any platform; digest file, metadata, layout and events tell of the index',
    { skip: noSkopeo },
    async () => {
      const out = await scene.folder();
      const results = [
        'digest-file=/out/digest',
        'iidfile=/out/iid',
        'metadata-file=/out/metadata',
        'oci-layout-path=/out/layout',
        'events-file=/out/events',
      ];
      const dockerfile = 'FROM scratch\nARG TARGETARCH\nCOPY hello-$TARGETARCH /hello\nLABEL for=$TARGETARCH\n';
      const repository = 'files/app';
      const { status, output } = await scene.build({
        dockerfile,
        repository,
        files: { 'hello-amd64': 'amd64\n', 'hello-arm64': 'arm64\n' },
        args: [both, '--reproducible', '--label=both=yes', ...results.map((result) => `--${result}`)],
        volumes: [`${out}:/out`],
      });
      assert.equal(status, 0, output);
      assert.match(output, /\[linux\/arm64 2\/3\] COPY/);
      const index = await manifestOf(repository);
      const digest = digestOf(index);
      assert.equal(await readFile(join(out, 'digest'), 'utf8'), digest);
      assert.equal(await readFile(join(out, 'iid'), 'utf8'), digest);
      const metadata = asObject(JSON.parse(await readFile(join(out, 'metadata'), 'utf8')));
      assert.equal(metadata['containerimage.digest'], digest);
      assert.ok(!('containerimage.config.digest' in metadata));
      const entries = asList(asObject(JSON.parse(index))['manifests']).map((entry) => asObject(entry));
      assert.deepEqual(
        entries.map((entry) => entry['platform']),
        [
          { architecture: 'amd64', os: 'linux' },
          { architecture: 'arm64', os: 'linux' },
        ],
      );
      for (const entry of entries) {
        const image = await readRegistryImage(scene.registry.host, repository, asText(entry['digest']));
        const { architecture } = asObject(entry['platform']);
        assert.deepEqual(image?.problems, []);
        assert.equal(image?.config['architecture'], architecture);
        assert.deepEqual(asObject(asObject(image?.config['config'])['Labels']), { for: architecture, both: 'yes' });
      }
      assert.equal(await must(['skopeo', 'inspect', '--raw', `oci:${out}/layout:latest`]), index);
      await must(['skopeo', 'copy', '--all', '--quiet', `oci:${out}/layout:latest`, `dir:${out}/copied`]);
      const lines = (await readFile(join(out, 'events'), 'utf8')).trimEnd().split('\n');
      const events = lines.map((line) => asObject(JSON.parse(line)));
      const numbers = events.flatMap((event) =>
        event['kind'] === 'step.started' ? [asObject(asObject(event['step'])['overall'])['number']] : [],
      );
      assert.deepEqual(numbers, [1, 2, 3, 4, 5, 6]);
      assert.equal(events.find((event) => event['kind'] === 'build.started')?.['platform'], 'linux/amd64,linux/arm64');
      assert.equal(events.filter((event) => event['kind'] === 'build.finished').length, 1);
    },
  );

  test('an archive of a layout holds them all, and their files have a folder each', { skip: noSkopeo }, async () => {
    const out = await scene.folder();
    const context = await scene.folder({ Dockerfile: 'FROM scratch\nARG TARGETARCH\nCOPY Dockerfile /for-$TARGETARCH\n' });
    const exports = ['--output=type=oci,dest=/out/image.tar', '--output=type=local,dest=/out/files'];
    const { status, output } = await scene.run({ context, args: ['build', both, ...exports, '/workspace'], volumes: [`${out}:/out`] });
    assert.equal(status, 0, output);
    await must(['skopeo', 'copy', '--all', '--quiet', `oci-archive:${out}/image.tar`, `dir:${out}/copied`]);
    for (const name of ['amd64', 'arm64']) await readFile(join(out, `files/linux_${name}/for-${name}`));
  });

  test('a RUN of the build platform serves both, each in a root of its own, and a second build has all from the cache', async () => {
    const dockerfile = [
      'FROM --platform=$BUILDPLATFORM @REG@/base AS tool',
      'ARG TARGETARCH',
      'RUN test ! -e /made && echo "made for $TARGETARCH" > /made',
      'FROM scratch',
      'COPY --from=tool /made /made',
      '',
    ].join('\n');
    const build = { dockerfile, repository: 'cross/app', args: [both, '--cache', `--cache-repo=${scene.registry.host}/cross/cache`] };
    const first = await scene.build(build);
    assert.equal(first.status, 0, first.output);
    assert.match(first.output, /\[linux\/arm64 tool 2\/2\] RUN/);
    const digests = asList(asObject(JSON.parse(await manifestOf('cross/app')))['manifests']).map((entry) =>
      asText(asObject(entry)['digest']),
    );
    const sizes = await Promise.all(
      digests.map(async (digest) => (await readRegistryImage(scene.registry.host, 'cross/app', digest))?.flattened.tree.get('/made')?.size),
    );
    assert.deepEqual(sizes, ['made for amd64\n'.length, 'made for arm64\n'.length]);
    assert.equal(new Set(digests).size, 2);
    const second = await scene.build(build);
    assert.equal(second.status, 0, second.output);
    assert.equal(second.output.match(/RUN test .* ‥ from the cache/g)?.length, 2, second.output);
  });

  const emulates = existsSync('/proc/sys/fs/binfmt_misc/qemu-aarch64') ? 'this machine runs programs of arm64' : false;
  test('a RUN for the second platform that nothing here can run is refused before the first is built', { skip: emulates }, async () => {
    const dockerfile = 'FROM scratch\nCOPY Dockerfile /\nRUN ["/program"]\n';
    const { status, output, image } = await scene.build({ dockerfile, args: [both] });
    assert.equal(status, 1);
    assert.match(output, /^error: .*linux\/arm64/m);
    assert.doesNotMatch(output, /\[linux\/amd64|pulled/);
    assert.equal(image, undefined);
    const cached = ['--custom-platform=linux/arm64', '--cache', `--cache-repo=${scene.registry.host}/foreign/cache`];
    const alone = await scene.build({ dockerfile, args: cached });
    assert.match(alone.output, /^error: Cannot run commands for linux\/arm64[^]*Dockerfile:3:1/m);
    assert.doesNotMatch(alone.output, /^FROM|pulled/m);
  });

  test('a base that is for another platform, and no index, is warned of', async () => {
    const dockerfile = 'FROM @REG@/base\nCOPY Dockerfile /\n';
    const { status, output } = await scene.build({ dockerfile, args: ['--custom-platform=linux/arm64'] });
    assert.equal(status, 0, output);
    assert.match(output, /^warning: \S+\/base:latest is for linux\/amd64, not for linux\/arm64$/m);
  });

  test('nothing has the name where the second platform fails, and a place for one image is refused at once', async () => {
    const dockerfile = 'FROM scratch\nARG TARGETARCH\nCOPY only-$TARGETARCH /\n';
    const failed = await scene.build({ dockerfile, files: { 'only-amd64': '' }, args: [both], repository: 'half/app' });
    assert.equal(failed.status, 1);
    assert.match(failed.output, /only-arm64/);
    assert.equal(await scene.hasTag('half/app'), false);
    const refused = await scene.build({ dockerfile, args: [both, '--tar-path=/kaniko/image.tar'] });
    assert.match(refused.output, /Cannot write --tar-path for 2 platforms: such an archive holds one image\n {2}try: --oci-layout-path/);
    const twice = await scene.build({ dockerfile, args: [both, '--custom-platform=linux/arm64'] });
    assert.match(twice.output, /Cannot combine --custom-platform with --platform/);
  });
});
