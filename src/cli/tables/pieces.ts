// The flags of commands that make an image piece by piece.
import type { FlagGroup, FlagSpec } from '../flags.ts';
import { imageSettingFlags } from './image-settings.ts';
import { logFlags } from './log.ts';
import { chunkSizeFlag } from './registry.ts';
import { compressFormats, sideFlags } from './transports.ts';

const output: readonly FlagSpec[] = [
  { name: 'output', short: 'o', kind: 'text', isCommon: true, value: 'FILE', about: 'write the piece here; -: to stdout' },
  { name: 'json', kind: 'boolean', isCommon: true, about: 'tell of it as JSON' },
];
const told: FlagGroup = {
  title: 'What is told',
  flags: [
    { name: 'quiet', short: 'q', kind: 'boolean', isCommon: true, about: 'print its digest alone' },
    ...logFlags.filter(({ name }) => name !== 'quiet'),
  ],
};
/** buildah's `-v` is a volume. */
const toldOfConfig: FlagGroup = {
  ...told,
  flags: told.flags.map((spec) => (spec.short === 'v' ? withoutShort(spec) : spec)),
};

const layers: FlagSpec = {
  name: 'layer',
  kind: 'list',
  isCommon: true,
  value: 'PIECE',
  about: 'a layer: its digest, or its file; in order',
};
const from = (about: string): FlagSpec => ({ name: 'from', kind: 'text', isCommon: true, value: 'IMAGE', about });
const temporary: FlagSpec = { name: 'tmpdir', kind: 'text', value: 'FOLDER', about: 'where pieces wait (default $TMPDIR, or /var/tmp)' };

export const layerGroups: readonly FlagGroup[] = [
  {
    title: 'What is in it',
    flags: [
      { name: 'owner', kind: 'text', isCommon: true, value: 'UID[:GID]', about: 'whose all files are (default: whose they are here)' },
      { name: 'map-ids', kind: 'boolean', isCommon: true, about: 'owners as inside of yadokari unshare --map-ids' },
      { name: 'mtime', kind: 'text', isCommon: true, value: 'TIME', about: 'of all files: seconds since 1970, or RFC 3339' },
      { name: 'whiteout', kind: 'list', isCommon: true, value: 'PATH', about: 'what is gone of the layers below; may be repeated' },
      { name: 'as-is', kind: 'boolean', isCommon: true, about: "keep an archive's bytes" },
    ],
  },
  {
    title: 'Its bytes',
    flags: [
      {
        name: 'compress-format',
        kind: 'text',
        aliases: ['compression'],
        isCommon: true,
        value: 'FORM',
        choices: compressFormats,
        about: 'gzip (default), zstd or none',
      },
      { name: 'compress-level', kind: 'number', value: 'N', about: 'gzip 0 to 9, zstd 1 to 19' },
      temporary,
    ],
  },
  { title: 'Where it goes', flags: output },
  told,
];

export const configGroups: readonly FlagGroup[] = [
  {
    title: 'What it is about',
    flags: [
      layers,
      from("start with an image's config, or a file"),
      { name: 'created', kind: 'text', isCommon: true, value: 'TIME', about: 'seconds since 1970, or RFC 3339' },
    ],
  },
  { title: 'Settings', flags: imageSettingFlags },
  { title: 'Where it goes', flags: output },
  { title: 'Registry of --from', flags: sideFlags('src-') },
  toldOfConfig,
];

export const manifestGroups: readonly FlagGroup[] = [
  {
    title: 'What it names',
    flags: [
      { name: 'config', kind: 'text', isCommon: true, value: 'PIECE', about: 'the config: its digest, or its file' },
      layers,
      from('the layers of an image come first'),
      { name: 'annotation', short: 'a', kind: 'list', isCommon: true, value: 'NAME=VALUE', about: 'an annotation; may be repeated' },
      {
        name: 'format',
        short: 'f',
        kind: 'text',
        isCommon: true,
        value: 'oci|v2s2',
        choices: ['oci', 'v2s2'],
        about: "OCI's (default), or Docker's",
      },
    ],
  },
  { title: 'Where it goes', flags: output },
  { title: 'Registry of --from', flags: sideFlags('src-') },
  told,
];

export const assembleGroups: readonly FlagGroup[] = [
  {
    title: 'How',
    flags: [
      { name: 'json', kind: 'boolean', isCommon: true, about: 'tell of the image as JSON' },
      { name: 'retry-times', kind: 'count', value: 'N', about: 'tries more of the whole (default 0)' },
      temporary,
    ],
  },
  { title: 'Destination', flags: [...sideFlags('dest-'), chunkSizeFlag] },
  told,
];

function withoutShort({ short: _short, ...spec }: FlagSpec): FlagSpec {
  return spec;
}
