// The flags of commands that make an image piece by piece.
import type { FlagGroup, FlagSpec } from '../flags.ts';
import { imageSettingFlags } from './image-settings.ts';
import { logFlags } from './log.ts';
import { chunkSizeFlag } from './registry.ts';
import { compressFormats, sideFlags } from './transports.ts';
import { count, group, list, number, text, toggle } from './flag.ts';

const output: readonly FlagSpec[] = [
  text('output', 'FILE', 'write the piece here; -: to stdout', { short: 'o', isCommon: true }),
  toggle('json', 'tell of it as JSON', { isCommon: true }),
];
const told: FlagGroup = group('What is told', [
  toggle('quiet', 'print its digest alone', { short: 'q', isCommon: true }),
  ...logFlags.filter(({ name }) => name !== 'quiet'),
]);
/** buildah's `-v` is a volume. */
const toldOfConfig: FlagGroup = {
  ...told,
  flags: told.flags.map((spec) => (spec.short === 'v' ? withoutShort(spec) : spec)),
};

const layers: FlagSpec = list('layer', 'PIECE', 'a layer: its digest, or its file; in order', { isCommon: true });
const from = (about: string): FlagSpec => text('from', 'IMAGE', about, { isCommon: true });
const temporary: FlagSpec = text('tmpdir', 'FOLDER', 'where pieces wait (default $TMPDIR, or /var/tmp)');

export const layerGroups: readonly FlagGroup[] = [
  group('What is in it', [
    text('owner', 'UID[:GID]', 'whose all files are (default: whose they are here)', { isCommon: true }),
    toggle('map-ids', 'owners as inside of yadokari unshare --map-ids', { isCommon: true }),
    text('mtime', 'TIME', 'of all files: seconds since 1970, or RFC 3339', { isCommon: true }),
    list('whiteout', 'PATH', 'what is gone of the layers below; may be repeated', { isCommon: true }),
    toggle('as-is', "keep an archive's bytes", { isCommon: true }),
  ]),
  group('Its bytes', [
    text('compress-format', 'FORM', 'gzip (default), zstd or none', {
      aliases: ['compression'],
      isCommon: true,
      choices: compressFormats,
    }),
    number('compress-level', 'N', 'gzip 0 to 9, zstd 1 to 19'),
    temporary,
  ]),
  group('Where it goes', output),
  told,
];

export const configGroups: readonly FlagGroup[] = [
  group('What it is about', [
    layers,
    from("start with an image's config, or a file"),
    text('created', 'TIME', 'seconds since 1970, or RFC 3339', { isCommon: true }),
  ]),
  group('Settings', imageSettingFlags),
  group('Where it goes', output),
  group('Registry of --from', sideFlags('src-')),
  toldOfConfig,
];

export const manifestGroups: readonly FlagGroup[] = [
  group('What it names', [
    text('config', 'PIECE', 'the config: its digest, or its file', { isCommon: true }),
    layers,
    from('the layers of an image come first'),
    list('annotation', 'NAME=VALUE', 'an annotation; may be repeated', { short: 'a', isCommon: true }),
    text('format', 'oci|v2s2', "OCI's (default), or Docker's", { short: 'f', isCommon: true, choices: ['oci', 'v2s2'] }),
  ]),
  group('Where it goes', output),
  group('Registry of --from', sideFlags('src-')),
  told,
];

export const assembleGroups: readonly FlagGroup[] = [
  group('How', [
    toggle('json', 'tell of the image as JSON', { isCommon: true }),
    count('retry-times', 'N', 'tries more of the whole (default 0)'),
    temporary,
  ]),
  group('Destination', [...sideFlags('dest-'), chunkSizeFlag]),
  told,
];

function withoutShort({ short: _short, ...spec }: FlagSpec): FlagSpec {
  return spec;
}
