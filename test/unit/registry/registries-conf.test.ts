// What registries.conf and policy.json say, by containers-registries.conf(5) and containers-policy.json(5).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BuilderError } from '../../../src/errors.ts';
import { formatCommonName, parseReference } from '../../../src/oci/reference.ts';
import { type RegistriesConf, readRegistriesConf } from '../../../src/registry/registries-conf.ts';

const digest = `sha256:${'a'.repeat(64)}`;
const warnings: string[] = [];

function conf(...texts: readonly string[]): RegistriesConf {
  const files = texts.map((text, index) => ({ path: `/${index}.conf`, text }));
  return readRegistriesConf(files, (message) => warnings.push(message));
}

function placesOf(name: string, ...texts: readonly string[]): readonly string[] {
  return conf(...texts)
    .places(parseReference(name))
    .map(({ registry, repository }) => `${registry}/${repository}`);
}

const mirrored = `
[[registry]]
prefix = "reg.example/team"
location = "inner.example:5000/kept"
[[registry.mirror]]
location = "mirror"
pull-from-mirror = "tag-only"
[[registry.mirror]]
location = "digests.example/a/b/"
pull-from-mirror = "digest-only"
`;

for (const { title, name, texts, places } of [
  { title: 'leaves alone what no table is about', name: 'reg.example/teams/x', texts: [mirrored], places: ['reg.example/teams/x'] },
  { title: 'asks mirrors first', name: 'reg.example/team/x:1', texts: [mirrored], places: ['mirror/x', 'inner.example:5000/kept/x'] },
  {
    title: 'asks some for digests alone',
    name: `reg.example/team/x@${digest}`,
    texts: [mirrored],
    places: ['digests.example/a/b/x', 'inner.example:5000/kept/x'],
  },
  {
    title: 'moves a whole repository',
    name: 'alpine',
    texts: ['[[registry]]\nprefix = "docker.io/library/alpine"\nlocation = "a.example/os/alpine-linux"'],
    places: ['a.example/os/alpine-linux'],
  },
  {
    title: 'has the longest prefix count, and a wildcard only below its host',
    name: 'deep.reg.example/x',
    texts: [
      '[[registry]]\nprefix = "*.example"\nlocation = "wide.example"\n[[registry]]\nprefix = "*.reg.example"\nlocation = "near.example/p"',
    ],
    places: ['near.example/p/x'],
  },
  {
    title: 'lets a later file replace a table',
    name: 'reg.example/team/x',
    texts: [mirrored, '[[registry]]\nprefix = "reg.example/team"\nlocation = "later.example"'],
    places: ['later.example/x'],
  },
  {
    title: 'uses mirrors by digest only',
    name: 'reg.example/x:1',
    texts: ['[[registry]]\nlocation = "reg.example"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = "m.example"'],
    places: ['reg.example/x'],
  },
])
  test(`registries.conf ${title}`, () => assert.deepEqual(placesOf(name, ...texts), places));

test('registries.conf says who is blocked and who may be insecure', () => {
  const read = conf(
    '[[registry]]\nlocation = "bad.example"\nblocked = true\n[[registry]]\nprefix = "*.lab"\ninsecure = true\n' +
      '[[registry]]\nlocation = "good.example"\n[[registry.mirror]]\nlocation = "m.example:5000/x"\ninsecure = true',
  );
  assert.throws(
    () => read.refuseBlocked(parseReference('bad.example/x')),
    /^RegistryError: Cannot use bad\.example\/x: \/0\.conf blocks bad\.example$/,
  );
  read.refuseBlocked(parseReference('good.example/x'));
  const insecure = ['m.example:5000', 'a.lab', 'good.example', 'bad.example', 'lab'].filter(read.isInsecure);
  assert.deepEqual(insecure, ['m.example:5000', 'a.lab']);
});

const searching = 'unqualified-search-registries = ["one.example", "docker.io"]\n';
const aliased = '[aliases]\n"app" = "a.example/team/app"\n"team/app" = "b.example/x"\n';
for (const { name, texts, names } of [
  { name: 'app', texts: [], names: ['docker.io/library/app'] },
  { name: 'app:1', texts: [aliased], names: ['a.example/team/app:1'] },
  { name: `team/app@${digest}`, texts: [aliased], names: [`b.example/x@${digest}`] },
  { name: 'other', texts: [aliased], names: ['docker.io/library/other'] },
  { name: 'app', texts: [aliased, '[aliases]\n"app" = ""'], names: ['docker.io/library/app'] },
  { name: 'other:2', texts: [searching + aliased], names: ['one.example/other:2', 'docker.io/library/other:2'] },
  { name: 'localhost/app', texts: [searching + aliased], names: ['localhost/app'] },
])
  test(`${name} stands for ${names.join(', ')}`, () =>
    assert.deepEqual(
      conf(...texts)
        .wholeNames(name)
        .map(formatCommonName),
      names,
    ));

for (const [title, text, says] of [
  ['version 1', '[registries.search]\nregistries = ["a.example"]', /version 1/],
  ['no TOML', '[[registry]\n', /^Cannot use \/0\.conf: Invalid TOML/],
  ['a tag in a prefix', '[[registry]]\nprefix = "a.example/x:1"\nlocation = "b.example"', /has a tag or a digest/],
  ['a URL', '[[registry]]\nlocation = "https://a.example"', /is not HOST\[:PORT\]\[\/PATH\]/],
  ['an unknown mode', 'short-name-mode = "guess"', /none of enforcing, permissive and disabled/],
  [
    'two words about a mirror',
    '[[registry]]\nlocation = "a.example"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = "m.example"\npull-from-mirror = "all"',
    /in one \[\[registry\]\]/,
  ],
  ['a number for a text', '[[registry]]\nlocation = 5', /location is no text/],
  ['an alias with a tag', '[aliases]\n"a" = "b.example/c:1"', /without a tag/],
] as const)
  test(`registries.conf with ${title} is refused`, () =>
    assert.throws(
      () => conf(text),
      (error) => error instanceof BuilderError && error.code === 'ERR_USAGE' && says.test(error.message),
    ));

test('a short name that may be several is refused where nobody may guess, and what is not honoured is named', () => {
  assert.throws(() => conf(`${searching}short-name-mode = "enforcing"`).wholeNames('x'), /it may be of one\.example or docker\.io/);
  assert.throws(() => conf('unqualified-search-registries = []').wholeNames('x'), /has no unqualified-search-registries/);
  warnings.length = 0;
  conf('credential-helpers = ["secretservice"]');
  assert.deepEqual(warnings, ['/0.conf: credential-helpers is not honoured here']);
});
