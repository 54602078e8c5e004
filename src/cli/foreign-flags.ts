// Flags of other builders that people type here, and what they are called.

/** By flag as it is written: what to try instead. */
export const foreignFlags: ReadonlyMap<string, string> = new Map([
  ['-t', 'an image is named by --destination IMAGE (-d)'],
  ['--tag', 'an image is named by --destination IMAGE (-d)'],
  ['--file', 'a Dockerfile is named by --dockerfile FILE (-f)'],
  ['--push', 'leave it out: an image is pushed to each --destination, unless --no-push is given'],
  ['--load', 'write an archive for `docker load` with --tar-path FILE'],
  ['-o', 'use --oci-layout-path FOLDER or --tar-path FILE'],
  ['--output', 'use --oci-layout-path FOLDER or --tar-path FILE'],
  ['--no-cache', 'leave it out: nothing is taken from a cache without --cache'],
  ['--pull', 'leave it out: what a tag of a base image stands for is always asked for anew'],
  ['--squash', 'use --single-snapshot'],
  ['--progress', 'use --log-format text, color or json'],
  ['--rm', 'leave it out: nothing of a RUN stays behind'],
  ['--build-args', 'use --build-arg NAME=VALUE, once for each'],
  ['--tls-verify', 'use --skip-tls-verify, or --skip-tls-verify-registry HOST'],
  ['--username', 'credentials come from config.json; `executor login` writes them there'],
  ['--password', 'credentials come from config.json; `executor login` writes them there'],
  ['--azure-container-registry-config', 'leave it out: the helper acr (--credential-helpers) reads AZURE_CLIENT_ID and the like'],
  ['--authfile', 'credentials come from config.json, or the file that REGISTRY_AUTH_FILE names'],
  ['--isolation', 'leave it out: a RUN is executed in the one way that works here'],
  ['--jobs', 'leave it out: stages are built one after the other'],
  ['--add-host', 'leave it out: names are those of this machine or pod (hostAliases)'],
  ['--storage-driver', 'leave it out: images are kept as an OCI layout'],
  ['--creds', 'credentials come from config.json; `yadokari login` writes them there'],
]);
