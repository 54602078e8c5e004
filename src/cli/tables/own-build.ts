// The flags that `yadokari build` has besides kaniko's: those of docker build and buildah.
import type { FlagGroup, FlagSpec } from '../flags.ts';
import { quietFormat } from '../../report/level.ts';
import { buildGroups } from './build.ts';
import { storeFlags } from './store-root.ts';
import { group, list, text, toggle } from './flag.ts';
import { otherFlags } from './other-builders.ts';

export const pullChoices = ['always', 'missing', 'newer', 'never', 'true', 'false', 'ifmissing', 'ifnewer'] as const;

/** buildah's switches of old. */
export const oldPullFlags: readonly FlagSpec[] = [toggle('pull-always', '--pull=always'), toggle('pull-never', '--pull=never')];

export const manifestFlag = text('manifest', 'NAME', 'add the image to this index of the store', {
  details: 'add the image to this index of the store, in place of one for the same platform; an index that is not there is made',
});

export const ownFlags: readonly FlagSpec[] = [
  list('tag', 'NAME', 'name in the store of this machine; repeatable', {
    short: 't',
    empty: 'refused',
    isCommon: true,
    details:
      'name in the store of this machine: x is localhost/x:latest. Without it, and with nowhere else to go, the image has its id alone',
  }),
  manifestFlag,
  list('output', 'SPEC', 'type=local|tar|oci|docker,dest=PLACE; or FOLDER', {
    short: 'o',
    empty: 'refused',
    isCommon: true,
    details:
      'type=local (the files of the image in a folder, owned by you), type=tar (the same as an archive, with their owners), type=oci and type=docker (the image as an archive; oci with tar=false as a folder); dest=- or none is standard output. type=image,name=NAME,push=true and type=registry push the image, by the names of --tag if there are any. FOLDER alone is type=local, - is type=tar',
  }),
  toggle('push', 'push every --tag to its registry, instead of keeping it'),
  toggle('load', 'keep the image in the store, also where it is pushed', {
    details:
      "keep the image in the store of this machine, also where --push or --destination sends it elsewhere; Docker's engine gets it by yadokari push NAME docker-daemon:NAME",
  }),
  text('pull', 'always|missing|newer|never', 'ask the registry of a base always, or if it is not in the store (default), or never', {
    bare: 'always',
    choices: pullChoices,
    details:
      'ask the registry of a base always, or if it is not in the store (default), or never; newer takes what is there where the registry gives none',
  }),
  ...oldPullFlags,
  ...storeFlags,
  toggle('no-cache', 'execute each step anew, and keep the results'),
  list('build-arg-file', 'FILE', 'NAME=VALUE a line, as --build-arg, which wins', {
    empty: 'no item',
    details: 'NAME=VALUE or NAME a line, as --build-arg, which wins; empty lines and those that begin with # mean nothing',
  }),
  toggle('layers', 'a layer for each step (default true); false: one for all that the last stage adds'),
  toggle('squash', "one layer for the whole image, the base's among it", { aliases: ['squash-all'] }),
  toggle('omit-history', 'leave the history out of the image'),
  list('env', 'NAME[=VALUE]', 'a variable of the image, which no RUN sees', { empty: 'refused' }),
  list('unsetenv', 'NAME', 'leave this variable out of the image', { empty: 'no item' }),
  text('os', 'OS', 'as --platform OS/ARCH/VARIANT'),
  text('arch', 'ARCH', 'as --platform OS/ARCH/VARIANT'),
  text('variant', 'VARIANT', 'as --platform OS/ARCH/VARIANT'),
  toggle('tls-verify', 'false: HTTP, or any certificate, for pulling and pushing'),
  text('authfile', 'FILE', 'read credentials from this file alone'),
  text('timestamp', 'SECONDS', 'time of the image, its history, and every file in new layers, since 1970'),
  ...otherFlags,
];

/** Other names that flags of kaniko's have there. */
const otherNames: Readonly<Record<string, readonly string[]>> = { dockerfile: ['file'], 'image-format': ['format'] };

/** What --output and --tag say shorter, and what is done anyway. */
const lessCommon: readonly string[] = ['oci-layout-path', 'tar-path', 'digest-file', 'no-push', 'insecure', 'cache', 'cache-repo'];

/** docker build's words for it, which are a flag of their own there. */
const progressWords: Readonly<Record<string, string>> = { plain: 'text', tty: 'color', rawjson: 'json', auto: '', none: quietFormat };

const named = (spec: FlagSpec): FlagSpec => {
  if (spec.name === 'log-format') return progressFlag(spec);
  const more = otherNames[spec.name];
  const { isCommon: _, ...others } = spec;
  if (lessCommon.includes(spec.name)) return others;
  return more === undefined ? spec : { ...spec, aliases: [...(spec.aliases ?? []), ...more] };
};

function progressFlag(spec: FlagSpec): FlagSpec {
  const details = "as text, color or json, or quiet, which is --quiet; docker build's auto, plain, tty, rawjson and none are read, too";
  const choices = [...(spec.choices ?? []), quietFormat];
  return { ...spec, aliases: ['progress'], choices, reads: (word) => progressWords[word] ?? word, value: choices.join('|'), details };
}

export const ownBuildGroups: readonly FlagGroup[] = [
  ...buildGroups.map(({ title, flags }) => group(title, flags.map(named))),
  group('As docker build and buildah have them', ownFlags),
];

/** All of them. */
export const ownBuildFlags: readonly FlagSpec[] = ownBuildGroups.flatMap(({ flags }) => flags);
