// The flags that `yadokari build` has besides kaniko's: those of docker build and buildah.
import type { FlagGroup, FlagSpec } from '../flags.ts';
import { buildGroups } from './build.ts';
import { storeFlags } from './store-root.ts';

export const pullChoices = ['always', 'missing', 'never', 'true', 'false'] as const;

/** buildah's switches of old. */
export const oldPullFlags: readonly FlagSpec[] = [
  { name: 'pull-always', kind: 'boolean', about: '--pull=always' },
  { name: 'pull-never', kind: 'boolean', about: '--pull=never' },
];

export const ownFlags: readonly FlagSpec[] = [
  {
    name: 'tag',
    short: 't',
    kind: 'list',
    empty: 'refused',
    isCommon: true,
    value: 'NAME',
    about: 'name in the store of this machine; repeatable',
    details:
      'name in the store of this machine: x is localhost/x:latest. Without it, and with nowhere else to go, the image has its id alone',
  },
  {
    name: 'output',
    short: 'o',
    kind: 'list',
    empty: 'refused',
    isCommon: true,
    value: 'SPEC',
    about: 'type=local|tar|oci|docker,dest=PLACE; or FOLDER',
    details:
      'type=local (the files of the image in a folder, owned by you), type=tar (the same as an archive, with their owners), type=oci and type=docker (the image as an archive; oci with tar=false as a folder); dest=- or none is standard output. FOLDER alone is type=local, - is type=tar',
  },
  {
    name: 'pull',
    kind: 'text',
    bare: 'always',
    value: 'always|missing|never',
    choices: pullChoices,
    about: 'ask the registry of a base always, or if it is not in the store (default), or never',
  },
  ...oldPullFlags,
  { name: 'isolation', kind: 'text', about: '', inert: 'a RUN is executed in the one way that works here' },
  { name: 'jobs', kind: 'count', about: '', inert: 'stages are built one after the other' },
  { name: 'no-cache', kind: 'boolean', about: 'execute each step anew, and keep the results' },
  ...storeFlags,
  {
    name: 'build-arg-file',
    kind: 'list',
    empty: 'no item',
    value: 'FILE',
    about: 'NAME=VALUE a line, as --build-arg, which wins',
    details: 'NAME=VALUE or NAME a line, as --build-arg, which wins; empty lines and those that begin with # mean nothing',
  },
  {
    name: 'layers',
    kind: 'boolean',
    about: 'a layer for each step (default true); false: one for all that the last stage adds',
  },
  { name: 'squash', kind: 'boolean', about: "one layer for the whole image, the base's among it" },
  { name: 'omit-history', kind: 'boolean', about: 'leave the history out of the image' },
  {
    name: 'timestamp',
    kind: 'text',
    value: 'SECONDS',
    about: 'time of the image, its history, and every file in new layers, since 1970',
  },
];

/** Other names that flags of kaniko's have there. */
const otherNames: Readonly<Record<string, readonly string[]>> = { dockerfile: ['file'], 'image-format': ['format'] };

/** What --output and --tag say shorter, and what is done anyway. */
const lessCommon: readonly string[] = ['oci-layout-path', 'tar-path', 'digest-file', 'cache', 'cache-repo'];

const named = (spec: FlagSpec): FlagSpec => {
  const more = otherNames[spec.name];
  const { isCommon: _, ...others } = spec;
  if (lessCommon.includes(spec.name)) return others;
  return more === undefined ? spec : { ...spec, aliases: [...(spec.aliases ?? []), ...more] };
};

export const ownBuildGroups: readonly FlagGroup[] = [
  ...buildGroups.map(({ title, flags }) => ({ title, flags: flags.map(named) })),
  { title: 'As docker build and buildah have them', flags: ownFlags },
];

/** All of them. */
export const ownBuildFlags: readonly FlagSpec[] = ownBuildGroups.flatMap(({ flags }) => flags);
