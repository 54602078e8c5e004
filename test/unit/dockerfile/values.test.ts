// The small values an instruction is made of: durations, ports, signals, names that are nearly right.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDuration } from '../../../src/dockerfile/duration.ts';
import { parsePort } from '../../../src/dockerfile/ports.ts';
import { parseSignal } from '../../../src/dockerfile/signals.ts';
import { didYouMean, suggest } from '../../../src/suggest.ts';

const second = 1_000_000_000;

for (const [text, expected] of [
  ['0', 0],
  ['0s', 0],
  ['5s', 5 * second],
  ['1m30s', 90 * second],
  ['2h45m', 9900 * second],
  ['1.5h', 5400 * second],
  ['.5s', second / 2],
  ['1.s', second],
  ['100ms', second / 10],
  ['10us', 10_000],
  ['10µs', 10_000],
  ['10μs', 10_000],
  ['7ns', 7],
  ['0.5ns', 0],
  ['-3s', -3 * second],
  ['+3s', 3 * second],
  ['1s1s', 2 * second],
  ['', undefined],
  ['5', undefined],
  ['s', undefined],
  ['.s', undefined],
  ['5 s', undefined],
  ['5S', undefined],
  ['1d', undefined],
  ['-', undefined],
  ['300000000h', undefined],
] as const) {
  test(`parseDuration() reads ${JSON.stringify(text)} as ${String(expected)}`, () => {
    assert.equal(parseDuration(text), expected);
  });
}

for (const [word, expected] of [
  ['80', ['80/tcp']],
  ['80/TCP', ['80/tcp']],
  ['53/udp', ['53/udp']],
  ['9/sctp', ['9/sctp']],
  ['0', ['0/tcp']],
  ['65535', ['65535/tcp']],
  ['8000-8002', ['8000/tcp', '8001/tcp', '8002/tcp']],
  ['80-80', ['80/tcp']],
  ['8080:80', ['80/tcp']],
  ['127.0.0.1:8080:80/udp', ['80/udp']],
  ['127.0.0.1::80', ['80/tcp']],
  ['[::1]:8080:80', ['80/tcp']],
  ['1000-1001:80-81', ['80/tcp', '81/tcp']],
  ['1000-1005:80', ['80/tcp']],
  ['80/', ['80/tcp']],
] as const) {
  test(`parsePort() reads ${word}`, () => {
    const port = parsePort(word);
    assert.ok('ports' in port);
    assert.deepEqual(port.ports, expected);
    assert.equal(port.hasHostPart, word.includes(':'));
  });
}

for (const [word, problem] of [
  ['', '"" is not a port'],
  ['http', '"http" is not a port'],
  ['-1', '"-1" is not a port'],
  ['80-', '"80-" is not a port'],
  ['1.5', '"1.5" is not a port'],
  ['65536', 'port 65536 is above 65535'],
  ['1-70000', 'port 70000 is above 65535'],
  ['81-80', 'the range 81-80 runs backwards'],
  ['80/tpc', 'unknown protocol "tpc"'],
  ['80/tcp/udp', 'unknown protocol "tcp/udp"'],
  ['/tcp', '"" is not a port'],
  ['web:80', '"web" is not a host port'],
  ['65536:80', 'host port 65536 is above 65535'],
  ['91-90:80', 'the range 91-90 runs backwards'],
  ['80:90-91', '80 are not as many ports as 90-91'],
  ['1.2.3:80:80', '"1.2.3" is not an IP address'],
] as const) {
  test(`parsePort() says what is wrong with ${JSON.stringify(word)}`, () => {
    const port = parsePort(word);
    assert.ok('problem' in port);
    assert.equal(port.problem, problem);
  });
}

for (const [text, expected] of [
  ['SIGTERM', 15],
  ['term', 15],
  ['sigKill', 9],
  ['9', 9],
  ['64', 64],
  ['SIGRTMIN', 34],
  ['RTMIN+3', 37],
  ['SIGRTMAX-1', 63],
  ['SIGRTMAX', 64],
  ['0', undefined],
  ['65', undefined],
  ['SIG', undefined],
  ['SIGNOPE', undefined],
  ['RTMIN+31', undefined],
  ['RTMAX-31', undefined],
  ['-9', undefined],
] as const) {
  test(`parseSignal() reads ${text} as ${String(expected)}`, () => {
    assert.equal(parseSignal(text), expected);
  });
}

for (const [word, names, expected] of [
  ['biuld', ['base', 'build'], 'build'],
  ['FORM', ['FROM', 'RUN'], 'FROM'],
  ['entrypiont', ['ENTRYPOINT'], 'ENTRYPOINT'],
  ['path', ['PATH'], 'PATH'],
  ['late', ['PATH'], undefined],
  ['x', ['yz'], undefined],
  ['same', ['same'], undefined],
  ['', ['a'], undefined],
  ['2', ['a', '1'], undefined],
] as const) {
  test(`suggest() offers ${String(expected)} for ${JSON.stringify(word)}`, () => {
    assert.equal(suggest(word, names), expected);
  });
}

test('didYouMean() shows the name the way it is written', () => {
  assert.equal(
    didYouMean('chwon', ['chown'], (name) => `--${name}`),
    'did you mean --chown?',
  );
  assert.equal(didYouMean('zzz', ['chown']), undefined);
});
