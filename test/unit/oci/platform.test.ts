import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MediaType } from '../../../src/oci/media-type.ts';
import { type ImageIndex, selectPlatform } from '../../../src/oci/manifest.ts';
import { parsePlatform } from '../../../src/oci/platform.ts';

const host = { os: 'linux', architecture: 'amd64' };
const rows: readonly (readonly [wanted: string, offered: readonly string[], chosen: string | undefined])[] = [
  ['linux/amd64', ['linux/amd64/v3', 'linux/amd64'], 'linux/amd64'],
  ['linux/amd64', ['linux/amd64/v3', 'linux/amd64/v2'], 'linux/amd64/v2'],
  ['linux/amd64', ['linux/amd64/v3'], 'linux/amd64/v3'],
  ['linux/amd64/v1', ['linux/amd64/v3', 'linux/amd64'], 'linux/amd64'],
  ['linux/amd64/v3', ['linux/amd64', 'linux/amd64/v2', 'linux/amd64/v4'], 'linux/amd64/v2'],
  ['linux/amd64/v2', ['linux/amd64/v3'], undefined],
  ['linux/arm/v7', ['linux/arm/v5', 'linux/arm/v6'], 'linux/arm/v6'],
  ['linux/arm', ['linux/arm/v6', 'linux/arm/v7'], 'linux/arm/v7'],
  ['linux/arm/v6', ['linux/arm/v7', 'linux/arm'], undefined],
  ['linux/arm64', ['linux/arm/v7', 'linux/arm64/v8'], 'linux/arm64/v8'],
  ['linux/arm64/v9', ['linux/arm64/v8'], 'linux/arm64/v8'],
  ['linux/amd64', ['windows/amd64', 'linux/386', 'linux/amd64'], 'linux/amd64'],
  ['linux/riscv64', ['linux/riscv64/odd', 'linux/riscv64'], 'linux/riscv64'],
  ['linux/riscv64', ['linux/riscv64/odd'], 'linux/riscv64/odd'],
];
for (const [wanted, offered, chosen] of rows) {
  test(`for ${wanted}, an index of ${offered.join(', ')} gives ${chosen ?? 'nothing'}`, () => {
    const manifests = offered.map((text, position) => {
      const [os = '', architecture = '', variant] = text.split('/');
      const platform = { os, architecture, ...(variant === undefined ? {} : { variant }) };
      return { mediaType: MediaType.ociManifest, digest: `sha256:${String(position).repeat(64)}` as const, size: 1, platform };
    });
    const index: ImageIndex = { kind: 'index', mediaType: MediaType.ociIndex, family: 'oci', manifests, annotations: new Map() };
    const choose = (): string => selectPlatform(index, parsePlatform(wanted, host)).digest;
    if (chosen === undefined) assert.throws(choose, { code: 'ERR_UNSUPPORTED' });
    else assert.equal(choose(), `sha256:${String(offered.indexOf(chosen)).repeat(64)}`);
  });
}
