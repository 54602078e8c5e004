import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EmptyValue, type FlagSpec, parseFlags } from '../../../src/cli/flags.ts';
import { foreignFlags } from '../../../src/cli/foreign-flags.ts';
import { buildFlags } from '../../../src/cli/tables/build.ts';
import { BuilderError } from '../../../src/errors.ts';

const rows: readonly {
  readonly name: string;
  readonly argv: readonly string[];
  readonly flag: string;
  readonly values: readonly string[] | undefined;
}[] = [
  { name: '--flag value', argv: ['--context', '/w'], flag: 'context', values: ['/w'] },
  { name: '--flag=value', argv: ['--context=/w'], flag: 'context', values: ['/w'] },
  { name: 'an empty value takes back the one before', argv: ['--context=/w', '--context='], flag: 'context', values: undefined },
  { name: '-c and an empty word', argv: ['-c', '', '--no-push'], flag: 'no-push', values: ['true'] },
  { name: '-c value', argv: ['-c', '/w'], flag: 'context', values: ['/w'] },
  { name: '-c=value', argv: ['-c=/w'], flag: 'context', values: ['/w'] },
  { name: '-cvalue', argv: ['-c/w'], flag: 'context', values: ['/w'] },
  { name: 'a bare boolean is true', argv: ['--no-push'], flag: 'no-push', values: ['true'] },
  { name: 'a boolean takes its value only with =', argv: ['--no-push=false'], flag: 'no-push', values: ['false'] },
  { name: 'a boolean accepts pflag spellings', argv: ['--cache=F'], flag: 'cache', values: ['F'] },
  { name: 'a repeated list accumulates', argv: ['-d', 'a', '--destination=b'], flag: 'destination', values: ['a', 'b'] },
  { name: 'a repeated text keeps the last', argv: ['-f', 'a', '-f', 'b'], flag: 'dockerfile', values: ['b'] },
  { name: '--build-arg does not split on commas', argv: ['--build-arg', 'A=1,2'], flag: 'build-arg', values: ['A=1,2'] },
  { name: '--target splits on commas', argv: ['--target=a,b'], flag: 'target', values: ['a', 'b'] },
  { name: 'a value may look like a flag', argv: ['--build-arg', '--x'], flag: 'build-arg', values: ['--x'] },
  { name: "levels are written as logrus' are", argv: ['-v=WARNING'], flag: 'verbosity', values: ['warn'] },
  { name: 'camel-case spellings of kaniko work', argv: ['--tarPath=x', '--customPlatform=linux/arm64'], flag: 'tar-path', values: ['x'] },
  { name: 'an empty list is a list', argv: ['--credential-helpers', ''], flag: 'credential-helpers', values: [] },
  { name: 'an empty argument that is no value is dropped', argv: ['', '--no-push', ''], flag: 'no-push', values: ['true'] },
  { name: 'after -- nothing is a flag', argv: ['--', '--no-push'], flag: 'no-push', values: undefined },
];

for (const row of rows) {
  test(`parseFlags() by pflag's rules: ${row.name}`, () => {
    assert.deepEqual(parseFlags(row.argv, buildFlags).values.get(row.flag), row.values);
  });
}

// What an empty value of each flag that takes one says, in both spellings: the next word is never taken instead.
const valued = buildFlags.filter((spec) => spec.kind !== 'boolean');
const emptyExpected: Readonly<Record<EmptyValue, readonly string[]>> = {
  none: ['target', 'targets', 'credential-helpers', 'platform'],
  clears: [],
  'no item': [
    'attest',
    'build-arg',
    'cache-from',
    'ignore-path',
    'insecure-registry',
    'skip-tls-verify-registry',
    'registry-mirror',
    'registry-map',
  ],
  refused: [
    'destination',
    'build-context',
    'secret',
    'ssh',
    'label',
    'annotation',
    'registry-certificate',
    'registry-client-cert',
    'git',
    'compression-level',
    'cache-ttl',
    'push-retry',
    'image-download-retry',
    'image-fs-extract-retry',
  ],
  'not set': valued.filter((spec) => spec.kind === 'text').map((spec) => spec.name),
};
const meaningOf = (spec: FlagSpec) =>
  Object.entries(emptyExpected).find(([, names]) => names.includes(spec.name))?.[0] ??
  assert.fail(`--${spec.name} says nothing of empty values`);
for (const spec of valued) {
  for (const name of [spec.name, ...(spec.aliases ?? [])]) {
    for (const words of [
      [`--${name}`, ''],
      [`--${name}=`],
      ...(spec.short === undefined ? [] : [[`-${spec.short}`, ''], [`-${spec.short}=`]]),
    ]) {
      test(`${words.map((word) => word || "''").join(' ')} is ${meaningOf(spec)}`, () => {
        const parse = () => parseFlags([...words, '--no-push', 'place'], buildFlags);
        if (meaningOf(spec) === 'refused') {
          assert.throws(parse, { code: 'ERR_USAGE', message: new RegExp(`an empty --?${spec.name}|an empty -${spec.short ?? '-'}`) });
          return;
        }
        const { values, positionals } = parse();
        assert.deepEqual([values.get('no-push'), positionals], [['true'], ['place']]);
        assert.deepEqual(values.get(spec.name), meaningOf(spec) === 'none' ? [] : undefined);
      });
    }
  }
}

test('every list says what an empty item of it is', () => {
  for (const spec of buildFlags) assert.equal(spec.empty !== undefined, spec.kind === 'list', spec.name);
});

const refused: readonly { readonly argv: readonly string[]; readonly message: RegExp; readonly hint?: RegExp }[] = [
  { argv: ['--destinaton=x'], message: /--destinaton: there is no such flag/, hint: /did you mean --destination/ },
  { argv: ['--no-push=maybe'], message: /--no-push=maybe: expected true or false/ },
  { argv: ['--context'], message: /--context: it needs a value/ },
  { argv: ['--no-push='], message: /--no-push=: expected true or false/ },
  { argv: ['--push-retry=many'], message: /expected a whole number/ },
  { argv: ['--cache-ttl=5'], message: /--cache-ttl=5: expected a duration with its unit, such as 6h/ },
  { argv: ['--cache-ttl', '-1h'], message: /expected a duration/ },
  { argv: ['--snapshot-mode=fast'], message: /--snapshot-mode=fast: expected full, redo, time/ },
  { argv: ['--snapshotMode', 'fast'], message: /expected full, redo, time/ },
  { argv: ['-t', 'app'], message: /-t: there is no such flag/, hint: /--destination IMAGE \(-d\)/ },
  { argv: ['--tag=app'], message: /--tag: there is no such flag/, hint: /--destination/ },
  { argv: ['--file', 'x'], message: /--file: there is no such flag/, hint: /--dockerfile FILE \(-f\)/ },
  { argv: ['--push'], message: /--push: there is no such flag/, hint: /pushed to each --destination/ },
  { argv: ['-x'], message: /-x: there is no such flag/ },
  { argv: ['-cache=true'], message: /-cache: whole names of flags have two dashes/, hint: /^--cache=true$/ },
  { argv: ['-destination', 'a/b'], message: /-destination: whole names/, hint: /^--destination$/ },
  { argv: ['--push-retry=-1'], message: /--push-retry=-1: expected a whole number, 0 or more/ },
  { argv: ['-v', '/here:/there'], message: /-v=\/here:\/there: expected trace, debug/, hint: /^-v is --verbosity here$/ },
  { argv: ['--password=x'], message: /--password: there is no such flag/, hint: /executor login/ },
  { argv: ['--context=/w --no-push --what ever'].map((word) => word.replace('=', ' ')), message: /there is no such flag/, hint: /blank/ },
];

for (const row of refused) {
  test(`parseFlags() refuses ${row.argv.join(' ')}`, () => {
    assert.throws(
      () => parseFlags(row.argv, buildFlags),
      (error: { code?: string; message?: string; hint?: string }) => {
        assert.equal(error.code, 'ERR_USAGE');
        assert.match(error.message ?? '', row.message);
        if (row.hint !== undefined) assert.match(error.hint ?? '', row.hint);
        return true;
      },
    );
  });
}

test('no two flags share a name, an alias or a short form', () => {
  const names = buildFlags.flatMap((spec) => [spec.name, ...(spec.aliases ?? []), ...(spec.short === undefined ? [] : [`-${spec.short}`])]);
  assert.equal(new Set(names).size, names.length);
});

test('an unknown flag is compared with the known ones, and nothing is guessed where none is near', () => {
  const hintOf = (flag: string): string | undefined => {
    try {
      parseFlags([flag], buildFlags);
    } catch (error) {
      if (error instanceof BuilderError) return error.hint;
    }
    return assert.fail(`${flag} was taken`);
  };
  assert.equal(hintOf('--destnation=x'), 'did you mean --destination?');
  assert.equal(hintOf('--wat'), 'see --help');
  assert.match(hintOf('--context .') ?? '', /blank/);
});

test('what other builders call a flag is no flag here, and its hint names one of ours', () => {
  const ours = buildFlags.flatMap((spec) => [`--${spec.name}`, ...(spec.short === undefined ? [] : [`-${spec.short}`])]);
  for (const [flag, hint] of foreignFlags) {
    assert.ok(!ours.includes(flag), flag);
    for (const [named] of hint.matchAll(/--[a-z-]+/g)) assert.ok(ours.includes(named), `${flag}: ${named}`);
  }
});
