import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteSource } from '../../../src/layer/byte-source.ts';

const { signal } = new AbortController();
const cut = { code: 'ERR_LAYER', message: 'Cannot read archive: it ends too early' };

async function* stream(...parts: readonly string[]): AsyncGenerator<Buffer> {
  for (const part of parts) yield await Promise.resolve(Buffer.from(part));
}

const open = (...parts: readonly string[]): ByteSource => new ByteSource(stream(...parts), signal);

type Step =
  | readonly ['take' | 'takeOrEnd' | 'takeSome' | 'takeNow', length: number, expected: string | undefined]
  | readonly ['drain', expected: boolean];

const rows: readonly (readonly [what: string, parts: readonly string[], steps: readonly Step[]])[] = [
  [
    'takes pieces of one chunk in turn',
    ['abcdef'],
    [
      ['take', 1, 'a'],
      ['take', 2, 'bc'],
      ['take', 3, 'def'],
      ['takeOrEnd', 1, undefined],
    ],
  ],
  [
    'joins what chunks cut apart',
    ['a', 'b', 'cd', 'e'],
    [
      ['take', 3, 'abc'],
      ['take', 2, 'de'],
    ],
  ],
  [
    'passes over empty chunks',
    ['', 'a', '', '', 'b', ''],
    [
      ['take', 2, 'ab'],
      ['takeOrEnd', 1, undefined],
    ],
  ],
  [
    'takes nothing where nothing is asked for',
    ['a'],
    [
      ['take', 0, ''],
      ['takeNow', 0, ''],
      ['take', 1, 'a'],
      ['takeOrEnd', 0, ''],
    ],
  ],
  [
    'has nothing at once before it has read',
    ['ab'],
    [
      ['takeNow', 1, undefined],
      ['take', 1, 'a'],
      ['takeNow', 1, 'b'],
    ],
  ],
  [
    'gives nothing at once where a part would be missing',
    ['ab', 'cd'],
    [
      ['take', 1, 'a'],
      ['takeNow', 2, undefined],
      ['take', 2, 'bc'],
      ['takeNow', 1, 'd'],
    ],
  ],
  [
    'gives of some bytes those of one chunk',
    ['abc', 'de'],
    [
      ['takeSome', 2, 'ab'],
      ['takeSome', 5, 'c'],
      ['takeSome', 5, 'de'],
    ],
  ],
  [
    'says again and again that it has ended',
    ['a'],
    [
      ['take', 1, 'a'],
      ['takeOrEnd', 1, undefined],
      ['takeOrEnd', 1, undefined],
      ['drain', false],
    ],
  ],
  [
    'finds no data in zeros',
    ['\0\0', '', '\0'],
    [
      ['take', 1, '\0'],
      ['drain', false],
    ],
  ],
  [
    'finds data in the rest of a chunk',
    ['a\0b', '\0'],
    [
      ['take', 2, 'a\0'],
      ['drain', true],
    ],
  ],
  [
    'finds data in a later chunk',
    ['a', '\0\0', '\0c', '\0'],
    [
      ['take', 1, 'a'],
      ['drain', true],
      ['takeOrEnd', 1, undefined],
    ],
  ],
  [
    'finds no data in what was taken',
    ['abc'],
    [
      ['take', 3, 'abc'],
      ['drain', false],
    ],
  ],
];
for (const [what, parts, steps] of rows) {
  test(`ByteSource ${what}`, async () => {
    const source = open(...parts);
    for (const step of steps) {
      if (step[0] === 'drain') assert.equal(await source.drain(), step[1]);
      else assert.equal((await source[step[0]](step[1]))?.toString(), step[2], step.join(' '));
    }
  });
}

test('ByteSource tells an end within what was asked for from one in front of it', async () => {
  for (const parts of [['ab'], ['a', 'b']]) {
    await assert.rejects(open(...parts).take(3), cut);
    await assert.rejects(open(...parts).takeOrEnd(3), cut);
  }
  await assert.rejects(open().take(1), cut);
  await assert.rejects(open().takeSome(1), cut);
  assert.equal(await open().takeOrEnd(1), undefined);
});

test('ByteSource gives views of a chunk, and copies only what chunks cut apart', async () => {
  const [first, second] = [Buffer.from('abc'), Buffer.from('def')];
  const source = new ByteSource(
    (async function* () {
      yield await Promise.resolve(first);
      yield second;
    })(),
    signal,
  );
  assert.equal((await source.takeSome(2)).buffer, first.buffer);
  const joint = await source.take(2);
  first.fill('x');
  second.fill('x');
  assert.equal(joint.toString(), 'cd');
});

test('ByteSource reads no further than what was asked for', async () => {
  let given = 0;
  const counted = async function* (): AsyncGenerator<Buffer> {
    for (;;) {
      given++;
      yield await Promise.resolve(Buffer.from('ab'));
    }
  };
  const source = new ByteSource(counted(), signal);
  for (const [length, expected] of [
    [2, 1],
    [1, 2],
    [1, 2],
    [3, 4],
  ] as const) {
    await source.take(length);
    assert.equal(given, expected);
  }
});

test('ByteSource asks for nothing more after an abort, but gives what is here', async () => {
  const controller = new AbortController();
  const source = new ByteSource(stream('ab', 'cd'), controller.signal);
  await source.take(1);
  controller.abort(new Error('enough'));
  assert.equal((await source.take(1)).toString(), 'b');
  for (const step of [() => source.take(1), () => source.takeSome(1), () => source.drain()])
    await assert.rejects(step(), /^Error: enough$/);
});

test('ByteSource lets go of its stream when it is closed, once', async () => {
  let closed = 0;
  const watched = async function* (): AsyncGenerator<Buffer> {
    try {
      for (;;) yield await Promise.resolve(Buffer.from('ab'));
    } finally {
      closed++;
    }
  };
  const source = new ByteSource(watched(), signal);
  await source.take(1);
  await source.close();
  await source.close();
  assert.equal(closed, 1);
});
