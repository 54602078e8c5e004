// The flags of commands that move images, by skopeo's names.
import type { FlagGroup, FlagSpec } from '../flags.ts';
import { logFlags } from './log.ts';
import { chunkSizeFlag, hostFlags } from './registry.ts';
import { identityFlag, keyFlags, registriesFolderFlag, skopeoPolicyFlags } from './signing.ts';
import { storeFlags } from './store-root.ts';
import { commaList, count, duration, group, inert, list, number, text, toggle, unsupported, unsupportedFlags } from './flag.ts';

const noSignatures = 'images are signed by a key of sigstore: --sign-by-sigstore-private-key';
const noEncryption = 'encrypted layers are not part of this version';

/** Credentials and certificates of one side: `src-`, `dest-`, or the only one. */
export function sideFlags(prefix: '' | 'src-' | 'dest-'): readonly FlagSpec[] {
  const of = { '': 'the registry', 'src-': 'the source', 'dest-': 'the destination' }[prefix];
  return [
    text(`${prefix}creds`, 'USER:PASSWORD', `credentials for ${of}`, { isCommon: true }),
    toggle(`${prefix}tls-verify`, 'false: HTTP, or any certificate', {
      isCommon: true,
      details: `whether ${of} has to speak TLS with a certificate that is trusted (default true)`,
    }),
    text(`${prefix}username`, 'USER', `user for ${of}`),
    text(`${prefix}password`, 'PASSWORD', `password for ${of}`),
    text(`${prefix}registry-token`, 'TOKEN', `bearer token for ${of}`),
    toggle(`${prefix}no-creds`, `be nobody for ${of}`),
    text(`${prefix}cert-dir`, 'FOLDER', `*.crt to trust, *.cert and *.key to show to ${of}`),
    ...(prefix === '' ? [] : [authFile(prefix)]),
    text(`${prefix}daemon-host`, 'ADDRESS', 'the engine of docker-daemon: (default $DOCKER_HOST, or the usual socket)'),
    unsupported('text', `${prefix}shared-blob-dir`, 'a layout has its blobs in its own folder; several images can be in one layout'),
  ];
}

function authFile(prefix: '' | 'src-' | 'dest-'): FlagSpec {
  return text(`${prefix}authfile`, 'FILE', 'read credentials from this file alone');
}

/** Flags of skopeo itself, which may stand behind a command here; and what a build's flags say of single registries. */
export const programFlags: readonly FlagSpec[] = [
  ...hostFlags,
  authFile(''),
  text('override-os', 'OS', 'choose images for this system'),
  text('override-arch', 'ARCH', 'choose images for this architecture'),
  text('override-variant', 'VARIANT', 'choose images for this variant of the architecture'),
  count('retry-times', 'N', 'tries more of the whole, besides those of each request (default 0)'),
  toggle('debug', 'as --verbosity=debug'),
  duration('command-timeout', 'DURATION', 'give up when this time is over, such as 10m'),
  text('tmpdir', 'FOLDER', 'for layers that are compressed anew (default $TMPDIR, or /var/tmp)'),
  ...skopeoPolicyFlags,
  registriesFolderFlag,
];

export const signingFlags: readonly FlagSpec[] = [
  toggle('remove-signatures', 'leave out signatures that lie beside an image in dir:'),
  ...keyFlags,
  ...unsupportedFlags('text', ['sign-by', 'sign-by-sigstore'], noSignatures),
  ...unsupportedFlags('list', ['encryption-key', 'decryption-key', 'encrypt-layer'], noEncryption),
];

export const imageFormats = ['oci', 'v2s2', 'docker', 'v2s1'] as const;
export const compressFormats = ['gzip', 'zstd', 'none'] as const;

/** The families of manifests, for what is copied. */
export const formatFlag: FlagSpec = text('format', 'oci|v2s2', 'convert manifests (default: as they are)', {
  short: 'f',
  isCommon: true,
  choices: imageFormats,
});

const chosenFlags: readonly FlagSpec[] = [
  toggle('all', 'all images of an index', { short: 'a', isCommon: true, details: 'instead of the one for this machine' }),
  commaList('platform', 'OS/ARCH,…', 'the images for these', { isCommon: true }),
  text('multi-arch', 'system|all', 'system, or all as --all', { choices: ['system', 'all', 'index-only'] }),
  toggle('preserve-digests', 'fail where a digest would change', { isCommon: true }),
  formatFlag,
];

const changeFlags: readonly FlagSpec[] = [
  text('compress-format', 'FORM', 'gzip, zstd or none, for all layers', {
    aliases: ['dest-compress-format'],
    isCommon: true,
    choices: compressFormats,
  }),
  number('compress-level', 'N', 'gzip 0 to 9, zstd 1 to 19', { aliases: ['dest-compress-level'] }),
  toggle('dest-compress', 'as --compress-format=gzip'),
  toggle('dest-decompress', 'as --compress-format=none'),
  inert('boolean', 'dest-oci-accept-uncompressed-layers', 'plain layers stay plain unless --compress-format says otherwise'),
  inert('number', 'image-parallel-copies', 'several layers of an image go at a time as it is'),
  inert('boolean', 'dest-force-compress-format', '--compress-format is for all layers'),
  inert('boolean', 'dest-precompute-digests', 'a layer is always looked for before it is sent'),
  chunkSizeFlag,
  toggle('with-referrers', 'signatures and the like go along', { isCommon: true }),
];

export const copyGroups: readonly FlagGroup[] = [
  group('What to copy', chosenFlags),
  group('What becomes of it', [
    ...changeFlags,
    list('additional-tag', 'NAME', 'another name for the copy; may be repeated', { empty: 'no item' }),
    text('digestfile', 'FILE', "write the copy's digest here", { isCommon: true }),
    ...signingFlags,
    identityFlag,
  ]),
  group('Source', sideFlags('src-')),
  group('Destination', sideFlags('dest-')),
  group('How', programFlags),
  group('What is told', logFlags),
];

export const syncGroups: readonly FlagGroup[] = [
  group('What to copy', [
    text('src', 'docker|dir|yaml', 'what SOURCE is', { short: 's', isCommon: true, choices: ['docker', 'dir', 'yaml'] }),
    text('dest', 'docker|dir', 'what DESTINATION is', { short: 'd', isCommon: true, choices: ['docker', 'dir'] }),
    toggle('scoped', 'keep the whole name of the source', { isCommon: true, details: 'below DESTINATION, instead of its last part' }),
    text('append-suffix', 'TEXT', 'add this to every tag at the destination'),
    ...chosenFlags,
  ]),
  group('What becomes of it', [...changeFlags, ...signingFlags]),
  group('How', [
    toggle('dry-run', 'tell what would be copied, and copy nothing', { isCommon: true }),
    toggle('keep-going', 'go on with the next image where one fails', { isCommon: true }),
    ...programFlags,
  ]),
  group('Source', sideFlags('src-')),
  group('Destination', sideFlags('dest-')),
  group('What is told', logFlags),
];

export const inspectGroups: readonly FlagGroup[] = [
  group('What is printed', [
    toggle('raw', 'the manifest as it is, or the config', { isCommon: true }),
    toggle('config', "the image's config", { isCommon: true }),
    text('format', 'TEMPLATE', "a Go template, as '{{.Digest}}'", { short: 'f', isCommon: true }),
    toggle('no-tags', "don't list the tags of the repository", { short: 'n' }),
    text('platform', 'OS/ARCH', 'which image of an index'),
    text('type', 'container|image', 'what a name without a transport is', { short: 't', choices: ['container', 'image'] }),
  ]),
  group('What is in it', [
    toggle('tree', 'each layer with its largest folders and files', { isCommon: true }),
    text('depth', 'NUMBER', 'how many folders deep the tree is (default: 3)'),
    toggle('waste', 'bytes that layers above hide, what stored them, and what to do'),
    text('base-layers', 'NUMBER', "how many layers are the base image's (default: 1, as with dive)"),
    text('lowest-efficiency', '0.95', 'exit with 1 where less of what is stored is needed'),
    text('highest-wasted-bytes', '20MB', 'exit with 1 where more bytes are hidden'),
    text('highest-user-wasted-percent', '0.2', 'exit with 1 where a larger part of what is above the base is wasted'),
  ]),
  group('The store', storeFlags),
  ...oneSide(),
];

export const namesGroups: readonly FlagGroup[] = oneSide();

function oneSide(): readonly FlagGroup[] {
  return [group('Registry', sideFlags('')), group('How', programFlags), group('What is told', logFlags)];
}
