// Flags that say what is built: Dockerfile, context, arguments and secrets.
import type { FlagSpec } from '../flags.ts';
import { commaList, list, text } from './flag.ts';

export const sourceFlags: readonly FlagSpec[] = [
  text('context', 'PLACE', 'folder, tar://, git://, https://, s3://, gs://', {
    short: 'c',
    isCommon: true,
    details:
      'a folder, dir://, tar://FILE, tar://stdin, git://, https://, s3://BUCKET/KEY, gs://BUCKET/KEY; default /workspace/ in the image, else the working directory',
    kaniko: 'same',
  }),
  text('dockerfile', 'FILE', 'a path, a URL, or - for standard input', {
    short: 'f',
    isCommon: true,
    details:
      'a path, looked for in the working directory, then in the context, an https:// URL, or - for standard input; default Dockerfile, with build and check that of the context',
    kaniko: 'no standard input',
  }),
  commaList('target', 'STAGE', 'stage to build; of several the first is pushed', { isCommon: true, kaniko: 'same' }),
  text('targets-file', 'FILE', 'docker-bake.json with what to build', {
    details:
      'docker-bake.json: its targets are built one after the other, or the one that JOB_COMPLETION_INDEX numbers; {target} in names of files is its name',
  }),
  commaList('targets', 'NAME,…', 'only these targets or groups of the file (default: its group default, or all)'),
  list('build-arg', 'NAME=VALUE', 'value of an ARG', {
    empty: 'no item',
    isCommon: true,
    details: 'value of an ARG; a bare NAME takes it from the environment; one that is not set there leaves the default',
    kaniko: 'a bare NAME that is not set is empty',
  }),
  list('secret', 'id=ID,src=FILE', 'secret for RUN; or id=ID,env=NAME', {
    empty: 'refused',
    isCommon: true,
    details:
      'secret for RUN --mount=type=secret, from a file or as id=ID,env=NAME; GIT_AUTH_TOKEN, HTTP_AUTH_TOKEN_host and others are for fetching',
    kaniko: 'for RUN only',
  }),
  text('context-sub-path', 'PATH', 'folder inside the context to build from', { kaniko: 'ignored where the context is a plain folder' }),
  list('build-context', 'NAME=PLACE', 'a named context: folder, docker-image://, oci-layout://, git, https', { empty: 'refused' }),
  list('ssh', 'default[=SOCKET|KEY]', 'agent socket for RUN --mount=type=ssh and git, or a private key for git', { empty: 'refused' }),
  list('git', 'KEY=VALUE', 'branch, single-branch, depth, recurse-submodules, insecure-skip-tls of a git context', {
    empty: 'refused',
    kaniko: 'unknown keys are dropped',
  }),
  text('ignorefile', 'FILE', 'use this instead of .dockerignore'),
  text('bucket', 'NAME', 'bucket that has the context: gs://NAME', {
    short: 'b',
    overruledBy: 'context',
    kaniko: 'only looked at where --context is given and empty',
  }),
];
