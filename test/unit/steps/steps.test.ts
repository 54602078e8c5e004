// Build configs as steps: what each field says, and what is refused by its line.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BuilderError } from '../../../src/errors.ts';
import { readAcrTask } from '../../../src/steps/acr-task.ts';
import { readCloudBuild } from '../../../src/steps/cloud-build.ts';
import { parseScript } from '../../../src/steps/shell-script.ts';
import type { StepsFile } from '../../../src/steps/step.ts';
import { readPlacedYaml } from '../../../src/yaml.ts';

const fail = (why: string): BuilderError => new BuilderError('ERR_USAGE', why);

interface Given {
  readonly given?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
}

function cloudBuild(text: string, { given = {}, env = { PROJECT_ID: 'p' } }: Given = {}): StepsFile {
  const options = { path: 'cloudbuild.yaml', substitutions: new Map(Object.entries(given)), env, buildId: 'b-1' };
  return readCloudBuild(readPlacedYaml(text, fail), options);
}

function acrTask(text: string, { given = {}, env = {} }: Given = {}): StepsFile {
  const secrets = new Map([['token', 's3cret']]);
  const around = { path: 'acr-task.yaml', fail, env, runId: 'r1', now: new Date(0), secrets };
  return readAcrTask(text, { ...around, values: new Map(Object.entries(given)), registry: 'team.azurecr.io' });
}

/** Each action in a line: our words, or an image, a colon and its words. */
const linesOf = ({ steps }: StepsFile): readonly string[] =>
  steps.flatMap(({ actions }) =>
    actions.map((action) =>
      action.kind === 'command'
        ? `${action.argv.join(' ')}${action.mayFail ? ' ?' : ''}`
        : `${action.image}: ${[...(action.entrypoint ?? ['-']), ...action.args].join(' ')}`,
    ),
  );

const docker = (args: string): string => `steps: [{ name: gcr.io/cloud-builders/docker, args: [${args}] }]`;

const cloudRows: readonly (readonly [text: string, lines: readonly string[]])[] = [
  [docker('build, -t, gcr.io/$PROJECT_ID/app:$BUILD_ID, .'), ['build -t gcr.io/p/app:b-1 .']],
  [docker('buildx, build, --load, --network, cloudbuild, --push, -t, r.example/a, .'), ['build --network default --push -t r.example/a .']],
  [
    docker('build, --cache-from, "r.example:5000/a:latest", --cache-from=r.example/b@sha256:0, .'),
    ['build --cache-from r.example:5000/a --cache-from=r.example/b .'],
  ],
  [docker('push, user/app'), ['push user/app docker://docker.io/user/app:latest']],
  [docker('buildx, create, --use'), []],
  [docker('tag, "r.example/a:1", "r.example/a:2"'), ['tag r.example/a:1 r.example/a:2']],
  ['steps: [{ name: "docker:27", entrypoint: sh, args: [-c, "docker pull $$X || true"], env: [X=r.example/x] }]', ['pull r.example/x ?']],
  [
    'steps: [{ name: gcr.io/kaniko-project/executor:v1.23.2, args: [--destination=r.example/a, --cache] }]',
    ['--destination=r.example/a --cache --context=/workspace'],
  ],
  ['steps: [{ name: gcr.io/kaniko-project/warmer, args: [--image=debian] }]', ['warmer --image=debian']],
  ['steps: [{ name: golang, entrypoint: go, args: [test, ./...] }]', ['golang: go test ./...']],
  ['steps: [{ name: node, args: ["${_A:-x}", "$$_A", "${PROJECT_ID^^}", $(date)] }]', ['node: - x $_A P $(date)']],
  [
    'steps: [{ name: node, args: ["${_B:0:3}", "${_B: -2}", "${_B##*/}", "$_C"] }]\nsubstitutions: { _B: ab/cdef, _C: "<$_B>" }',
    ['node: - ab/ ef cdef <ab/cdef>'],
  ],
  ['steps: [{ name: node, args: [$_X] }]\noptions: { substitution_option: ALLOW_LOOSE }', ['node: - ']],
  ['steps: [{ name: node }]\nimages: [gcr.io/$PROJECT_ID/a]', ['node: -', 'push gcr.io/p/a']],
];
for (const [text, lines] of cloudRows)
  test(`Cloud Build: ${text.replaceAll('\n', ' ')} is ${lines.join(', ') || 'nothing to do'}`, () => {
    assert.deepEqual(linesOf(cloudBuild(text)), lines);
  });

test('Cloud Build: a step has its folder, variables, secrets, volumes, codes, time, and those it waits for', () => {
  const text = `steps:
  - { name: a, id: one }
  - &two { name: a, id: two, waitFor: ['-'] }
  - <<: *two
    id: three
    waitFor: [one]
    dir: /workspace/sub
    env: [A=$_A, B=2]
    secretEnv: [TOKEN]
    volumes: [{ name: v, path: /v }]
    allowExitCodes: [1, 2]
    timeout: 1.5s
  - { name: a, automapSubstitutions: true, allowFailure: true }
options: { env: [A=0, C=3], machineType: N1 }
substitutions: { _A: '1' }
availableSecrets:
  secretManager: [{ versionName: projects/p/secrets/t/versions/1, env: TOKEN }]
timeout: 60s
`;
  const file = cloudBuild(text, { env: { TOKEN: 't0ken' } });
  const [, two, three, last] = file.steps;
  assert.deepEqual([two?.after, three?.after, last?.after], [[], ['one'], ['one', 'two', 'three']]);
  const { folder, env, volumes, tolerates, timeoutMs } = three ?? {};
  assert.deepEqual(
    [folder, [...(env ?? [])], [...(volumes ?? [])], tolerates, timeoutMs],
    [
      'sub',
      [
        ['A', '1'],
        ['C', '3'],
        ['B', '2'],
        ['TOKEN', 't0ken'],
      ],
      [
        ['/builder/home', 'home'],
        ['/v', 'volume-v'],
      ],
      [1, 2],
      1500,
    ],
  );
  assert.deepEqual([last?.tolerates, last?.env.get('_A'), last?.env.get('BUILD_ID')], ['all', '1', 'b-1']);
  assert.deepEqual([file.timeoutMs, file.secrets, [...file.inert.keys()]], [60_000, ['t0ken'], ['options.machineType']]);
});

const cloudMistakes: readonly (readonly [text: string, message: RegExp])[] = [
  ['steps:\n  - name: a\n    argz: [x]', /:3: steps\[0\]\.argz is no field/],
  ['steps: &a\n  - name: a\n    args: *a', /line 2: values in values are more than 100 deep/],
  ['steps:\n  - args: [x]', /:2: steps\[0\]\.name is missing/],
  ['steps:\n  - name: a\n    args: [$_TAG]', /:3: the substitution _TAG has no value/],
  ['steps:\n  - name: a\n    args: [$HOME]', /:3: there is no substitution HOME/],
  ['steps:\n  - name: a\n    waitFor: [b]\n  - { name: a, id: b }', /:3: steps\[0\]\.waitFor names b, which no step before it/],
  ['steps:\n  - { name: a, id: x }\n  - { name: a, id: x }', /:3: two steps have the id x/],
  ['steps:\n  - name: a\n    script: x\n    args: [y]', /:3: steps\[0\]\.script can not be combined/],
  ['steps:\n  - name: a\n    dir: ../x', /:3: steps\[0\]\.dir is \.\.\/x, which is outside/],
  ['steps:\n  - name: a\n    timeout: 10m', /:3: steps\[0\]\.timeout is "10m"/],
  ['steps:\n  - name: a\n    secretEnv: [T]', /:3: steps\[0\]\.secretEnv names T, which availableSecrets does not/],
  ['steps: [{ name: a }]\nartifacts:\n  objects: { location: gs://b }', /:3: artifacts\.objects can't be honoured/],
  ['steps: []', /:1: it has no steps/],
  ['steps: [{ name: a }]\nsubstitutions: { _A: $_B, _B: $_A }\nimages: [$_A]', /:3: substitutions contain each other/],
  [docker('run, x'), /:1: steps\[0\]\.args can't be done: docker run/],
  ['steps:\n  - name: docker\n    entrypoint: bash\n    args: [-c, "docker build . | tee log"]', /:4: .*"\|" in the script/],
  ['steps:\n  - name: docker\n    script: npm test', /:3: steps\[0\]\.script can't be done: npm in a script of the docker image/],
];
for (const [text, message] of cloudMistakes)
  test(`Cloud Build: ${text.replaceAll('\n', ' ')} is refused by ${message.source}`, () => {
    assert.throws(() => cloudBuild(text), { code: 'ERR_USAGE', message });
  });

test('Cloud Build: a substitution of the command line that the file has no use for is a mistake', () => {
  assert.throws(() => cloudBuild('steps: [{ name: a }]', { given: { _X: '1' } }), { message: /no use for the substitution _X/ });
  assert.deepEqual(linesOf(cloudBuild('steps: [{ name: a, args: [$SHORT_SHA] }]', { given: { COMMIT_SHA: '0123456789' } })), [
    'a: - 0123456',
  ]);
});

const acrRows: readonly (readonly [steps: string, lines: readonly string[]])[] = [
  ['build: -t {{.Run.Registry}}/app:{{.Run.ID}} --build-arg "A=x y" .', ['build -t team.azurecr.io/app:r1 --build-arg A=x y .']],
  ["build: -t $Registry/$app:1 '$$1'", ['build -t team.azurecr.io/web:1 $1']],
  ['push: [$Registry/app, app:1]', ['push team.azurecr.io/app', 'push app:1 docker://team.azurecr.io/app:1']],
  ["cmd: $Registry/app sh -c 'a; b'", ['team.azurecr.io/app: - sh -c a; b']],
  ['cmd: docker tag a b', ['tag a b']],
  ['cmd: acr purge {{.Values.days}} {{.Secrets.token}}', ['mcr.microsoft.com/acr/acr-cli:0.19: - purge 3 s3cret']],
  ['{ cmd: debian x, entryPoint: /bin/run -a }', ['debian: /bin/run -a x']],
];
for (const [step, lines] of acrRows)
  test(`ACR: ${step} is ${lines.join(', ')}`, () => {
    const text = `version: v1.1.0\nalias:\n  values:\n    app: web\nsteps:\n  - ${step}\n`;
    assert.deepEqual(linesOf(acrTask(text, { given: { days: '3' } })), lines);
  });

test('ACR: steps come in the order of when, and have times, tries and folders', () => {
  const file = acrTask(`stepTimeout: 30
workingDirectory: web
env: [A=1]
steps:
  - { id: b, cmd: x, when: [a], retries: 2, retryDelay: 1, env: [A=2], ignoreErrors: true }
  - { id: a, cmd: x, when: ['-'], timeout: 5, startDelay: 1, repeat: 3, disableWorkingDirectoryOverride: true, keep: true }
`);
  const [a, b] = file.steps;
  assert.deepEqual([a?.name, a?.timeoutMs, a?.startDelayMs, a?.repeats, a?.folder, a?.env.get('A')], ['a', 5000, 1000, 3, undefined, '1']);
  assert.deepEqual([b?.name, b?.timeoutMs, b?.retries, b?.retryDelayMs, b?.folder, b?.env.get('A')], ['b', 30_000, 2, 1000, 'web', '2']);
  assert.deepEqual([b?.tolerates, [...file.inert.keys()]], ['all', ['keep']]);
});

const acrMistakes: readonly (readonly [text: string, message: RegExp])[] = [
  ['steps:\n  - cmd: x\n    detach: true', /:3: steps\[0\]\.detach can't be honoured/],
  ['steps:\n  - cmd: x\n    build: .', /:3: steps\[0\]\.build : a step has one of build, push and cmd, and this one 2/],
  ['steps:\n  - cmd: x\n    whenn: [a]', /:3: steps\[0\]\.whenn is no field/],
  ['steps:\n  - { id: a, cmd: x, when: [b] }\n  - { id: b, cmd: x, when: [a] }', /:2: steps wait for each other: a, b/],
  ['steps:\n  - { id: a, cmd: x, when: [c] }', /:2: step a waits for c, which no step is called/],
  ['version: v2\nsteps: [{ cmd: x }]', /:1: version is v2/],
  ['steps:\n  - cmd: x {{.Values.none}}', /:2: \{\{\.Values\.none\}\} has no value/],
  ['steps:\n  - cmd: x {{.Secrets.none}}', /:2: \{\{\.Secrets\.none\}\} has no value/],
  ['steps:\n  - cmd: curl x | sh', /:2: steps\[0\]\.cmd can't be done: \| has no meaning there/],
  ['steps:\n  - cmd: --rm x', /:2: steps\[0\]\.cmd can't be done: --rm is a flag of docker run/],
];
for (const [text, message] of acrMistakes)
  test(`ACR: ${text.replaceAll('\n', ' ')} is refused by ${message.source}`, () => {
    assert.throws(() => acrTask(text), { code: 'ERR_USAGE', message });
  });

test('a script of simple commands keeps quotes, joins lines, sets variables, and knows what may fail', () => {
  const script = `#!/bin/bash
set -ex  # stop where one fails
TAG=1.2; export NAME='r.example/a b'
docker build -t "$NAME:$TAG" \\
  --label 'a=$x; && |' . && docker push x#1 || exit 0
`;
  const refuse = (why: string): never => {
    throw new Error(why);
  };
  assert.deepEqual(parseScript(script, new Map(), refuse), [
    { words: ['docker', 'build', '-t', 'r.example/a b:1.2', '--label', 'a=$x; && |', '.'], mayFail: false },
    { words: ['docker', 'push', 'x#1'], mayFail: true },
  ]);
  for (const bad of ['a | b', 'a > b', 'a "$(b)"', '(a)', 'a || b', 'a $NONE', 'a `b`'])
    assert.throws(() => parseScript(bad, new Map(), refuse), bad);
});
