import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GrownMap } from '../../../src/grown-map.ts';
import type { StageState } from '../../../src/build/effect.ts';
import { goDuration, goQuote, goQuoteList } from '../../../src/go/format.ts';
import { executeMetadata, type MetadataInstruction } from '../../../src/build/instructions/metadata.ts';

const range = { start: { line: 1, column: 1 }, end: { line: 1, column: 2 } };
const empty: StageState = {
  config: { env: [], labels: new Map(), unknown: new Map() },
  args: new Map(),
  environment: new Map(),
  hasCmd: false,
};
const scope = {
  expand: (word: string) => word,
  expandFrom: (word: string, environment: ReadonlyMap<string, string>) => environment.get(word.slice(1)) ?? word,
  expandWords: (word: string) => word.split(' '),
  buildArg: (name: string) => (name === 'GIVEN' ? 'given' : undefined),
  globalArg: (name: string) => (name === 'GLOBAL' ? 'global' : undefined),
};
const common = { range, text: '' };
const shell = (text: string) => ({ form: 'shell', text, heredocs: [] }) as const;

function history(instruction: MetadataInstruction, state: StageState = empty): string | undefined {
  return executeMetadata(instruction, state, scope).history?.createdBy;
}

const wordings: readonly (readonly [MetadataInstruction, string | undefined])[] = [
  [
    {
      ...common,
      kind: 'env',
      pairs: [
        { key: 'a', value: 'b' },
        { key: 'c', value: 'd e' },
      ],
    },
    'ENV a=b c=d e',
  ],
  [{ ...common, kind: 'label', pairs: [{ key: 'a', value: 'b' }] }, 'LABEL a=b'],
  [{ ...common, kind: 'arg', args: [{ name: 'a', value: '1' }, { name: 'b' }] }, 'ARG a=1 b'],
  [{ ...common, kind: 'cmd', command: shell('echo "x"') }, 'CMD ["/bin/sh" "-c" "echo \\"x\\""]'],
  [{ ...common, kind: 'entrypoint', command: { form: 'exec', argv: ['a', 'b c'] } }, 'ENTRYPOINT ["a" "b c"]'],
  [{ ...common, kind: 'expose', words: ['80 1234/UDP', '8000-8001'] }, 'EXPOSE [1234/udp 80/tcp 8000/tcp 8001/tcp]'],
  [{ ...common, kind: 'volume', words: ['/a', '/b'] }, 'VOLUME [/a /b]'],
  [{ ...common, kind: 'shell', argv: ['/bin/bash', '-c'] }, 'SHELL [/bin/bash -c]'],
  [{ ...common, kind: 'user', word: 'x:y' }, 'USER x:y'],
  [{ ...common, kind: 'stopsignal', word: 'SIGRTMIN+3' }, 'STOPSIGNAL SIGRTMIN+3'],
  [{ ...common, kind: 'maintainer', word: 'me <x@y>' }, 'MAINTAINER me <x@y>'],
  [{ ...common, kind: 'onbuild', expression: 'RUN x' }, undefined],
  [
    { ...common, kind: 'healthcheck', test: { kind: 'command', command: shell('x') }, intervalNs: 300e9, timeoutNs: 3e9 },
    'HEALTHCHECK {Test:[CMD-SHELL x] Interval:5m0s Timeout:3s StartPeriod:0s StartInterval:0s Retries:0}',
  ],
];
for (const [instruction, expected] of wordings) {
  test(`history words ${instruction.kind} as BuildKit does`, () => assert.equal(history(instruction), expected));
}

test('ENTRYPOINT forgets an inherited CMD, and keeps one of the same stage', () => {
  const inherited = { ...empty, config: { ...empty.config, cmd: ['old'] } };
  const entrypoint = { ...common, kind: 'entrypoint', command: { form: 'exec', argv: ['e'] } } as const;
  assert.equal(executeMetadata(entrypoint, inherited, scope).state.config.cmd, undefined);
  const own = executeMetadata({ ...common, kind: 'cmd', command: { form: 'exec', argv: ['new'] } }, inherited, scope).state;
  assert.deepEqual(executeMetadata(entrypoint, own, scope).state.config.cmd, ['new']);
});

test('CMD [] stores an empty list, ENTRYPOINT [] nothing', () => {
  const none = { form: 'exec', argv: [] } as const;
  assert.deepEqual(executeMetadata({ ...common, kind: 'cmd', command: none }, empty, scope).state.config.cmd, []);
  assert.equal(executeMetadata({ ...common, kind: 'entrypoint', command: none }, empty, scope).state.config.entrypoint, undefined);
});

test('an ARG takes --build-arg, else its default, else the global value, else stays unset', () => {
  const arg = (name: string, value?: string): StageState =>
    executeMetadata({ ...common, kind: 'arg', args: [{ name, ...(value === undefined ? {} : { value }) }] }, empty, scope).state;
  assert.equal(arg('GIVEN', 'x').environment.get('GIVEN'), 'given');
  assert.equal(arg('OTHER', 'x').environment.get('OTHER'), 'x');
  assert.equal(arg('GLOBAL').environment.get('GLOBAL'), 'global');
  assert.equal(arg('UNSET').environment.has('UNSET'), false);
  assert.equal(arg('UNSET').args.has('UNSET'), true);
  assert.deepEqual(arg('OTHER', 'x').config.env, []);
});

test('an ARG sees the ones before it on its line', () => {
  const args = [
    { name: 'a', value: '1' },
    { name: 'GIVEN', value: 'x' },
    { name: 'b', value: '$a' },
    { name: 'c', value: '$GIVEN' },
  ];
  const { environment } = executeMetadata({ ...common, kind: 'arg', args }, empty, scope).state;
  assert.deepEqual([environment.get('b'), environment.get('c')], ['1', 'given']);
});

test('ENV keeps the place of a variable that is there, with or without a value', () => {
  const before = {
    ...empty,
    config: { ...empty.config, env: ['A=1', 'BARE', 'AB=3'] },
    environment: new Map([
      ['A', '1'],
      ['AB', '3'],
    ]),
  };
  const pairs = Object.entries({ NEW: '', BARE: 'x', A: '9' }).map(([key, value]) => ({ key, value }));
  const { state } = executeMetadata({ ...common, kind: 'env', pairs: [...pairs, { key: 'NEW', value: 'again' }] }, before, scope);
  assert.deepEqual(state.config.env, ['A=9', 'BARE=x', 'AB=3', 'NEW=again']);
  assert.deepEqual([...state.environment], Object.entries({ A: '9', AB: '3', NEW: 'again', BARE: 'x' }));
});

for (const word of ['99999', '80-70', '80/icmp', 'http', '', '1.2.3.4:']) {
  test(`EXPOSE refuses ${JSON.stringify(word)}`, () => {
    assert.throws(
      () => executeMetadata({ ...common, kind: 'expose', words: [word] }, empty, { ...scope, expandWords: (item) => [item] }),
      /Cannot expose/,
    );
  });
}

test('Go texts: durations and quoted lists', () => {
  assert.deepEqual([0, 1500e6, 3600e9, 90e9, 5e6, 3723.5e9].map(goDuration), ['0s', '1.5s', '1h0m0s', '1m30s', '5ms', '1h2m3.5s']);
  assert.equal(goQuote('a"\\\n\u0001é'), '"a\\"\\\\\\n\\x01é"');
  assert.equal(goQuoteList([]), '[]');
});

for (const kind of ['expose', 'volume'] as const) {
  test(`${kind.toUpperCase()} reads no earlier names again to add its own`, (context) => {
    const reading = context.mock.method(GrownMap.prototype, 'entries');
    let state = empty;
    for (let number = 1; number <= 20_000; number++)
      ({ state } = executeMetadata({ ...common, kind, words: [String(number)] }, state, scope));
    const { exposedPorts, volumes } = state.config;
    assert.deepEqual([(exposedPorts ?? volumes)?.size, reading.mock.callCount()], [20_000, 0]);
  });
}

test('EXPOSE and VOLUME keep each name once, and those of the base', () => {
  const base = { ...empty, config: { ...empty.config, exposedPorts: new Map([['80/tcp', true as const]]) } };
  const { state } = executeMetadata({ ...common, kind: 'expose', words: ['80 79-81 443/udp'] }, base, scope);
  assert.deepEqual([...(state.config.exposedPorts?.keys() ?? [])].toSorted(), ['443/udp', '79/tcp', '80/tcp', '81/tcp']);
  assert.equal(base.config.exposedPorts.size, 1);
});
