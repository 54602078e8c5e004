// Flags that say what is built: Dockerfile, context, arguments and secrets.
import type { FlagSpec } from '../flags.ts';

export const sourceFlags: readonly FlagSpec[] = [
  {
    name: 'context',
    short: 'c',
    kind: 'text',
    isCommon: true,
    value: 'PLACE',
    about: 'folder, tar://, git://, https://, s3://, gs://',
    details:
      'a folder, dir://, tar://FILE, tar://stdin, git://, https://, s3://BUCKET/KEY, gs://BUCKET/KEY; default /workspace/ in the image, else the working directory',
    kaniko: 'same',
  },
  {
    name: 'dockerfile',
    short: 'f',
    kind: 'text',
    isCommon: true,
    value: 'FILE',
    about: 'a path, a URL, or - for standard input',
    details:
      'a path, looked for in the working directory, then in the context, an https:// URL, or - for standard input; default Dockerfile',
    kaniko: 'no standard input',
  },
  {
    name: 'target',
    kind: 'comma-list',
    isCommon: true,
    value: 'STAGE',
    about: 'stage to build; of several the first is pushed',
    kaniko: 'same',
  },
  {
    name: 'targets-file',
    kind: 'text',
    value: 'FILE',
    about: 'docker-bake.json with what to build',
    details:
      'docker-bake.json: its targets are built one after the other, or the one that JOB_COMPLETION_INDEX numbers; {target} in names of files is its name',
  },
  {
    name: 'targets',
    kind: 'comma-list',
    value: 'NAME,…',
    about: 'only these targets or groups of the file (default: its group default, or all)',
  },
  {
    name: 'build-arg',
    kind: 'list',
    empty: 'no item',
    isCommon: true,
    value: 'NAME=VALUE',
    about: 'value of an ARG',
    details: 'value of an ARG; a bare NAME takes it from the environment; one that is not set there leaves the default',
    kaniko: 'a bare NAME that is not set is empty',
  },
  {
    name: 'secret',
    kind: 'list',
    empty: 'refused',
    isCommon: true,
    value: 'id=ID,src=FILE',
    about: 'secret for RUN; or id=ID,env=NAME',
    details:
      'secret for RUN --mount=type=secret, from a file or as id=ID,env=NAME; GIT_AUTH_TOKEN, HTTP_AUTH_TOKEN_host and others are for fetching',
    kaniko: 'for RUN only',
  },
  {
    name: 'context-sub-path',
    kind: 'text',
    value: 'PATH',
    about: 'folder inside the context to build from',
    kaniko: 'ignored where the context is a plain folder',
  },
  {
    name: 'build-context',
    kind: 'list',
    empty: 'refused',
    value: 'NAME=PLACE',
    about: 'a named context: folder, docker-image://, oci-layout://, git, https',
  },
  {
    name: 'ssh',
    kind: 'list',
    empty: 'refused',
    value: 'default[=SOCKET|KEY]',
    about: 'agent socket for RUN --mount=type=ssh and git, or a private key for git',
  },
  {
    name: 'git',
    kind: 'list',
    empty: 'refused',
    value: 'KEY=VALUE',
    about: 'branch, single-branch, depth, recurse-submodules, insecure-skip-tls of a git context',
    kaniko: 'unknown keys are dropped',
  },
  { name: 'ignorefile', kind: 'text', value: 'FILE', about: 'use this instead of .dockerignore' },
  {
    name: 'bucket',
    short: 'b',
    kind: 'text',
    value: 'NAME',
    about: 'bucket that has the context: gs://NAME',
    overruledBy: 'context',
    kaniko: 'only looked at where --context is given and empty',
  },
];
