// Every member of a config, as it is read, as it is written, and what is refused of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ImageConfig, emptyImageConfig, formatImageConfig, parseImageConfig } from '../../../src/oci/image-config.ts';
import type { Json } from '../../../src/oci/json.ts';
import type { NameSet } from '../../../src/oci/run-config.ts';

const digest = `sha256:${'a'.repeat(64)}` as const;
const empty = emptyImageConfig({ os: 'linux', architecture: 'amd64' });

const full =
  '{"created":"2026-11-26T00:00:00Z","author":"someone","architecture":"arm","variant":"v7","os":"windows","os.version":"10.0.1",' +
  '"config":{"User":"app","ExposedPorts":{"53/udp":{},"80/tcp":{}},"Env":["B=2","A=1"],"Entrypoint":["/e"],"Cmd":["c","d"],' +
  '"Volumes":{"/data":{},"/var":{}},"WorkingDir":"/w","Labels":{"a":"1","b":"2"},"StopSignal":"SIGINT",' +
  '"Healthcheck":{"Test":["CMD","true"],"Interval":1,"Timeout":2,"StartPeriod":3,"StartInterval":4,"Retries":5},' +
  '"Shell":["/bin/bash","-c"],"OnBuild":["RUN x"],"ArgsEscaped":true,"Alpha":1,"Zeta":null},' +
  `"rootfs":{"type":"layers","diff_ids":["${digest}"]},` +
  '"history":[{"created":"2026-01-01T00:00:00Z","created_by":"RUN x","author":"me","comment":"why","empty_layer":true},{}],' +
  '"extra":[1],"more":{}}';

const names = (...list: readonly string[]): NameSet => new Map(list.map((name) => [name, true]));

const parsed: ImageConfig = {
  architecture: 'arm',
  os: 'windows',
  variant: 'v7',
  osVersion: '10.0.1',
  created: '2026-11-26T00:00:00Z',
  author: 'someone',
  config: {
    user: 'app',
    exposedPorts: names('53/udp', '80/tcp'),
    env: ['B=2', 'A=1'],
    entrypoint: ['/e'],
    cmd: ['c', 'd'],
    volumes: names('/data', '/var'),
    workingDir: '/w',
    labels: new Map([
      ['a', '1'],
      ['b', '2'],
    ]),
    stopSignal: 'SIGINT',
    healthcheck: { test: ['CMD', 'true'], intervalNs: 1, timeoutNs: 2, startPeriodNs: 3, startIntervalNs: 4, retries: 5 },
    shell: ['/bin/bash', '-c'],
    onBuild: ['RUN x'],
    argsEscaped: true,
    unknown: new Map<string, Json>([
      ['Alpha', 1],
      ['Zeta', null],
    ]),
  },
  diffIds: [digest],
  history: [{ created: '2026-01-01T00:00:00Z', createdBy: 'RUN x', author: 'me', comment: 'why', emptyLayer: true }, {}],
  unknown: new Map<string, Json>([
    ['extra', [1]],
    ['more', new Map()],
  ]),
};

test('parseImageConfig() reads every member', () => assert.deepEqual(parseImageConfig(full), parsed));

test("formatImageConfig() writes every member, in the specification's order", () => assert.equal(formatImageConfig(parsed), full));

const bare = '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]},"history":[]}';

test('emptyImageConfig() says only which platform it is', () => {
  assert.deepEqual(empty, {
    architecture: 'amd64',
    os: 'linux',
    config: { env: [], labels: new Map(), unknown: new Map() },
    diffIds: [],
    history: [],
    unknown: new Map(),
  });
  assert.equal(emptyImageConfig({ os: 'linux', architecture: 'arm', variant: 'v6' }).variant, 'v6');
  assert.equal(formatImageConfig(empty), bare);
  assert.deepEqual(parseImageConfig(bare), empty);
});

const nothing = { architecture: '', os: '' };
for (const text of [
  '{}',
  '{"config":null,"rootfs":null,"history":null,"architecture":null,"os":null,"variant":null,"created":null,"author":null}',
  '{"config":{"User":"","WorkingDir":"","StopSignal":"","Env":null,"Cmd":null,"Entrypoint":null,"Labels":null,"Volumes":null,' +
    '"ExposedPorts":null,"OnBuild":null,"Shell":null,"Healthcheck":null,"ArgsEscaped":false},"rootfs":{"diff_ids":null}}',
]) {
  test(`parseImageConfig() finds nothing in ${text}`, () => assert.deepEqual(parseImageConfig(text), { ...empty, ...nothing }));
}

test('formatImageConfig() leaves out what is empty, but not an emptied command', () => {
  const config = {
    ...empty.config,
    user: '',
    workingDir: '',
    stopSignal: '',
    exposedPorts: names(),
    volumes: names(),
    onBuild: [],
    argsEscaped: false,
  };
  assert.equal(formatImageConfig({ ...empty, author: '', created: '', variant: '', osVersion: '', config }), bare);
  const emptied = { ...empty.config, cmd: [], entrypoint: [], shell: [] };
  assert.match(formatImageConfig({ ...empty, config: emptied }), /"config":\{"Entrypoint":\[\],"Cmd":\[\],"Shell":\[\]\}/);
});

for (const [what, healthcheck, text] of [
  ['none', { test: ['NONE'] }, '{"Test":["NONE"]}'],
  [
    'zeros, which mean the default',
    { test: ['CMD', 'x'], intervalNs: 0, timeoutNs: 0, startPeriodNs: 0, startIntervalNs: 0, retries: 0 },
    '{"Test":["CMD","x"]}',
  ],
  ['no test of its own', { test: [], retries: 3 }, '{"Retries":3}'],
] as const) {
  test(`formatImageConfig() writes a health check with ${what}`, () => {
    const written = formatImageConfig({ ...empty, config: { ...empty.config, healthcheck } });
    assert.ok(written.includes(`"config":{"Healthcheck":${text}}`), written);
  });
}

test('formatImageConfig() sorts names that have no order of their own', () => {
  const config = {
    ...empty.config,
    volumes: names('/b', '/a'),
    exposedPorts: names('9/tcp', '8/tcp'),
    labels: new Map([
      ['b', '1'],
      ['a', '2'],
      ['B', '3'],
    ]),
    unknown: new Map([
      ['z', 1],
      ['y', 2],
    ]),
  };
  assert.equal(
    formatImageConfig({ ...empty, config, unknown: new Map(Object.entries({ q: 1, p: 2 })) }),
    '{"architecture":"amd64","os":"linux","config":{"ExposedPorts":{"8/tcp":{},"9/tcp":{}},"Volumes":{"/a":{},"/b":{}},' +
      '"Labels":{"B":"3","a":"2","b":"1"},"y":2,"z":1},"rootfs":{"type":"layers","diff_ids":[]},"history":[],"p":2,"q":1}',
  );
});

test("parseImageConfig() drops all that the classic builder left of a base's own build", () => {
  const root = ['container', 'container_config', 'docker_version', 'parent', 'id'];
  const run = [
    'Hostname',
    'Domainname',
    'AttachStdin',
    'AttachStdout',
    'AttachStderr',
    'Tty',
    'OpenStdin',
    'StdinOnce',
    'Image',
    'MacAddress',
    'NetworkDisabled',
  ];
  const members = (names: readonly string[]): Record<string, unknown> => Object.fromEntries(names.map((name) => [name, 'x']));
  const text = JSON.stringify({ ...members(root), architecture: 'amd64', os: 'linux', config: members(run) });
  assert.deepEqual(parseImageConfig(text), empty);
});

test('parseImageConfig() takes a bare string for a list of one, as docker wrote it before 1.9', () => {
  const { config } = parseImageConfig('{"config":{"Cmd":"a b","Entrypoint":"/e","Env":"A=1","Shell":"/s","OnBuild":"RUN x"}}');
  assert.deepEqual(
    [config.cmd, config.entrypoint, config.env, config.shell, config.onBuild],
    [['a b'], ['/e'], ['A=1'], ['/s'], ['RUN x']],
  );
});

test('parseImageConfig() takes for empty_layer and ArgsEscaped nothing but true', () => {
  const found = parseImageConfig(
    '{"config":{"ArgsEscaped":"true"},"history":[{"empty_layer":"true"},{"empty_layer":false},{"empty_layer":true}]}',
  );
  assert.equal(found.config.argsEscaped, undefined);
  assert.deepEqual(found.history, [{}, {}, { emptyLayer: true }]);
});

test('a health check keeps numbers that a double just holds', () => {
  const found = parseImageConfig('{"config":{"Healthcheck":{"Interval":9007199254740991,"Timeout":-1,"Retries":null}}}');
  assert.deepEqual(found.config.healthcheck, { test: [], intervalNs: Number.MAX_SAFE_INTEGER, timeoutNs: -1 });
});

const refused: readonly (readonly [text: string, member: string, expected: string])[] = [
  ['[]', 'the document', 'an object'],
  ['"x"', 'the document', 'an object'],
  ['{"architecture":1}', 'architecture', 'a string'],
  ['{"os":[]}', 'os', 'a string'],
  ['{"variant":1}', 'variant', 'a string'],
  ['{"os.version":1}', 'os.version', 'a string'],
  ['{"created":1}', 'created', 'a string'],
  ['{"author":{}}', 'author', 'a string'],
  ['{"config":"x"}', 'config', 'an object'],
  ['{"config":{"User":1}}', 'User', 'a string'],
  ['{"config":{"WorkingDir":[]}}', 'WorkingDir', 'a string'],
  ['{"config":{"StopSignal":9}}', 'StopSignal', 'a string'],
  ['{"config":{"Env":{}}}', 'Env', 'a list of strings'],
  ['{"config":{"Env":["A=1",null]}}', 'Env', 'a list of strings'],
  ['{"config":{"Cmd":1}}', 'Cmd', 'a list of strings'],
  ['{"config":{"Entrypoint":[[]]}}', 'Entrypoint', 'a list of strings'],
  ['{"config":{"Shell":true}}', 'Shell', 'a list of strings'],
  ['{"config":{"OnBuild":[1]}}', 'OnBuild', 'a list of strings'],
  ['{"config":{"Volumes":["/a"]}}', 'Volumes', 'an object'],
  ['{"config":{"ExposedPorts":"80"}}', 'ExposedPorts', 'an object'],
  ['{"config":{"Labels":[]}}', 'config.Labels', 'an object'],
  ['{"config":{"Labels":{"a":1}}}', 'config.Labels.a', 'a string'],
  ['{"config":{"Healthcheck":[]}}', 'config.Healthcheck', 'an object'],
  ['{"config":{"Healthcheck":{"Test":[1]}}}', 'Test', 'a list of strings'],
  ['{"config":{"Healthcheck":{"Interval":"1s"}}}', 'Interval', 'a whole number'],
  ['{"config":{"Healthcheck":{"Timeout":"1"}}}', 'Timeout', 'a whole number'],
  ['{"config":{"Healthcheck":{"StartPeriod":1.5}}}', 'StartPeriod', 'a whole number'],
  ['{"config":{"Healthcheck":{"StartInterval":{}}}}', 'StartInterval', 'a whole number'],
  ['{"config":{"Healthcheck":{"Retries":[1,2]}}}', 'Retries', 'a whole number'],
  ['{"rootfs":{"diff_ids":["sha256:x"]}}', 'rootfs.diff_ids', 'a list of digests'],
  ['{"rootfs":{"diff_ids":{}}}', 'diff_ids', 'a list of strings'],
  ['{"history":{}}', 'history', 'a list'],
  ['{"history":[[]]}', 'history', 'a list of objects'],
  ['{"history":[{"created":1}]}', 'created', 'a string'],
  ['{"history":[{"created_by":1}]}', 'created_by', 'a string'],
  ['{"history":[{"comment":1}]}', 'comment', 'a string'],
  ['{"history":[{"author":1}]}', 'author', 'a string'],
];
for (const [text, member, expected] of refused) {
  test(`parseImageConfig() refuses ${text}`, () => {
    assert.throws(() => parseImageConfig(text), {
      code: 'ERR_LAYER',
      message: `Cannot read the image config: ${member} is not ${expected}`,
    });
  });
}
