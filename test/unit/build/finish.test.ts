import assert from 'node:assert/strict';
import { test } from 'node:test';
import { finishImage } from '../../../src/build/finish.ts';
import { parseFlags } from '../../../src/cli/flags.ts';
import { ownBuildFlags } from '../../../src/cli/tables/own-build.ts';
import { makeBuildRequest } from '../../../src/cli/requests/build-request.ts';
import { Settings } from '../../../src/cli/settings.ts';
import { parseDigest } from '../../../src/oci/digest.ts';
import { emptyImageConfig } from '../../../src/oci/image-config.ts';
import type { Image } from '../../../src/oci/image.ts';

const amd64 = { os: 'linux', architecture: 'amd64' };
const armv7 = { os: 'linux', architecture: 'arm', variant: 'v7' };
const digest = parseDigest(`sha256:${'a'.repeat(64)}`);

const image: Image = {
  config: {
    ...emptyImageConfig(amd64),
    history: [{ created: '2020-01-01T00:00:00Z' }, { created: '2021-01-01T00:00:00Z' }, { createdBy: 'without a time' }],
    config: {
      ...emptyImageConfig(amd64).config,
      labels: new Map([
        ['a', 'base'],
        ['b', 'base'],
      ]),
    },
  },
  layers: [],
  family: 'docker',
  annotations: new Map([['of', 'the base']]),
};

function finish(argv: readonly string[], given: Image = image, platform = amd64): Image {
  const flags = parseFlags(['--no-push', ...argv], ownBuildFlags);
  const places = { env: {}, workingDirectory: '/w', nodeArch: 'x64', builderFolder: '/kaniko', defaultContext: '/workspace/' };
  return finishImage(given, makeBuildRequest(new Settings(flags, ownBuildFlags, {}), flags.positionals, places), platform);
}

test('finishImage() dates the image by the last history entry that has a time', () => {
  assert.equal(finish([]).config.created, '2021-01-01T00:00:00Z');
});

test('finishImage() adds the labels of the command line, which win, and leaves out annotations of the base', () => {
  const finished = finish(['--label', 'b=ours', '--label', 'c=ours']);
  assert.deepEqual(Object.fromEntries(finished.config.config.labels), { a: 'base', b: 'ours', c: 'ours' });
  assert.deepEqual([...finished.annotations], []);
});

test('finishImage() sets variables in their places, and leaves out others', () => {
  const { config } = image.config;
  const given = { ...image, config: { ...image.config, config: { ...config, env: ['A=1', 'B=2', 'C=3'] } } };
  assert.deepEqual(finish(['--env=A=x=y', '--env=D=4', '--unsetenv=B'], given).config.config.env, ['A=x=y', 'C=3', 'D=4']);
});

test('finishImage() writes the platform that was built for, with its variant', () => {
  const { architecture, variant } = finish([], image, armv7).config;
  assert.deepEqual([architecture, variant], ['arm', 'v7']);
  const onBase = { ...image, config: { ...image.config, architecture: 'arm', variant: 'v7' } };
  assert.equal(finish([], onBase, { os: 'linux', architecture: 'arm' }).config.variant, 'v7', 'the base knows the variant');
  assert.equal(finish([], onBase, amd64).config.variant, undefined, "a variant of another architecture is none of the image's");
});

test("finishImage() keeps the base's media types, but for zstd, which Docker's have no name for", () => {
  assert.equal(finish([]).family, 'docker');
  const mediaType = 'application/vnd.oci.image.layer.v1.tar+zstd' as const;
  const layer: Image['layers'][number] = {
    descriptor: { mediaType, digest, size: 1 },
    diffId: digest,
    open: () => assert.fail('nobody reads layers to finish an image'),
  };
  assert.equal(finish([], { ...image, layers: [layer] }).family, 'oci');
});
