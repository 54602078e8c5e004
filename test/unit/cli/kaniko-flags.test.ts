// Every flag of kaniko's executor: it changes what is asked for, or is told as changing nothing, or is refused by name.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tellAccepted } from '../../../src/cli/accepted.ts';
import { flagsOf } from '../../../src/cli/command.ts';
import { findCommand } from '../../../src/cli/commands.ts';
import { type FlagSpec, parseFlags } from '../../../src/cli/flags.ts';
import { makeRegistryRequest } from '../../../src/cli/requests/registry-request.ts';
import { makeBuildRequest } from '../../../src/cli/requests/build-request.ts';
import { Settings } from '../../../src/cli/settings.ts';
import { buildFlags } from '../../../src/cli/tables/build.ts';
import type { BuildEvent } from '../../../src/events.ts';

interface Asked {
  /** The request's text. */
  readonly text: string;
  readonly told: string;
}

function ask(argv: readonly string[]): Asked {
  const env = { HOME: '/root' };
  const flags = parseFlags([...argv, '--destination=registry.example/app'], buildFlags);
  const settings = new Settings(flags, buildFlags, env);
  const around = {
    env,
    workingDirectory: '/w',
    nodeArch: 'x64',
    builderFolder: '/kaniko',
    defaultContext: '/workspace/',
    hasTerminal: true,
  };
  const events: BuildEvent[] = [];
  tellAccepted(settings, buildFlags, env, (event) => events.push(event));
  const requests = [makeBuildRequest(settings, flags.positionals, around), makeRegistryRequest(settings, env, '/w')];
  const text = JSON.stringify(requests, (_, value: unknown) => (value instanceof Map || value instanceof Set ? [...value] : value));
  return { text, told: events.map((event) => (event.kind === 'note' ? event.message : '')).join('\n') };
}

/** The executor's flags with a value that is not the default, and, where it needs one, the switch that goes with it. */
const kaniko: readonly (readonly [flag: string, ...beside: string[]])[] = [
  ['--annotation=a=b'],
  ['--bucket=b'],
  ['--build-arg=A=1'],
  ['--cache'],
  ['--cache-copy-layers', '--cache'],
  ['--cache-dir=/c'],
  ['--cache-repo=registry.example/c', '--cache'],
  ['--cache-run-layers=false', '--cache'],
  ['--cache-ttl=1h', '--cache'],
  ['--cleanup'],
  ['--compressed-caching'],
  ['--compression=zstd'],
  ['--compression-level=3'],
  ['--context=dir:///x'],
  ['--context-sub-path=x'],
  ['--credential-helpers=env'],
  ['--custom-platform=linux/arm64'],
  ['--customPlatform=linux/arm64'],
  ['--destination=registry.example/other'],
  ['--digest-file=/x'],
  ['--dockerfile=x'],
  ['--dryrun'],
  ['--force-build-metadata'],
  ['--git=branch=x'],
  ['--ignore-path=/x'],
  ['--ignore-var-run'],
  ['--image-download-retry=1'],
  ['--image-format=oci'],
  ['--image-fs-extract-retry=1'],
  ['--image-name-tag-with-digest-file=/x'],
  ['--image-name-with-digest-file=/x'],
  ['--insecure'],
  ['--insecure-pull'],
  ['--insecure-registry=registry.example'],
  ['--kaniko-dir=/x'],
  ['--label=a=b'],
  ['--materialize'],
  ['--no-push'],
  ['--no-push-cache', '--cache'],
  ['--oci-layout-path=/x'],
  ['--pre-cleanup'],
  ['--preserve-context'],
  ['--push-ignore-immutable-tag-errors'],
  ['--push-retry=1'],
  ['--registry-certificate=registry.example=/x'],
  ['--registry-client-cert=registry.example=/x,/y'],
  ['--registry-map=a.example=b.example'],
  ['--registry-mirror=b.example'],
  ['--reproducible'],
  ['--secret=id=x,src=/x'],
  ['--single-snapshot'],
  ['--skip-default-registry-fallback'],
  ['--skip-push-permission-check'],
  ['--skip-tls-verify'],
  ['--skip-tls-verify-pull'],
  ['--skip-tls-verify-registry=registry.example'],
  ['--skip-unused-stages'],
  ['--snapshot-mode=redo'],
  ['--snapshotMode=time'],
  ['--tar-path=/x'],
  ['--tarPath=/x'],
  ['--target=x'],
  ['--use-new-run'],
  ['--whitelist-var-run'],
];

for (const [flag, ...beside] of kaniko)
  test(`kaniko's ${flag} is honoured, told to change nothing, or refused by name`, () => {
    const spec = specOf(flag);
    if (spec.unsupported !== undefined) {
      assert.throws(() => ask([flag, ...beside]), {
        code: 'ERR_UNSUPPORTED',
        message: `Cannot honour --${spec.name}: ${spec.unsupported}`,
      });
      return;
    }
    const before = ask(beside);
    const after = ask([flag, ...beside]);
    const isTold = after.told.includes(`--${spec.name}`);
    assert.equal(isTold, spec.inert !== undefined, after.told);
    assert.equal(after.text !== before.text, !isTold, after.text);
  });

// These do not ask for another image; `report.test.ts` and the sandbox's tests have them.
const elsewhere = ['force', 'verbosity', 'log-format', 'log-timestamp', 'help'];

test('no flag says of itself that kaniko has it, and is missing above', () => {
  const driven = new Set([...kaniko.map(([flag]) => specOf(flag).name), ...elsewhere]);
  const ours = buildFlags.filter(({ kaniko: meaning, name }) => meaning !== undefined && !driven.has(name));
  assert.deepEqual(
    ours.map(({ name }) => name).filter((name) => name !== 'print-plan'), // a variable of kaniko's, no flag
    [],
  );
});

test('what kaniko does with each of its flags is said on the page of flags', () => {
  for (const [flag] of kaniko) assert.notEqual(specOf(flag).kaniko, undefined, flag);
});

/** Of its other commands, with their short forms. */
const registries =
  '--insecure-registry --skip-tls-verify-registry --registry-certificate --registry-client-cert --registry-map --registry-mirror --skip-default-registry-fallback';
const others: readonly { readonly command: string; readonly flags: string }[] = [
  {
    command: 'warmer',
    flags: `-i --image -d --dockerfile --build-arg -c --cache-dir -f --force --cache-ttl --customPlatform --custom-platform --insecure-pull --skip-tls-verify-pull ${registries} -v --verbosity --log-format --log-timestamp`,
  },
  {
    command: 'push',
    flags: `-d --destination --insecure --skip-tls-verify --insecure-pull --skip-tls-verify-pull ${registries} --push-retry --push-ignore-immutable-tag-errors --skip-push-permission-check --digest-file --image-name-with-digest-file --image-name-tag-with-digest-file --credential-helpers -v --verbosity --log-format --log-timestamp`,
  },
  { command: 'login', flags: '-u --username -p --password --password-stdin -v --verbosity --log-format --log-timestamp' },
];
for (const { command, flags } of others)
  test(`${command} takes all flags of kaniko's`, () => {
    const specs = flagsOf(findCommand([command])?.command ?? assert.fail());
    const taken = new Set(
      specs.flatMap(({ name, aliases = [], short }) => [`--${name}`, `-${short}`, ...aliases.map((each) => `--${each}`)]),
    );
    assert.deepEqual(
      flags.split(' ').filter((flag) => !taken.has(flag)),
      [],
    );
  });

function specOf(flag: string): FlagSpec {
  const name = flag.slice(2).split('=')[0] ?? '';
  const spec = buildFlags.find((each) => each.name === name || each.aliases?.includes(name));
  return spec ?? assert.fail(`--${name} is unknown`);
}
