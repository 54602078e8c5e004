// How errors look: test/e2e/errors.test.ts provokes each of these in the image and compares it with what is printed.
import type { ErrorCode } from '../../errors.ts';

export interface ErrorExample {
  readonly when: string;
  /** All but the line with the code. */
  readonly printed: readonly string[];
}

export const errorExamples: Readonly<Record<ErrorCode, readonly ErrorExample[]>> = {
  ERR_USAGE: [
    {
      when: 'a flag is mistyped',
      printed: ['error: Cannot use --destinatoin: there is no such flag', '  try: did you mean --destination?'],
    },
  ],
  ERR_REFERENCE: [
    {
      when: 'a repository has capitals',
      printed: ['error: Cannot use image name "registry.example.com/App:1": a repository name must be lower case', '  try: write app'],
    },
  ],
  ERR_DOCKERFILE: [
    {
      when: 'an instruction is mistyped',
      printed: [
        'error: Cannot parse RUNN: unknown instruction',
        '  ┌─ Dockerfile:2:1',
        '1 │ FROM registry.example.com/base',
        '2 │ RUNN make',
        '  │ ^^^^',
        '  = help: did you mean RUN?',
      ],
    },
  ],
  ERR_CONTEXT: [
    {
      when: 'a file is not in the context',
      printed: [
        "error: Cannot copy 'pakage.json': not found in the build context",
        '  ┌─ Dockerfile:3:6 (step 2/2)',
        '2 │ WORKDIR /app',
        '3 │ COPY pakage.json package-lock.json ./',
        '  │      ^^^^^^^^^^^',
        "  try: did you mean 'package.json'?",
      ],
    },
    {
      when: '.dockerignore leaves a file out',
      printed: [
        "error: Cannot copy 'config.json': excluded from the build context by .dockerignore:2 '*.json'",
        '  ┌─ Dockerfile:2:6 (step 1/1)',
        '1 │ FROM registry.example.com/base',
        '2 │ COPY config.json /',
        '  │      ^^^^^^^^^^^',
        "  try: remove that line, or add '!config.json' below it",
      ],
    },
  ],
  ERR_REGISTRY: [
    {
      when: 'an image is not there',
      printed: [
        'error: Cannot pull registry.example.com/base:9: there is no such image',
        '  ┌─ Dockerfile:1:6',
        '1 │ FROM registry.example.com/base:9',
        '  │      ^^^^^^^^^^^^^^^^^^^^^^',
        '  try: check the name and the tag',
      ],
    },
    {
      when: 'a stage is mistyped',
      printed: [
        'error: Cannot pull biuld: Cannot reach registry-1.docker.io: no such host',
        '  ┌─ Dockerfile:3:6 (step 1/1)',
        '2 │ FROM scratch',
        '3 │ COPY --from=biuld /app /',
        '  │      ^^^^^^^^^^^^',
        '  because: Cannot resolve registry-1.docker.io: no such host',
        "  try: did you mean the stage build? a name without a registry's host, such as biuld, is Docker Hub's; --registry-mirror or HOST/biuld takes it from elsewhere",
      ],
    },
    {
      when: 'a destination is Docker Hub by accident',
      printed: [
        'error: Cannot push to index.docker.io/app/x:latest: cannot reach registry-1.docker.io: no such host',
        '  because: Cannot resolve registry-1.docker.io: no such host',
        "  try: a destination without a registry's host is Docker Hub's: --destination=HOST/app/x pushes elsewhere",
      ],
    },
  ],
  ERR_AUTH: [{ when: 'credentials are no JSON', printed: ['error: Cannot read credentials in DOCKER_AUTH_CONFIG: it is not JSON'] }],
  ERR_DIGEST_MISMATCH: [
    {
      when: 'a download is another than it should be',
      printed: [
        'error: Cannot use http://registry.example.com/v2/ with --checksum: its digest is sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a, not sha256:0000000000000000000000000000000000000000000000000000000000000000',
        '  ┌─ Dockerfile:2:1 (step 1/1)',
        '1 │ FROM registry.example.com/base',
        '2 │ ADD --checksum=sha256:0000000000000000000000000000000000000000000000000000000000000000 http://registry.example.com/v2/ /file',
        '  │ ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^',
      ],
    },
  ],
  ERR_UNSAFE_PATH: [
    {
      when: 'a mount would cover what is not the image’s',
      printed: [
        'error: Cannot mount at /proc: it is, or holds, a mount of this container or a folder of the builder',
        '  ┌─ Dockerfile:2:1 (step 1/1)',
        '1 │ FROM registry.example.com/base',
        '2 │ RUN --mount=type=tmpfs,target=/proc true',
        '  │ ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^',
      ],
    },
  ],
  ERR_LAYER: [
    {
      when: 'a name can not be in a layer',
      printed: [
        'error: Cannot store "/.wh.x" in a layer: names that begin with .wh. mark deletions',
        '  ┌─ Dockerfile:2:1 (step 1/1)',
        '1 │ FROM registry.example.com/base',
        '2 │ RUN touch /.wh.x',
        '  │ ^^^^^^^^^^^^^^^^',
        '  try: remove the file in the same RUN',
      ],
    },
  ],
  ERR_ROOTFS: [
    {
      when: 'the disk is full',
      printed: [
        'error: Cannot store a blob in /kaniko/layers: writing failed after 8300000 bytes',
        '  ┌─ Dockerfile:2:1 (step 1/1)',
        '1 │ FROM registry.example.com/base',
        '2 │ RUN head -c 20m /dev/urandom > /big',
        '  │ ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^',
        '  because: ENOSPC: no space left on device, write',
        '  try: no space is left: a larger disk, resources.limits.ephemeral-storage of the pod, or --kaniko-dir on a volume with more',
      ],
    },
    {
      when: 'a folder is copied onto a file',
      printed: [
        "error: Cannot make directory '/f': '/f' is not a directory (COPY d /f)",
        '  ┌─ Dockerfile:3:1 (step 2/2)',
        '2 │ RUN echo x > /f',
        '3 │ COPY d /f',
        '  │ ^^^^^^^^^',
      ],
    },
  ],
  ERR_COMMAND: [
    {
      when: 'a command fails',
      printed: [
        'error: RUN make &&     make install || exit 2 failed with exit code 2',
        '  ┌─ Dockerfile:4:1 (step 3/3)',
        '3 │ USER 1000',
        '4 │ RUN make && \\',
        '  │ ^^^^^^^^^^^^^',
        '5 │     make install || exit 2',
        '  │     ^^^^^^^^^^^^^^^^^^^^^^',
        '  ran with: USER 1000, WORKDIR /app',
      ],
    },
    {
      when: 'a command is killed for want of memory',
      printed: [
        'error: RUN head -c 400m /dev/zero | tail failed with exit code 137: a process was killed for want of memory: the limit of this container is 250 MiB',
        '  ┌─ Dockerfile:2:1 (step 1/1)',
        '1 │ FROM registry.example.com/base',
        '2 │ RUN head -c 400m /dev/zero | tail',
        '  │ ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^',
        '  try: raise resources.limits.memory of the pod, or have the command do less at a time (make -j1)',
      ],
    },
    {
      when: 'a command starts more processes than it may',
      printed: [
        'error: RUN for i in $(seq 60); do sleep 1 & done failed with exit code 2: no further process could be started: the limit of this container is 40',
        '  ┌─ Dockerfile:2:1 (step 1/1)',
        '1 │ FROM registry.example.com/base',
        '2 │ RUN for i in $(seq 60); do sleep 1 & done',
        '  │ ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^',
        '  try: raise the limit of processes (podPidsLimit of the kubelet), or have the command do less at a time (make -j1)',
      ],
    },
    {
      when: 'a program needs a loader that the image has not',
      printed: [
        'error: RUN tool --version failed with exit code 127: /usr/bin/tool needs the loader /lib64/ld-linux-x86-64.so.2, which is not in this image',
        '  ┌─ Dockerfile:3:1 (step 2/2)',
        '2 │ COPY --chmod=755 tool /usr/bin/',
        '3 │ RUN tool --version',
        '  │ ^^^^^^^^^^^^^^^^^^',
      ],
    },
    {
      when: 'a program is for another machine',
      printed: [
        "error: RUN /tool failed with exit code 127: /tool can't be executed: it is for arm64, and this machine is amd64",
        '  ┌─ Dockerfile:3:1 (step 2/2)',
        '2 │ COPY --chmod=755 tool /',
        '3 │ RUN /tool',
        '  │ ^^^^^^^^^',
      ],
    },
    {
      when: 'a script has line ends of Windows',
      printed: [
        'error: RUN /setup.sh failed with exit code 127: /setup.sh needs "/bin/sh\\r" (its lines end in CR LF), which is not in this image',
        '  ┌─ Dockerfile:3:1 (step 2/2)',
        '2 │ COPY --chmod=755 setup.sh /',
        '3 │ RUN /setup.sh',
        '  │ ^^^^^^^^^^^^^',
      ],
    },
  ],
  ERR_UNSUPPORTED: [
    {
      when: 'the pod runs as another user',
      printed: [
        'error: Cannot build as user 1000: the files of an image belong to root and to many others',
        "  try: securityContext.runAsUser: 0 (without runAsNonRoot) in the pod's manifest; hostUsers: false makes that root nobody on the node",
      ],
    },
    {
      when: 'the root is read-only',
      printed: [
        'error: Cannot build: the root file system is read-only, and images are unpacked onto it',
        "  try: securityContext.readOnlyRootFilesystem: false in the pod's manifest",
      ],
    },
    {
      when: 'a command is for another architecture',
      printed: [
        'error: Cannot run commands for linux/riscv64: this machine starts no such programs',
        '  ┌─ Dockerfile:3:1',
        '2 │ COPY --from=registry.example.com/base / /',
        '3 │ RUN make',
        '  │ ^^^^^^^^',
        '  try: build on a node with that architecture (nodeSelector: kubernetes.io/arch), or register qemu on this one (binfmt_misc); COPY and settings need neither',
      ],
    },
    {
      when: 'a command wants privileges',
      printed: [
        'error: Cannot run with --security=insecure: commands never get more privileges than the builder',
        '  ┌─ Dockerfile:2:1',
        '1 │ FROM registry.example.com/base',
        '2 │ RUN --security=insecure true',
        '  │ ^^^^^^^^^^^^^^^^^^^^^^^^^^^^',
        '  try: remove it',
      ],
    },
  ],
  ERR_TAMPERED: [
    {
      when: 'a command writes into the builder',
      printed: [
        'error: Cannot go on: a RUN changed /kaniko/app of the builder',
        '  ┌─ Dockerfile:2:1 (step 1/1)',
        '1 │ FROM registry.example.com/base',
        '2 │ RUN echo x >> /kaniko/app/main.js',
        '  │ ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^',
      ],
    },
  ],
  ERR_ABORTED: [
    {
      when: 'the build is stopped',
      printed: ['error: received SIGTERM while running step 1/1 (RUN echo started; sleep 60, Dockerfile:2): stopped, nothing was tagged'],
    },
  ],
  ERR_INTERNAL: [],
};
