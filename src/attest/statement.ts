// What is stated about an image, beside it in an index: docs/attestations/attestation-storage.md of moby/buildkit, and
// github.com/in-toto/attestation, spec/v0.1.
import { Readable } from 'node:stream';
import { type Digest, digestOf } from '../oci/digest.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { emptyImageConfig } from '../oci/image-config.ts';
import type { Layer } from '../oci/image.ts';
import { attestedImage } from '../oci/image-index.ts';
import { type JsonObject, formatJson, jsonObject } from '../oci/json.ts';
import { type StoredImage, describeImage, encodeImage } from '../oci/stored-image.ts';

export interface Statement {
  readonly predicateType: string;
  readonly predicate: JsonObject;
}

/** Which image is meant. */
export interface Subject {
  readonly digest: Digest;
  /** Its package URLs; where there is none, `_` stands for one. */
  readonly names: readonly string[];
}

/** The media type of a statement in a registry. */
const inToto = 'application/vnd.in-toto+json';

/** The statements as something that is stored as an image is, for a platform that nobody has: no engine takes it for one. */
export function attestationOf(statements: readonly Statement[], subject: Subject): StoredImage {
  const layers = statements.map((statement): Layer => {
    const bytes = Buffer.from(formatJson(statementObject(statement, subject)), 'utf8');
    const digest = digestOf(bytes);
    const annotations = new Map([['in-toto.io/predicate-type', statement.predicateType]]);
    return {
      descriptor: { mediaType: inToto, digest, size: bytes.length, annotations },
      diffId: digest,
      open: () => Readable.from([bytes], { objectMode: false }),
    };
  });
  const config = emptyImageConfig({ os: 'unknown', architecture: 'unknown' });
  return encodeImage({
    config: { ...config, diffIds: layers.map(({ diffId }) => diffId) },
    layers,
    family: 'oci',
    annotations: new Map(),
  });
}

/** The entry of an index for the statements about the image with that digest. */
export function describeAttestation(attestation: StoredImage, subject: Digest): Descriptor {
  const annotations = new Map([
    [attestedImage, subject],
    ['vnd.docker.reference.type', 'attestation-manifest'],
  ]);
  return { ...describeImage(attestation), annotations };
}

function statementObject({ predicateType, predicate }: Statement, { digest, names }: Subject): JsonObject {
  const [algorithm = '', hex = ''] = digest.split(':');
  const subject = (names.length === 0 ? ['_'] : names).map((name) => jsonObject({ name, digest: new Map([[algorithm, hex]]) }));
  return jsonObject({ _type: 'https://in-toto.io/Statement/v0.1', predicateType, subject, predicate });
}
