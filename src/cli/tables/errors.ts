// Every code of an error: what it means, what to try. docs/errors.md and `help CODE` are made from this
// table and that of the examples.
import type { ErrorCode } from '../../errors.ts';

export interface ErrorPage {
  readonly means: string;
  readonly tries: readonly string[];
}

export const errorPages: Readonly<Record<ErrorCode, ErrorPage>> = {
  ERR_USAGE: {
    means: 'The command line, a setting or the environment can not be understood, or asks for two things that exclude each other.',
    tries: ['`yadokari help COMMAND --all`, or docs/flags.md, for all flags and what they take'],
  },
  ERR_REFERENCE: {
    means: 'The name of an image can not be one: `[registry/]repository[:tag][@digest]`, all of the repository in lower case.',
    tries: ['look for a variable that expands to nothing, or to a name with capitals, spaces or `https://`'],
  },
  ERR_DOCKERFILE: {
    means: 'The Dockerfile is wrong: something in it is no instruction, or no instruction can have it.',
    tries: ['`yadokari check` finds more of what is likely to be wrong, without a build'],
  },
  ERR_CONTEXT: {
    means: 'The build context, or something that COPY, ADD or a bind mount reads, is missing or can not be read.',
    tries: [
      'paths of COPY begin at the context, not at the Dockerfile: look at `--context` and `--context-sub-path`',
      'what an earlier stage makes needs `--from=STAGE`',
      'Dockerfile.dockerignore beside the Dockerfile counts in place of .dockerignore',
    ],
  },
  ERR_REGISTRY: {
    means: 'A registry could not be reached, or answered with an error.',
    tries: [
      'a name without a registry (`app/x`, `alpine`) is Docker Hub’s: write the host in front, or use `--registry-mirror`',
      '`--insecure-registry HOST` for plain HTTP, `--registry-certificate HOST=FILE` for an authority of your own',
      'behind a proxy, HTTPS_PROXY and NO_PROXY; `--verbosity=debug` tells each request and its answer',
    ],
  },
  ERR_AUTH: {
    means: 'Credentials are missing, refused, expired or unreadable.',
    tries: [
      '`--verbosity=debug` tells which source gave the credentials for each repository; the secret itself is never told',
      'docs/credentials.md has all sources in their order',
      'a 403 is a right that is missing: many registries want a repository to be made before the first push',
    ],
  },
  ERR_DIGEST_MISMATCH: {
    means: 'What came is not what its digest or size says. It was fetched twice, and is not used.',
    tries: [
      'for `ADD --checksum`: somebody changed the file, look at what changed before you take the new digest',
      'a proxy or a mirror that rewrites what it passes on',
    ],
  },
  ERR_UNSAFE_PATH: {
    means: 'A path would leave the image, or touch what is the container’s or the builder’s own.',
    tries: ['another target', 'where an archive or a base image is to blame, don’t trust it'],
  },
  ERR_LAYER: {
    means: 'A layer, an archive or an image layout is malformed, or can not hold what it should.',
    tries: ['make or fetch the archive again', 'where it is a base image, tell whoever made it: other engines may read it by accident'],
  },
  ERR_ROOTFS: {
    means: 'The file system refused an operation.',
    tries: [
      '`resources.limits.ephemeral-storage` of the pod, or `--kaniko-dir` on a larger volume',
      'the capabilities that k8s/ gives the pod',
    ],
  },
  ERR_COMMAND: {
    means: 'A RUN failed. The exit status is the command’s own, and 128 and the signal where it was killed.',
    tries: [
      'the lines above the error are the command’s own',
      '127 is a command that is not there, 126 one that can not be executed, 137 one that was killed, mostly for want of memory',
      'a program made for glibc finds no loader in Alpine, and one made for musl none in Debian',
    ],
  },
  ERR_UNSUPPORTED: {
    means: 'This can not be honoured here: the pod, the kernel or the machine lacks something, or no builder without privileges can do it.',
    tries: ['the manifests in k8s/ have what a builder’s pod needs, and no more'],
  },
  ERR_TAMPERED: {
    means: 'A RUN changed something of the builder’s own. Nothing is pushed after that.',
    tries: ['find out what the command does in /kaniko: nothing of the image is there'],
  },
  ERR_ABORTED: {
    means: 'The build was stopped, by a signal or a deadline; the line says what it was doing, and whether a tag had been written.',
    tries: ['`activeDeadlineSeconds` of the pod or the timeout of the CI job, where nobody stopped it by hand'],
  },
  ERR_INTERNAL: {
    means: 'A mistake of the builder’s own.',
    tries: ['build with `--verbosity=debug`, and report what it prints'],
  },
};
