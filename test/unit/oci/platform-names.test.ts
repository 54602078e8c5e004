// What platforms are called, by containerd's rules, and how far one is from another.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Platform,
  formatPlatform,
  hostPlatform,
  normalizePlatform,
  parsePlatform,
  platformDistance,
  platformMatches,
} from '../../../src/oci/platform.ts';

const host: Platform = { os: 'linux', architecture: 'arm', variant: 'v6' };

const names: readonly (readonly [text: string, formatted: string])[] = [
  ['linux/amd64', 'linux/amd64'],
  ['Linux/AMD64', 'linux/amd64'],
  ['linux/x86_64', 'linux/amd64'],
  ['linux/x86-64', 'linux/amd64'],
  ['linux/amd64/v1', 'linux/amd64'],
  ['linux/amd64/V3', 'linux/amd64/v3'],
  ['linux/i386', 'linux/386'],
  ['linux/aarch64', 'linux/arm64'],
  ['linux/arm64/v8', 'linux/arm64'],
  ['linux/arm64/8', 'linux/arm64'],
  ['linux/arm64/v9', 'linux/arm64/v9'],
  ['linux/arm', 'linux/arm/v7'],
  ['linux/arm/7', 'linux/arm/v7'],
  ['linux/arm/v5', 'linux/arm/v5'],
  ['linux/armhf', 'linux/arm/v7'],
  ['linux/armel', 'linux/arm/v6'],
  ['linux/armel/v5', 'linux/arm/v5'],
  ['windows/amd64', 'windows/amd64'],
  ['windows(10.0.17763)/amd64', 'windows(10.0.17763)/amd64'],
  ['linux/odd-one/v_1.2', 'linux/odd-one/v_1.2'],
  ['linux', 'linux/arm/v6'],
  ['WINDOWS', 'windows/arm/v6'],
  ['freebsd', 'freebsd/arm/v6'],
  ['amd64', 'linux/amd64'],
  ['armhf', 'linux/arm/v7'],
  ['plan9', 'plan9/arm/v6'],
  ['riscv64', 'linux/riscv64'],
  ['linux/foo', 'linux/foo'],
];
for (const [text, formatted] of names) {
  test(`parsePlatform() takes ${text} for ${formatted}, and what it gives for itself`, () => {
    const platform = parsePlatform(text, host);
    assert.equal(formatPlatform(platform), formatted);
    assert.deepEqual(parsePlatform(formatted, host), platform);
    assert.deepEqual(normalizePlatform(platform), platform);
  });
}

for (const text of [
  '',
  '/',
  'linux/',
  '/amd64',
  'linux//v7',
  'linux/amd64/v1/x',
  'linux amd64',
  'linux/amd64\n',
  'linux/été',
  'linux,amd64',
  '(1)/amd64',
  'windows(1/amd64',
]) {
  test(`parsePlatform() refuses ${JSON.stringify(text)}`, () => {
    assert.throws(() => parsePlatform(text, host), {
      code: 'ERR_USAGE',
      message: `Cannot use platform ${JSON.stringify(text)}: expected os/arch or os/arch/variant`,
      hint: 'for example linux/amd64 or linux/arm/v7',
    });
  });
}

for (const [nodeArch, expected] of [
  ['x64', 'linux/amd64'],
  ['ia32', 'linux/386'],
  ['arm64', 'linux/arm64'],
  ['arm', 'linux/arm/v7'],
  ['ppc64', 'linux/ppc64'],
  ['s390x', 'linux/s390x'],
  ['riscv64', 'linux/riscv64'],
] as const) {
  test(`hostPlatform() calls Node's ${nodeArch} ${expected}`, () => assert.equal(formatPlatform(hostPlatform(nodeArch)), expected));
}

test('normalizePlatform() keeps the version of the system', () => {
  const windows = { os: 'Windows', architecture: 'X86_64', osVersion: '10.0.17763.1' };
  assert.deepEqual(normalizePlatform(windows), { os: 'windows', architecture: 'amd64', osVersion: '10.0.17763.1' });
});

function platformOf(text: string): Platform {
  const [os = '', architecture = '', variant] = text.split('/');
  return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}

// Rows are what is wanted, columns what is offered; "-" is no match.
const tables: readonly (readonly [offered: readonly string[], rows: Readonly<Record<string, readonly (number | '-')[]>>])[] = [
  [
    ['linux/amd64', 'linux/amd64/v1', 'linux/amd64/v2', 'linux/amd64/v3', 'linux/386', 'linux/arm64', 'windows/amd64'],
    {
      'linux/amd64': [0, 0, 1001, 1002, '-', '-', '-'],
      'linux/x86_64/v1': [0, 0, 1001, 1002, '-', '-', '-'],
      'linux/amd64/v2': [1, 1, 0, '-', '-', '-', '-'],
      'linux/amd64/v4': [3, 3, 2, 1, '-', '-', '-'],
      'linux/386': ['-', '-', '-', '-', 0, '-', '-'],
      'windows/amd64': ['-', '-', '-', '-', '-', '-', 0],
    },
  ],
  [
    ['linux/arm', 'linux/arm/v5', 'linux/arm/v6', 'linux/arm/7', 'linux/arm/v8', 'linux/arm64', 'linux/armel'],
    {
      'linux/arm': [0, 2, 1, 0, '-', '-', 1],
      'linux/arm/v7': [0, 2, 1, 0, '-', '-', 1],
      'linux/arm/v6': ['-', 1, 0, '-', '-', '-', 0],
      'linux/arm/v8': [1, 3, 2, 1, 0, '-', 2],
      'linux/arm64': ['-', '-', '-', '-', '-', 0, '-'],
    },
  ],
  [['linux/amd64/2', 'linux/riscv64/odd'], { 'linux/amd64/v2': ['-', '-'], 'linux/riscv64': ['-', 1000] }],
  [
    ['linux/arm64', 'linux/arm64/v8', 'linux/arm64/v9', 'linux/arm64/odd'],
    { 'linux/arm64': [0, 0, 1001, 1000], 'linux/arm64/v9': [1, 1, 0, '-'], 'linux/arm64/odd': ['-', '-', '-', 0] },
  ],
];
for (const [offered, rows] of tables) {
  for (const [wanted, distances] of Object.entries(rows)) {
    test(`platformDistance() from ${wanted} to ${offered.join(', ')} is ${distances.join(', ')}`, () => {
      const found = offered.map((text) => platformDistance(platformOf(text), platformOf(wanted)) ?? '-');
      assert.deepEqual(found, distances);
      const matches = offered.map((text) => platformMatches(platformOf(text), platformOf(wanted)));
      assert.deepEqual(
        matches,
        distances.map((distance) => distance !== '-'),
      );
    });
  }
}

test('parsePlatform() refuses one word that is no system and no architecture', () => {
  for (const text of ['foo', 'linux-amd64', 'latest'])
    assert.throws(() => parsePlatform(text, host), {
      code: 'ERR_USAGE',
      message: `Cannot use platform ${JSON.stringify(text)}: no operating system and no architecture is called so`,
      hint: 'for example linux/amd64, or arm64',
    });
});
