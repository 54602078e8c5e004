// docs/errors.md shows errors as they are printed: each of its examples is provoked here, in a pod, and compared.
import assert from 'node:assert/strict';
import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { BuilderRun } from '../support/builder.ts';
import { Scene, type SceneBuild } from '../support/scene.ts';

let scene: Scene;

before(async () => void (scene = await Scene.start()), { timeout: 600_000 });
after(() => scene?.stop());

type Build = Partial<SceneBuild> & Pick<SceneBuild, 'dockerfile'>;

const program = (machine: number, interpreter = ''): Buffer => {
  const bytes = Buffer.alloc(400);
  bytes.write('\x7fELF', 0, 'latin1');
  for (const [at, value] of [2, 1, 1].entries()) bytes[4 + at] = value; // 64 bits, little-endian, version 1
  for (const [at, value] of [[16, 2], [18, machine], [20, 1], [52, 64], [54, 56], [56, 1]] as const) bytes.writeUInt16LE(value, at); // prettier-ignore
  bytes.writeUInt32LE(interpreter === '' ? 0 : 3, 64); // PT_INTERP
  for (const [at, value] of [[32, 64], [72, 200], [96, interpreter.length + 1], [104, interpreter.length + 1]] as const) bytes.writeBigUInt64LE(BigInt(value), at); // prettier-ignore
  bytes.write(`${interpreter}\0`, 200, 'latin1');
  return bytes;
};

const base = 'FROM @REG@/base\n';

/** How each example comes about, by its title. */
const causes: Readonly<Record<string, Build & { readonly stopAt?: string; readonly withoutDockerHub?: true }>> = {
  'a flag is mistyped': { dockerfile: base, args: ['--destinatoin=registry.example.com/app'] },
  'a repository has capitals': { dockerfile: base, args: ['--destination=registry.example.com/App:1'] },
  'an instruction is mistyped': { dockerfile: `${base}RUNN make\n` },
  'a file is not in the context': {
    dockerfile: `${base}WORKDIR /app\nCOPY pakage.json package-lock.json ./\n`,
    files: { 'package.json': '{}', 'package-lock.json': '{}' },
  },
  '.dockerignore leaves a file out': {
    dockerfile: `${base}COPY config.json /\n`,
    files: { 'config.json': '{}', '.dockerignore': '# no data\n*.json\n' },
  },
  'an image is not there': { dockerfile: 'FROM @REG@/base:9\n' },
  'a stage is mistyped': { dockerfile: `${base.trim()} AS build\nFROM scratch\nCOPY --from=biuld /app /\n`, withoutDockerHub: true },
  'a destination is Docker Hub by accident': { dockerfile: base, args: ['--destination=app/x'], withoutDockerHub: true },
  'credentials are no JSON': { dockerfile: base, env: { DOCKER_AUTH_CONFIG: '{"auths": ' } },
  'a download is another than it should be': { dockerfile: `${base}ADD --checksum=sha256:${'0'.repeat(64)} http://@REG@/v2/ /file\n` },
  'a volume that is to be a cache is read-only': {
    dockerfile: `${base}RUN --mount=type=cache,target=/root/.cache/pip true\n`,
    volumes: ['/mnt:/root/.cache:ro'],
  },
  'a mount would cover what is not the image’s': { dockerfile: `${base}RUN --mount=type=tmpfs,target=/proc true\n` },
  'a name can not be in a layer': { dockerfile: `${base}RUN touch /.wh.x\n` },
  'the disk is full': {
    dockerfile: `${base}RUN head -c 20m /dev/urandom > /big\n`,
    extra: ['--mount=type=tmpfs,destination=/kaniko/layers,tmpfs-size=8m'],
  },
  'a folder is copied onto a file': { dockerfile: `${base}RUN echo x > /f\nCOPY d /f\n`, files: { 'd/x': 'x' } },
  'a command fails': { dockerfile: `${base}WORKDIR /app\nUSER 1000\nRUN make && \\\n    make install || exit 2\n` },
  'a command is killed for want of memory': { dockerfile: `${base}RUN head -c 400m /dev/zero | tail\n`, memory: '250m' },
  'a command starts more processes than it may': {
    dockerfile: `${base}RUN for i in $(seq 60); do sleep 1 & done\n`,
    extra: ['--pids-limit=40'],
  },
  'a program needs a loader that the image has not': {
    dockerfile: `${base}COPY --chmod=755 tool /usr/bin/\nRUN tool --version\n`,
    files: { tool: program(62, '/lib64/ld-linux-x86-64.so.2') },
  },
  'a program is for another machine': { dockerfile: `${base}COPY --chmod=755 tool /\nRUN /tool\n`, files: { tool: program(183) } },
  'a script has line ends of Windows': {
    dockerfile: `${base}COPY --chmod=755 setup.sh /\nRUN /setup.sh\n`,
    files: { 'setup.sh': '#!/bin/sh\r\necho hello\r\n' },
  },
  'the pod runs as another user': { dockerfile: base, extra: ['--user=1000'] },
  'the root is read-only': { dockerfile: base, readOnly: true },
  'a command wants privileges': { dockerfile: `${base}RUN --security=insecure true\n` },
  'a command is for another architecture': {
    dockerfile: 'FROM scratch\nCOPY --from=@REG@/base / /\nRUN make\n',
    args: ['--custom-platform=linux/riscv64'],
  },
  'a command writes into the builder': { dockerfile: `${base}RUN echo x >> /kaniko/app/main.js\n` },
  'it changes files of another stage that are nowhere else': {
    dockerfile: `${base.trim()} AS a\nRUN mkdir /app && echo a > /app/f\n${base.trim()} AS b\nRUN for f in /kaniko/stages/*/app/f; do echo b > $f; done\nFROM scratch\nCOPY --from=a /app /app\nCOPY --from=b /etc /etc\n`,
  },
  'the build is stopped': { dockerfile: `${base}RUN echo started; sleep 60\n`, stopAt: 'started' },
};

const page = readFileSync(join(import.meta.dirname, '../../docs/errors.md'), 'utf8');
const shown = page.split(/^## /m).flatMap((section) =>
  Array.from(section.matchAll(/^Where (.*):\n\n```\n([^]*?)\n```$/gm), ([, when = '', printed = '']) => ({
    code: section.slice(0, section.indexOf('\n')),
    when,
    printed: printed.split('\n'),
  })),
);

test('every example has a cause here, and every cause an example', () => {
  assert.deepEqual(shown.map(({ when }) => when).toSorted(), Object.keys(causes).toSorted());
});

for (const { code, when, printed } of shown) {
  test(`${code}, ${when}: what is printed is what docs/errors.md shows`, async (context) => {
    const cause = causes[when];
    assert.ok(cause !== undefined);
    const { stopAt, withoutDockerHub, ...build } = cause;
    if (withoutDockerHub === true && (await isReachable())) return context.skip('Docker Hub is in reach');
    const output = await outputOf({ pod: 'kubernetes', ...build }, stopAt);
    const lines = output
      .replaceAll(scene.registry.host, 'registry.example.com')
      .replace(/after \d+ bytes/, 'after 8300000 bytes')
      .split('\n');
    const [from, to] = [lines.findIndex((line) => line.startsWith('error: ')), lines.findIndex((line) => line.startsWith('  code: '))];
    const carets = (line: string): string => line.replace(/\^{5,}/, '^^^^^'); // as long as the registry's port
    assert.deepEqual(lines.slice(from, to).map(carets), printed.map(carets), output);
    assert.equal(lines[to], `  code: ${code} (docs/errors.md)`);
  });
}

async function outputOf(build: Build & Pick<BuilderRun, 'pod'>, stopAt: string | undefined): Promise<string> {
  if (stopAt === undefined) return (await scene.build(build)).output;
  let text = '';
  const seen = Promise.withResolvers<void>();
  const onOutput = (chunk: string): void => {
    text += chunk;
    if (text.includes(`| ${stopAt}`)) seen.resolve();
  };
  const running = await scene.start(build, { onOutput });
  await Promise.race([seen.promise, running.ended]);
  await running.kill('SIGTERM');
  return (await running.ended).output;
}

async function isReachable(): Promise<boolean> {
  return await lookup('registry-1.docker.io').then(
    () => true,
    () => false,
  );
}
