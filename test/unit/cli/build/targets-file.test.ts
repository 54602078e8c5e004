// docker-bake.json → flags: what each field says, what is inherited and chosen, and what is refused by name.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTargetsFile } from '../../../../src/cli/build/targets-file.ts';

/** `--flag=value` of each target, but for a context and a Dockerfile that nothing else says. */
function wordsOf(
  file: unknown,
  { names = [], env = {} }: { readonly names?: readonly string[]; readonly env?: Readonly<Record<string, string>> } = {},
) {
  const chosen = parseTargetsFile(JSON.stringify(file), 'docker-bake.json', env).choose(names);
  const usual = new Set(['--context=.', '--dockerfile=Dockerfile']);
  return Object.fromEntries(
    chosen.map(({ name, flags }) => [name, flags.map(([flag, value]) => `--${flag}=${value}`).filter((word) => !usual.has(word))]),
  );
}

const target = (fields: Readonly<Record<string, unknown>>): unknown => ({ target: { app: fields } });

const fields: readonly (readonly [fields: Readonly<Record<string, unknown>>, words: readonly string[]])[] = [
  [{ context: 'web', dockerfile: 'build/Dockerfile' }, ['--context=web', '--dockerfile=web/build/Dockerfile']],
  [{ context: 'https://git.example/a.git#main' }, ['--context=https://git.example/a.git#main']],
  [{ tags: ['r.example/a:1', 'r.example/a:latest'] }, ['--destination=r.example/a:1', '--destination=r.example/a:latest']],
  [{ args: { A: '1', HTTP_PROXY: null, N: 2 } }, ['--build-arg=A=1', '--build-arg=HTTP_PROXY', '--build-arg=N=2']],
  [{ labels: { a: 'b' }, annotations: ['c=d'] }, ['--label=a=b', '--annotation=c=d']],
  [{ target: 'release', network: 'host', 'no-cache': true }, ['--target=release', '--network=host', '--cache=false']],
  [{ platforms: ['linux/amd64', 'linux/arm64'] }, ['--platform=linux/amd64', '--platform=linux/arm64']],
  [{ contexts: { base: 'docker-image://alpine' } }, ['--build-context=base=docker-image://alpine']],
  [{ attest: [{ type: 'provenance', mode: 'max' }, 'type=provenance'] }, ['--attest=type=provenance,mode=max', '--attest=type=provenance']],
  [
    { secret: [{ type: 'file', id: 's', src: '/s' }, 'id=t,env=T'], ssh: ['default'] },
    ['--secret=type=file,id=s,src=/s', '--secret=id=t,env=T', '--ssh=default'],
  ],
  [
    { 'cache-from': ['type=registry,ref=r.example/c:x'], 'cache-to': ['type=local,dest=/c'] },
    ['--cache-from=r.example/c', '--cache-to=oci:/c'],
  ],
  [{ output: ['type=oci,dest=a.tar'] }, ['--no-push=true', '--output=type=oci,dest=a.tar']],
  [{ output: [{ type: 'registry' }], pull: true, description: 'x', call: 'build' }, []],
];
for (const [given, words] of fields)
  test(`${JSON.stringify(given)} is ${words.join(' ') || 'nothing to say'}`, () => {
    assert.deepEqual(wordsOf(target(given)), { app: words });
  });

test('what is inherited comes first, objects are merged, and variables are those of the environment', () => {
  const file = {
    variable: { TAG: { default: 'dev' }, REGISTRY: {} },
    target: {
      base: { args: { A: '1', B: '1' }, tags: ['none'] },
      app: { inherits: ['base'], args: { B: '2' }, tags: ['${REGISTRY}/app:${TAG}', '$${x}'] },
    },
  };
  assert.deepEqual(wordsOf(file, { names: ['app'], env: { TAG: '1.2', REGISTRY: 'r.example', OTHER: 'x' } }), {
    app: ['--build-arg=A=1', '--build-arg=B=2', '--destination=r.example/app:1.2', '--destination=${x}'],
  });
});

test('names choose targets and groups, each once; without names it is the group default, or all there are', () => {
  const all = { a: {}, b: {}, c: {} };
  const group = { default: { targets: ['b', 'pair'] }, pair: { targets: ['a', 'b'] } };
  assert.deepEqual(Object.keys(wordsOf({ target: all, group })), ['b', 'a']);
  assert.deepEqual(Object.keys(wordsOf({ target: all, group }, { names: ['c', 'pair', 'a'] })), ['c', 'a', 'b']);
  assert.deepEqual(Object.keys(wordsOf({ target: all })), ['a', 'b', 'c']);
});

const refused: readonly (readonly [file: unknown, why: RegExp])[] = [
  [target({ matrix: {} }), /Cannot build target "app" of docker-bake.json: matrix can't be honoured/],
  [target({ 'dockerfile-inline': 'FROM a' }), /dockerfile-inline can't be honoured/],
  [target({ frobnicate: 1 }), /frobnicate can't be honoured/],
  [target({ tags: 'a' }), /tags \(its value\) can't be honoured/],
  [target({ contexts: { a: 'target:b' } }), /contexts \(a=target:b\) can't be honoured/],
  [target({ 'cache-to': ['type=gha'] }), /Cannot honour the cache "type=gha"/],
  [target({ tags: ['a:${upper(X)}'] }), /target "app".tags: \$\{upper\(X\)\} is no name of a variable/],
  [target({ tags: ['a:${TAG}'] }), /no variable is called TAG/],
  [target({ inherits: ['app'] }), /it inherits itself/],
  [target({ inherits: ['none'] }), /it inherits none, which is not there/],
  [{ target: {}, services: {} }, /there is no "services" in such a file/],
  [{ target: {} }, /it has no target/],
  [{ target: { a: {} }, group: { default: { targets: ['b'] } } }, /there is no target "b"/],
  [{ target: {}, group: { default: { targets: ['default'] } } }, /the group default contains itself/],
  [[], /it is no JSON object/],
];
for (const [file, why] of refused)
  test(`${JSON.stringify(file)} is refused: ${why.source}`, () => {
    assert.throws(() => wordsOf(file), why);
  });

for (const [path, text, why] of [
  ['docker-bake.hcl', 'target "a" {}', /HCL is not read/],
  ['compose.yaml', 'services: {}', /Compose is not read/],
  ['targets', 'target "a" {}', /it is no JSON/],
] as const)
  test(`${path} is refused with what makes a file that is read`, () => {
    assert.throws(
      () => parseTargetsFile(text, path, {}),
      (error) => {
        assert.ok(error instanceof Error && 'hint' in error);
        assert.match(error.message, why);
        return assert.match(String(error.hint), /buildx bake --print/) === undefined;
      },
    );
  });
