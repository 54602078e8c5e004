// Unpacking Debian's base layer, gzip and all, against GNU tar on the same file and filesystem.
import { createReadStream, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { bytesFromText } from '../../src/bytes.ts';
import { openEntries } from '../../src/layer/open-entries.ts';
import { parseDigest } from '../../src/oci/digest.ts';
import type { Layer } from '../../src/oci/image.ts';
import { MediaType } from '../../src/oci/media-type.ts';
import { createProtection } from '../../src/rootfs/protect.ts';
import { createUnpackReport } from '../../src/rootfs/unpack-report.ts';
import { unpackLayer } from '../../src/rootfs/unpack.ts';
import { must } from '../support/command.ts';
import { debianLayout } from '../support/debian-base.ts';
import { asList, asNumber, asObject, asText } from '../support/parsed.ts';
import { compare, type Ratio } from './ratio.ts';

/** Seconds of wall clock, ours to `tar -xz`. */
export async function benchUnpack(rounds: number, folder: string): Promise<Ratio> {
  const { path, layer } = await debianLayer();
  const work = await mkdtemp(join(folder, 'unpack-'));
  const empty = async () => {
    await rm(join(work, 'root'), { recursive: true, force: true });
    await mkdir(join(work, 'root'));
    await must(['sync', '-f', work]);
  };
  try {
    return await compare({ name: 'unpack a Debian base layer', reference: 'tar -xz', aim: 1.5 }, rounds, {
      ours: {
        prepare: empty,
        run: async () => {
          const root = { path: bytesFromText(join(work, 'root')), protection: createProtection([]) };
          const { signal } = new AbortController();
          await unpackLayer(
            root,
            openEntries(layer, signal, () => undefined),
            createUnpackReport(),
            signal,
          );
        },
      },
      theirs: {
        prepare: empty,
        run: async () => {
          await must(['tar', '-xzf', path, '--numeric-owner', '--xattrs', '--xattrs-include=*', '-C', join(work, 'root')]);
        },
      },
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function debianLayer(): Promise<{ readonly path: string; readonly layer: Layer }> {
  const layout = await debianLayout();
  const blob = (digest: string) => join(layout, 'blobs', digest.replace(':', '/'));
  const read = (file: string) => asObject(JSON.parse(readFileSync(file, 'utf8')), file);
  const manifest = read(blob(asText(asObject(asList(read(join(layout, 'index.json'))['manifests'])[0])['digest'])));
  const descriptor = asObject(asList(manifest['layers'])[0]);
  const config = read(blob(asText(asObject(manifest['config'])['digest'])));
  const [diffId] = asList(asObject(config['rootfs'])['diff_ids']);
  const path = blob(asText(descriptor['digest']));
  return {
    path,
    layer: {
      descriptor: {
        mediaType: MediaType.ociLayerGzip,
        digest: parseDigest(asText(descriptor['digest'])),
        size: asNumber(descriptor['size']),
      },
      diffId: parseDigest(asText(diffId)),
      open: () => createReadStream(path),
    },
  };
}
