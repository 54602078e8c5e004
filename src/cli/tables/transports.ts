// The flags of commands that move images, by skopeo's names.
import type { FlagGroup, FlagSpec } from '../flags.ts';
import { logFlags } from './log.ts';
import { chunkSizeFlag, hostFlags } from './registry.ts';
import { storeFlags } from './store-root.ts';
import { unsupportedFlags } from './unsupported.ts';

const noSignatures = 'signatures are made by a tool of their own (cosign, notation), before or after the copy';
const noEncryption = 'encrypted layers are not part of this version';

/** Credentials and certificates of one side: `src-`, `dest-`, or the only one. */
export function sideFlags(prefix: '' | 'src-' | 'dest-'): readonly FlagSpec[] {
  const of = { '': 'the registry', 'src-': 'the source', 'dest-': 'the destination' }[prefix];
  return [
    { name: `${prefix}creds`, kind: 'text', isCommon: true, value: 'USER:PASSWORD', about: `credentials for ${of}` },
    {
      name: `${prefix}tls-verify`,
      kind: 'boolean',
      isCommon: true,
      about: 'false: HTTP, or any certificate',
      details: `whether ${of} has to speak TLS with a certificate that is trusted (default true)`,
    },
    { name: `${prefix}username`, kind: 'text', value: 'USER', about: `user for ${of}` },
    { name: `${prefix}password`, kind: 'text', value: 'PASSWORD', about: `password for ${of}` },
    { name: `${prefix}registry-token`, kind: 'text', value: 'TOKEN', about: `bearer token for ${of}` },
    { name: `${prefix}no-creds`, kind: 'boolean', about: `be nobody for ${of}` },
    { name: `${prefix}cert-dir`, kind: 'text', value: 'FOLDER', about: `*.crt to trust, *.cert and *.key to show to ${of}` },
    ...(prefix === '' ? [] : [authFile(prefix)]),
    { name: `${prefix}daemon-host`, kind: 'text', about: '', unsupported: 'there is no daemon here' },
    {
      name: `${prefix}shared-blob-dir`,
      kind: 'text',
      about: '',
      unsupported: 'a layout has its blobs in its own folder; several images can be in one layout',
    },
  ];
}

function authFile(prefix: '' | 'src-' | 'dest-'): FlagSpec {
  return { name: `${prefix}authfile`, kind: 'text', value: 'FILE', about: 'read credentials from this file alone' };
}

/** Flags of skopeo itself, which may stand behind a command here; and what a build's flags say of single registries. */
export const programFlags: readonly FlagSpec[] = [
  ...hostFlags,
  authFile(''),
  { name: 'override-os', kind: 'text', value: 'OS', about: 'choose images for this system' },
  { name: 'override-arch', kind: 'text', value: 'ARCH', about: 'choose images for this architecture' },
  { name: 'override-variant', kind: 'text', value: 'VARIANT', about: 'choose images for this variant of the architecture' },
  { name: 'retry-times', kind: 'count', value: 'N', about: 'tries more of the whole, besides those of each request (default 0)' },
  { name: 'tmpdir', kind: 'text', value: 'FOLDER', about: 'for layers that are compressed anew (default $TMPDIR, or /var/tmp)' },
  { name: 'insecure-policy', kind: 'boolean', about: '', inert: 'no policy of signatures is looked at' },
  { name: 'policy', kind: 'text', about: '', unsupported: 'no policy of signatures can be checked' },
  { name: 'registries.d', kind: 'text', about: '', unsupported: 'signatures outside of registries are not read' },
];

export const signingFlags: readonly FlagSpec[] = [
  { name: 'remove-signatures', kind: 'boolean', about: 'leave out signatures that lie beside an image in dir:' },
  ...unsupportedFlags(
    'text',
    ['sign-by', 'sign-by-sigstore', 'sign-by-sigstore-private-key', 'sign-passphrase-file', 'sign-identity'],
    noSignatures,
  ),
  ...unsupportedFlags('list', ['encryption-key', 'decryption-key', 'encrypt-layer'], noEncryption),
];

export const imageFormats = ['oci', 'v2s2', 'docker', 'v2s1'] as const;
export const compressFormats = ['gzip', 'zstd', 'none'] as const;

/** The families of manifests, for what is copied. */
export const formatFlag: FlagSpec = {
  name: 'format',
  short: 'f',
  kind: 'text',
  isCommon: true,
  value: 'oci|v2s2',
  choices: imageFormats,
  about: 'convert manifests (default: as they are)',
};

const chosenFlags: readonly FlagSpec[] = [
  {
    name: 'all',
    short: 'a',
    kind: 'boolean',
    isCommon: true,
    about: 'all images of an index',
    details: 'instead of the one for this machine',
  },
  { name: 'platform', kind: 'comma-list', isCommon: true, value: 'OS/ARCH,…', about: 'the images for these' },
  { name: 'multi-arch', kind: 'text', value: 'system|all', choices: ['system', 'all', 'index-only'], about: 'system, or all as --all' },
  { name: 'preserve-digests', kind: 'boolean', isCommon: true, about: 'fail where a digest would change' },
  formatFlag,
];

const changeFlags: readonly FlagSpec[] = [
  {
    name: 'compress-format',
    kind: 'text',
    aliases: ['dest-compress-format'],
    isCommon: true,
    value: 'FORM',
    choices: compressFormats,
    about: 'gzip, zstd or none, for all layers',
  },
  { name: 'compress-level', kind: 'number', aliases: ['dest-compress-level'], value: 'N', about: 'gzip 0 to 9, zstd 1 to 19' },
  { name: 'dest-compress', kind: 'boolean', about: 'as --compress-format=gzip' },
  { name: 'dest-decompress', kind: 'boolean', about: 'as --compress-format=none' },
  {
    name: 'dest-oci-accept-uncompressed-layers',
    kind: 'boolean',
    about: '',
    inert: 'plain layers stay plain unless --compress-format says otherwise',
  },
  { name: 'image-parallel-copies', kind: 'number', about: '', inert: 'several layers of an image go at a time as it is' },
  { name: 'dest-force-compress-format', kind: 'boolean', about: '', inert: '--compress-format is for all layers' },
  { name: 'dest-precompute-digests', kind: 'boolean', about: '', inert: 'a layer is always looked for before it is sent' },
  chunkSizeFlag,
  { name: 'with-referrers', kind: 'boolean', isCommon: true, about: 'signatures and the like go along' },
];

export const copyGroups: readonly FlagGroup[] = [
  { title: 'What to copy', flags: chosenFlags },
  {
    title: 'What becomes of it',
    flags: [
      ...changeFlags,
      { name: 'additional-tag', kind: 'list', empty: 'no item', value: 'NAME', about: 'another name for the copy; may be repeated' },
      { name: 'digestfile', kind: 'text', isCommon: true, value: 'FILE', about: "write the copy's digest here" },
      ...signingFlags,
    ],
  },
  { title: 'Source', flags: sideFlags('src-') },
  { title: 'Destination', flags: sideFlags('dest-') },
  { title: 'How', flags: programFlags },
  { title: 'What is told', flags: logFlags },
];

export const syncGroups: readonly FlagGroup[] = [
  {
    title: 'What to copy',
    flags: [
      {
        name: 'src',
        short: 's',
        kind: 'text',
        isCommon: true,
        value: 'docker|dir|yaml',
        choices: ['docker', 'dir', 'yaml'],
        about: 'what SOURCE is',
      },
      {
        name: 'dest',
        short: 'd',
        kind: 'text',
        isCommon: true,
        value: 'docker|dir',
        choices: ['docker', 'dir'],
        about: 'what DESTINATION is',
      },
      {
        name: 'scoped',
        kind: 'boolean',
        isCommon: true,
        about: 'keep the whole name of the source',
        details: 'below DESTINATION, instead of its last part',
      },
      { name: 'append-suffix', kind: 'text', value: 'TEXT', about: 'add this to every tag at the destination' },
      ...chosenFlags,
    ],
  },
  { title: 'What becomes of it', flags: [...changeFlags, ...signingFlags] },
  {
    title: 'How',
    flags: [
      { name: 'dry-run', kind: 'boolean', isCommon: true, about: 'tell what would be copied, and copy nothing' },
      { name: 'keep-going', kind: 'boolean', isCommon: true, about: 'go on with the next image where one fails' },
      ...programFlags,
    ],
  },
  { title: 'Source', flags: sideFlags('src-') },
  { title: 'Destination', flags: sideFlags('dest-') },
  { title: 'What is told', flags: logFlags },
];

export const inspectGroups: readonly FlagGroup[] = [
  {
    title: 'What is printed',
    flags: [
      { name: 'raw', kind: 'boolean', isCommon: true, about: 'the manifest as it is, or the config' },
      { name: 'config', kind: 'boolean', isCommon: true, about: "the image's config" },
      {
        name: 'format',
        short: 'f',
        kind: 'text',
        isCommon: true,
        value: 'TEMPLATE',
        about: "a Go template, as '{{.Digest}}'",
      },
      { name: 'no-tags', short: 'n', kind: 'boolean', about: "don't list the tags of the repository" },
      { name: 'platform', kind: 'text', value: 'OS/ARCH', about: 'which image of an index' },
      {
        name: 'type',
        short: 't',
        kind: 'text',
        value: 'container|image',
        choices: ['container', 'image'],
        about: 'what a name without a transport is',
      },
    ],
  },
  {
    title: 'What is in it',
    flags: [
      { name: 'tree', kind: 'boolean', isCommon: true, about: 'each layer with its largest folders and files' },
      { name: 'depth', kind: 'text', value: 'NUMBER', about: 'how many folders deep the tree is (default: 3)' },
      { name: 'waste', kind: 'boolean', about: 'bytes that layers above hide, what stored them, and what to do' },
      { name: 'base-layers', kind: 'text', value: 'NUMBER', about: "how many layers are the base image's (default: 1, as with dive)" },
      { name: 'lowest-efficiency', kind: 'text', value: '0.95', about: 'exit with 1 where less of what is stored is needed' },
      { name: 'highest-wasted-bytes', kind: 'text', value: '20MB', about: 'exit with 1 where more bytes are hidden' },
      {
        name: 'highest-user-wasted-percent',
        kind: 'text',
        value: '0.2',
        about: 'exit with 1 where a larger part of what is above the base is wasted',
      },
    ],
  },
  { title: 'The store', flags: storeFlags },
  ...oneSide(),
];

export const namesGroups: readonly FlagGroup[] = oneSide();

function oneSide(): readonly FlagGroup[] {
  return [
    { title: 'Registry', flags: sideFlags('') },
    { title: 'How', flags: programFlags },
    { title: 'What is told', flags: logFlags },
  ];
}
