// Images made by hand: an OCI layout from layer archives and a config, and its way into a registry.
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { must } from './command.ts';
import { tar } from './tar.ts';

export interface HandmadeImage {
  /** Uncompressed archives, in memory or a file's path, lowest first. */
  readonly layers: readonly (Buffer | string)[];
  /** The `config` member of the image config. */
  readonly config?: Readonly<Record<string, unknown>>;
}

interface WrittenBlob {
  readonly digest: string;
  readonly size: number;
}

/** Writes an OCI layout with one tagged image for linux/amd64 into `folder`; layers become gzip. */
export async function writeOciLayout(folder: string, tag: string, image: HandmadeImage): Promise<void> {
  await mkdir(join(folder, 'blobs/sha256'), { recursive: true });
  const layers: WrittenBlob[] = [];
  const diffIds: string[] = [];
  for (const layer of image.layers) {
    const written = await writeLayer(folder, layer);
    layers.push(written);
    diffIds.push(written.diffId);
  }
  const config = await writeJson(folder, {
    created: '2020-01-02T03:04:05Z',
    architecture: 'amd64',
    os: 'linux',
    config: { Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'], ...image.config },
    rootfs: { type: 'layers', diff_ids: diffIds },
    history: diffIds.map(() => ({ created: '2020-01-02T03:04:05Z', created_by: 'by hand' })),
  });
  const manifestType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = await writeJson(folder, {
    schemaVersion: 2,
    mediaType: manifestType,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
    layers: layers.map(({ digest, size }) => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest, size })),
  });
  const annotations = { 'org.opencontainers.image.ref.name': tag };
  const manifests = [{ mediaType: manifestType, ...manifest, platform: { os: 'linux', architecture: 'amd64' }, annotations }];
  await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
  await writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
}

/** Makes an image and pushes it to `repository:latest`. */
export async function pushImage(registry: string, repository: string, image: HandmadeImage): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'yadokari-image-'));
  try {
    await writeOciLayout(folder, 'latest', image);
    await pushLayout(folder, 'latest', `${registry}/${repository}:latest`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Copies one tag of an OCI layout to a registry that speaks plain HTTP; `credentials` are USER:PASSWORD. */
export async function pushLayout(folder: string, tag: string, destination: string, credentials?: string): Promise<void> {
  const creds = credentials === undefined ? [] : [`--dest-creds=${credentials}`];
  await must(['skopeo', 'copy', '--quiet', '--dest-tls-verify=false', ...creds, `oci:${folder}:${tag}`, `docker://${destination}`]);
}

async function writeLayer(folder: string, layer: Buffer | string): Promise<WrittenBlob & { readonly diffId: string }> {
  const temporary = join(folder, 'layer.tmp');
  const [plain, packed] = [createHash('sha256'), createHash('sha256')];
  const source = typeof layer === 'string' ? createReadStream(layer) : Readable.from([layer]);
  await pipeline(
    source,
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        plain.update(chunk);
        yield chunk;
      }
    },
    createGzip({ level: 1 }),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        packed.update(chunk);
        yield chunk;
      }
    },
    createWriteStream(temporary),
  );
  const hex = packed.digest('hex');
  const { size } = await stat(temporary);
  await rename(temporary, join(folder, 'blobs/sha256', hex));
  return { digest: `sha256:${hex}`, size, diffId: `sha256:${plain.digest('hex')}` };
}

async function writeJson(folder: string, value: unknown): Promise<WrittenBlob> {
  const text = JSON.stringify(value);
  const hex = createHash('sha256').update(text).digest('hex');
  await writeFile(join(folder, 'blobs/sha256', hex), text);
  return { digest: `sha256:${hex}`, size: Buffer.byteLength(text) };
}

/** `parts/amd` and `parts/arm`, of a layer each. */
export async function pushParts(host: string): Promise<void> {
  for (const name of ['amd', 'arm']) await pushImage(host, `parts/${name}`, { layers: [tar([{ path: name, content: name }])] });
}
