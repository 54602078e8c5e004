// `type=registry,ref=…` and `type=local,…`, as docker buildx names caches.
import { splitCsv } from '../../dockerfile/csv.ts';
import { BuilderError } from '../../errors.ts';

/** Each result is kept on its own, in one format, with the results of all stages: these say nothing more. */
const saidAnyway: ReadonlySet<string> = new Set(
  'type ref src dest mode image-manifest oci-mediatypes ignore-error compression compression-level force-compression'.split(' '),
);

/**
 * The place as `--cache-repo` has it: a repository, without its tag (results are tagged by their keys), or `oci:FOLDER`. Other texts stay
 * as they are. @throws ERR_UNSUPPORTED for what can't be
 */
export function readCacheSpec(text: string): string {
  if (!/(?:^|,)"?type=/.test(text) && !text.startsWith('ref=')) return text;
  const fields = new Map((splitCsv(text) ?? fail(text)).map((field) => [field.replace(/=.*/s, ''), field.replace(/^[^=]*=?/, '')]));
  const other = [...fields.keys()].find((key) => !saidAnyway.has(key));
  if (other !== undefined) fail(text, other);
  const type = fields.get('type') ?? 'registry';
  const folder = fields.get('src') ?? fields.get('dest');
  if (type === 'local' && folder !== undefined) return `oci:${folder}`;
  return (type === 'registry' ? fields.get('ref')?.replace(/:[\w.-]+$/, '') : undefined) ?? fail(text);
}

function fail(text: string, key?: string): never {
  const message = `Cannot honour the cache ${JSON.stringify(text)}${key === undefined ? '' : `: there is no ${key} here`}`;
  throw new BuilderError('ERR_UNSUPPORTED', message, { hint: 'type=registry,ref=REPOSITORY and type=local,src=FOLDER are there' });
}
