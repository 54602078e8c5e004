// node transfer-blob.ts <host> <push|pull> <MiB>: moves one blob of zeros and prints its own peak memory in MiB.
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { parseDigest } from '../../src/oci/digest.ts';
import { MediaType } from '../../src/oci/media-type.ts';
import { parseReference } from '../../src/oci/reference.ts';
import { openBlob } from '../../src/registry/blob.ts';
import { anonymous } from '../../src/registry/credentials.ts';
import { namesFromTable } from '../../src/registry/names.ts';
import { Repository } from '../../src/registry/repository.ts';
import { createTransport } from '../../src/registry/transport.ts';
import { uploadBlob } from '../../src/registry/upload.ts';

const [host = '', direction, size] = process.argv.slice(2);
const sizeMiB = Number(size);
const block = Buffer.alloc(1024 * 1024);
const hash = createHash('sha256');
for (let count = 0; count < sizeMiB; count++) hash.update(block);
const descriptor = { mediaType: MediaType.ociLayer, digest: parseDigest(`sha256:${hash.digest('hex')}`), size: sizeMiB * block.length };

function* zeros(): Generator<Buffer> {
  for (let count = 0; count < sizeMiB; count++) yield block;
}

const { signal } = new AbortController();
const transport = createTransport({ names: namesFromTable(new Map()), hostRules: () => ({}), userAgent: 'yadokari-test' });
const reference = parseReference(`${host}/memory/size-${sizeMiB}`);
const repository = new Repository({
  reference,
  base: await transport.baseUrl(reference.registry, signal),
  transport,
  credentials: anonymous,
});
if (direction === 'push') {
  const open = (): Readable => Readable.from(zeros(), { objectMode: false });
  await uploadBlob(repository, { descriptor, open }, { onBytes: () => undefined }, signal);
} else {
  for await (const chunk of openBlob(async () => await Promise.resolve(repository), descriptor, { onBytes: () => undefined }, signal))
    void chunk;
}
await transport.close();
process.stdout.write(`${Math.round(process.resourceUsage().maxRSS / 1024)}\n`);
