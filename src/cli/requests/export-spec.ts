// `-o`: `type=…,dest=…` as docker buildx has it, and its short forms.
import { resolve } from 'node:path';
import { splitCsv } from '../../dockerfile/csv.ts';
import { BuilderError } from '../../errors.ts';
import { type ExportSpec, type ExportType, exportTypes } from '../../outputs/output-request.ts';
import { standardOutput } from '../../store/whole-file.ts';

/** `type=image` and `type=registry`: no file, but what the image is called, and whether it is pushed. */
export interface ImageOutput {
  readonly names: readonly string[];
  readonly isPushed: boolean;
}

/** Undefined for other types. @throws ERR_USAGE, ERR_UNSUPPORTED naming what can't be */
export function parseImageOutput(text: string): ImageOutput | undefined {
  if (!/(?:^|,)type=(?:image|registry)(?:,|$)/i.test(text)) return undefined;
  const fields = splitCsv(text) ?? fail(text, 'its quotes do not match');
  const values = new Map(fields.map((field) => keyAndValue(field, text, ['type', 'name', 'push'])));
  const push = values.get('push') ?? (values.get('type') === 'registry' ? 'true' : 'false');
  if (push !== 'true' && push !== 'false') fail(text, `push is true or false, not ${push}`);
  return { names: values.get('name')?.split(',') ?? [], isPushed: push === 'true' };
}

/**
 * `FOLDER` is type=local, `-` the files as an archive on standard output; an image's archive goes there, too, where it has no dest.
 * @throws ERR_USAGE, ERR_UNSUPPORTED naming what can't be
 */
export function parseExport(text: string, workingDirectory: string): ExportSpec {
  const fields = splitCsv(text) ?? fail(text, 'its quotes do not match');
  const isShort = fields.length === 1 && !(fields[0] ?? '').startsWith('type=');
  const values = isShort ? shortForm(text) : new Map(fields.map((field) => keyAndValue(field, text, ['type', 'dest', 'tar'])));
  const type = typeOf(values.get('type'), text);
  const isTar = values.get('tar') ?? 'true';
  if (isTar !== 'true' && (isTar !== 'false' || type !== 'oci')) fail(text, 'tar=false is for type=oci');
  const dest = values.get('dest') ?? '-';
  const needsFolder = type === 'local' || isTar === 'false';
  if (needsFolder && dest === '-') fail(text, 'it needs a folder', 'dest=FOLDER');
  if (type === 'docker' && !values.has('dest'))
    fail(text, 'a build loads into no engine', 'dest=FILE, or dest=- | docker load; --load keeps it in the store of this machine');
  const path = dest === '-' ? standardOutput : resolve(workingDirectory, dest);
  if (path === '/') fail(text, "it would write over this machine's own files");
  return { type: isTar === 'false' ? 'layout' : type, path };
}

/** The same as text. */
export function formatExport({ type, path }: ExportSpec): string {
  const dest = `dest=${path === standardOutput ? '-' : path}`;
  return [`type=${type === 'layout' ? 'oci' : type}`, ...(type === 'layout' ? ['tar=false'] : []), quoted(dest)].join(',');
}

function shortForm(dest: string): ReadonlyMap<string, string> {
  return new Map([
    ['type', dest === '-' ? 'tar' : 'local'],
    ['dest', dest],
  ]);
}

function keyAndValue(field: string, text: string, keys: readonly string[]): readonly [string, string] {
  const [, key = '', value = ''] = /^([^=]+)=(.+)$/s.exec(field.trim()) ?? fail(text, `${JSON.stringify(field)} is not KEY=VALUE`);
  const known = key.toLowerCase();
  if (keys.includes(known)) return [known, value];
  throw new BuilderError('ERR_UNSUPPORTED', `Cannot honour --output ${text}: there is no ${key} here`, {
    hint: `${keys.join(', ')} are; names, formats and compression have flags of their own (--tag, --format, --compression)`,
  });
}

function typeOf(name: string | undefined, text: string): ExportType {
  if (name === undefined) return fail(text, 'it has no type');
  const found = exportTypes.find((type) => type === name);
  if (found !== undefined) return found;
  return fail(
    text,
    `there is no type ${name}`,
    name === 'cacheonly' ? 'use --no-push' : `type is one of ${exportTypes.join(', ')}, image, registry`,
  );
}

function fail(text: string, why: string, hint = 'type=local|tar|oci|docker,dest=PLACE, or a folder, or - for a tar'): never {
  throw new BuilderError('ERR_USAGE', `Cannot use --output ${text}: ${why}`, { hint });
}

function quoted(field: string): string {
  return /[",]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
}
