// What was downloaded, and with which digest, for who states what a build was made of.
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Materials } from '../attest/materials.ts';
import type { Clouds } from '../cloud/clouds.ts';
import type { RegistryClient } from '../registry/client.ts';
import { redactUrl } from '../registry/response.ts';

/** `download` that tells `materials` of each file that was read to its end; the same where nobody wants to know. */
export function notingContent(download: RegistryClient['download'], materials: Materials | undefined): RegistryClient['download'] {
  if (materials === undefined) return download;
  return async (url, options) => {
    const { body, ...answer } = await download(url, options);
    return { ...answer, body: noting(body, url, materials) };
  };
}

/** The same for objects of the clouds' stores. */
export function notingObjects(openObject: Clouds['openObject'], materials: Materials | undefined): Clouds['openObject'] {
  if (materials === undefined) return openObject;
  return (place, signal) =>
    openObject(place, signal)?.then(({ body, ...answer }) => ({ ...answer, body: noting(body, new URL(place), materials) }));
}

function noting(body: AsyncIterable<Buffer>, url: URL, materials: Materials): Readable {
  const noted = async function* (): AsyncGenerator<Buffer> {
    const hash = createHash('sha256');
    for await (const chunk of body) {
      hash.update(chunk);
      yield chunk;
    }
    materials.noteContent(redactUrl(url), `sha256:${hash.digest('hex')}`);
  };
  return Readable.from(noted(), { objectMode: false });
}
