// The flags that change a config. What they give is what buildah 1.28 gave for the same flags (`buildah inspect`, Docker's config).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFlags } from '../../../../src/cli/flags.ts';
import { type Settled, applyImageSettings, settingLines } from '../../../../src/cli/requests/image-settings.ts';
import { Settings } from '../../../../src/cli/settings.ts';
import { imageSettingFlags } from '../../../../src/cli/tables/image-settings.ts';
import { emptyImageConfig, formatImageConfig, parseImageConfig } from '../../../../src/oci/image-config.ts';

const scratch: Settled = { config: emptyImageConfig({ os: 'linux', architecture: 'amd64' }), annotations: new Map() };
const settingsOf = (words: readonly string[]) => new Settings(parseFlags(words, imageSettingFlags), imageSettingFlags, {});

/** One command line after the other, on one config. */
function settled(lines: readonly (readonly string[])[], env: Readonly<Record<string, string>> = {}): Settled {
  return lines.reduce((before, words) => applyImageSettings(before, settingsOf(words), env), scratch);
}

function runOf(lines: readonly (readonly string[])[], env: Readonly<Record<string, string>> = {}): unknown {
  return (JSON.parse(formatImageConfig(settled(lines, env).config)) as { config: unknown }).config;
}

const all = ['--env', 'A=1', '--label', 'l=1', '--port', '80', '--volume', '/v', '--user', 'u', '--workingdir', '/w', '--cmd', 'c'];
const rows: readonly { readonly name: string; readonly lines: readonly (readonly string[])[]; readonly config: unknown }[] = [
  {
    name: 'a variable that is set again moves to the end',
    lines: [['-e', 'A=1', '-e', 'B=2', '-e', 'C=', '-e', 'A=3']],
    config: { Env: ['B=2', 'C=', 'A=3'] },
  },
  {
    name: 'NAME- takes one away, a value may end with -',
    lines: [
      ['--env', 'A=1', '--env', 'B=x-'],
      ['--env', 'A-'],
    ],
    config: { Env: ['B=x-'] },
  },
  {
    name: '- takes all away, and what follows counts',
    lines: [
      ['--env', 'A=1'],
      ['--env', '-', '--env', 'Q=1'],
    ],
    config: { Env: ['Q=1'] },
  },
  {
    name: 'a value may name variables that the image has by then, and what it has not stays as it is written',
    lines: [
      ['-e', 'PATH=/bin', '-e', 'PATH=$PATH:/x'],
      ['-e', 'A=${PATH}/a:$NONE:$$:$1'],
    ],
    config: { Env: ['PATH=/bin:/x', 'A=/bin:/x/a:$NONE:$$:$1'] },
  },
  { name: 'a variable without a value has that of here', lines: [['--env', 'HERE']], config: { Env: ['HERE=yes'] } },
  {
    name: 'ports stay as written, a range becomes its ports',
    lines: [['-p', '80', '-p', '81/udp', '-p', '90-91']],
    config: { ExposedPorts: { '80': {}, '81/udp': {}, '90/tcp': {}, '91/tcp': {} } },
  },
  {
    name: 'ports go one by one or all',
    lines: [
      ['-p', '80', '-p', '81'],
      ['-p', '80-'],
      ['-p', '-', '-p', '3'],
    ],
    config: { ExposedPorts: { '3': {} } },
  },
  {
    name: 'a label without = is empty',
    lines: [
      ['-l', 'a=1', '-l', 'b=x=y', '-l', 'c'],
      ['-l', 'a-'],
    ],
    config: { Labels: { b: 'x=y', c: '' } },
  },
  {
    name: 'volumes',
    lines: [
      ['-v', '/a', '-v', '/b', '-v', '/a'],
      ['-v', '/a-'],
    ],
    config: { Volumes: { '/b': {} } },
  },
  {
    name: 'a command is words or JSON',
    lines: [['--entrypoint', '["/x","y"]', '--cmd', `a "b c" d\\ e 'f"g'`]],
    config: { Entrypoint: ['/x', 'y'], Cmd: ['a', 'b c', 'd e', 'f"g'] },
  },
  {
    name: 'an entry point that is no JSON is for the shell',
    lines: [['--entrypoint', '/x | y']],
    config: { Entrypoint: ['/bin/sh', '-c', '/x | y'] },
  },
  {
    name: 'empty texts and lists clear',
    lines: [all, ['--user', '', '--workingdir=', '--cmd', '', '--entrypoint', '[]', '-l', '-', '-p', '-', '-v', '-', '-e', '-']],
    config: {},
  },
  {
    name: 'a health check gets the usual times',
    lines: [['--healthcheck', 'CMD curl x']],
    config: { Healthcheck: { Test: ['CMD', 'curl', 'x'], Interval: 30e9, Timeout: 30e9, Retries: 3 } },
  },
  {
    name: 'its times change alone',
    lines: [
      ['--healthcheck', 'CMD ls', '--healthcheck-interval', '0s', '--healthcheck-retries', '0'],
      ['--healthcheck-timeout', '3s', '--healthcheck-start-period', '1m'],
    ],
    config: { Healthcheck: { Test: ['CMD', 'ls'], Timeout: 3e9, StartPeriod: 60e9 } },
  },
  {
    name: 'a line of the shell stays whole',
    lines: [['--healthcheck', 'CMD-SHELL curl x | grep y', '--healthcheck-retries=1']],
    config: { Healthcheck: { Test: ['CMD-SHELL', 'curl x | grep y'], Interval: 30e9, Timeout: 30e9, Retries: 1 } },
  },
  {
    name: 'a health check goes',
    lines: [
      ['--healthcheck', 'NONE'],
      ['--healthcheck', ''],
    ],
    config: {},
  },
  {
    name: 'the rest',
    lines: [['--shell', '/bin/bash -c', '--stop-signal', 'SIGINT', '--onbuild', 'RUN x', '--onbuild', 'RUN y']],
    config: { StopSignal: 'SIGINT', Shell: ['/bin/bash', '-c'], OnBuild: ['RUN x', 'RUN y'] },
  },
];

for (const row of rows) {
  test(`applyImageSettings() as buildah config: ${row.name}`, () => {
    assert.deepEqual(runOf(row.lines, { HERE: 'yes' }), row.config);
  });
}

test('applyImageSettings() sets what is said of the image and of its manifest, and keeps what it does not know', () => {
  const base = parseImageConfig('{"architecture":"amd64","os":"linux","x":1,"config":{"Y":2}}');
  const words = [
    '--arch',
    'arm64',
    '--variant',
    'v8',
    '--os-version',
    '1',
    '--os-feature',
    'f',
    '--author',
    'me',
    '--comment',
    'c',
    '-a',
    'q=r',
  ];
  const { config, annotations } = applyImageSettings({ config: base, annotations: new Map([['b', '1']]) }, settingsOf(words), {});
  const json = JSON.parse(formatImageConfig(config)) as Record<string, unknown>;
  const { rootfs: _rootfs, history: _history, ...rest } = json;
  const expected = {
    architecture: 'arm64',
    variant: 'v8',
    os: 'linux',
    'os.version': '1',
    'os.features': ['f'],
    author: 'me',
    comment: 'c',
    x: 1,
    config: { Y: 2 },
  };
  assert.deepEqual(rest, expected);
  assert.deepEqual(
    [...annotations],
    [
      ['b', '1'],
      ['q', 'r'],
    ],
  );
  const cleared = applyImageSettings(
    { config, annotations },
    settingsOf(['--variant', '', '--author', '', '--os-feature', 'f-', '--comment', '']),
    {},
  );
  assert.deepEqual(Object.keys(JSON.parse(formatImageConfig(cleared.config)) as object), [
    'architecture',
    'os',
    'os.version',
    'config',
    'rootfs',
    'history',
    'x',
  ]);
});

const mistakes: readonly (readonly [words: readonly string[], message: RegExp])[] = [
  [['--env', 'NONE'], /--env NONE: it is not set here/],
  [['--label', '=x'], /there is no name before the "="/],
  [['--port', '99999'], /--port 99999: port 99999 is above 65535/],
  [['--port', '80:81'], /an image knows nothing of the host/],
  [['--workingdir', 'w'], /--workingdir w: it does not begin with "\/"/],
  [['--volume', 'v'], /--volume v: it does not begin/],
  [['--stop-signal', 'FOO'], /neither a signal's name nor its number/],
  [['--cmd', 'a | b'], /no shell reads it, so "\|" has no meaning/],
  [['--cmd', 'a "b'], /a " has no end/],
  [['--cmd', '["a", 1]'], /has strings only/],
  [['--healthcheck', 'curl x'], /expected CMD and words, CMD-SHELL and a line, or NONE/],
  [['--healthcheck-interval', '3s'], /there is none/],
  [['--healthcheck', 'CMD x', '--healthcheck-timeout', '3'], /expected a time/],
];
for (const [words, message] of mistakes) {
  test(`applyImageSettings() refuses ${words.join(' ')}`, () => {
    assert.throws(
      () => settled([words]),
      (error: Error) => message.test(error.message),
    );
  });
}

test('settingLines() are those of buildah config --add-history, in its order', () => {
  const words = [
    '-e',
    'Z=1',
    '-e',
    'Y=2',
    '--user',
    'k',
    '--healthcheck',
    'CMD ls',
    '--healthcheck-retries',
    '0',
    '--onbuild',
    'RUN x',
    '--onbuild',
    'RUN y',
  ];
  const lines = ['USER k', 'ENV Z=1 Y=2', 'HEALTHCHECK --retries=0 CMD ls', 'ONBUILD RUN x', 'ONBUILD RUN y'];
  assert.deepEqual(
    settingLines(settingsOf(words)),
    lines.map((line) => `/bin/sh -c #(nop) ${line}`),
  );
});
