import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JointWork } from '../../../src/registry/joint-work.ts';

/** Work that ends when told, and says what its signal says. */
function work(): {
  readonly begin: (signal: AbortSignal) => Promise<string>;
  readonly begun: AbortSignal[];
  readonly finish: (value: string) => void;
} {
  const begun: AbortSignal[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  return {
    begun,
    finish: resolve,
    begin: async (signal) => {
      begun.push(signal);
      signal.addEventListener('abort', () => reject(signal.reason));
      return await promise;
    },
  };
}

test('JointWork does once what two callers want, and later ones get the result', async () => {
  const joint = new JointWork<string, string>();
  const { begin, begun, finish } = work();
  const { signal } = new AbortController();
  const both = Promise.all([joint.get('a', signal, begin), joint.get('a', signal, begin)]);
  finish('done');
  assert.deepEqual(await both, ['done', 'done']);
  assert.equal(await joint.get('a', signal, begin), 'done');
  assert.equal(begun.length, 1);
});

test('JointWork goes on where its first caller leaves and another one stays', async () => {
  const joint = new JointWork<string, string>();
  const { begin, begun, finish } = work();
  const [first, second] = [new AbortController(), new AbortController()];
  const leaving = joint.get('a', first.signal, begin);
  const staying = joint.get('a', second.signal, begin);
  first.abort(new Error('enough'));
  await assert.rejects(leaving, /enough/);
  assert.equal(begun[0]?.aborted, false);
  finish('done');
  assert.equal(await staying, 'done');
});

test('JointWork ends with its last caller, who waits for its end', async () => {
  const joint = new JointWork<string, string>();
  const { begin, begun } = work();
  const controller = new AbortController();
  const both = Promise.allSettled([joint.get('a', controller.signal, begin), joint.get('a', controller.signal, begin)]);
  controller.abort(new Error('enough'));
  assert.deepEqual(
    (await both).map((item) => item.status === 'rejected' && String(item.reason)),
    ['Error: enough', 'Error: enough'],
  );
  assert.equal(begun[0]?.aborted, true);
  assert.equal(await joint.get('a', new AbortController().signal, async () => await Promise.resolve('anew')), 'anew');
});

test('JointWork does not keep a failure, nor what it is told to forget', async () => {
  const joint = new JointWork<string, string>();
  const { signal } = new AbortController();
  const give = (value: string) => async (): Promise<string> => await Promise.resolve(value);
  await assert.rejects(
    joint.get('a', signal, async () => await Promise.reject(new Error('no'))),
    /no/,
  );
  assert.equal(await joint.get('a', signal, give('one')), 'one');
  joint.delete('a', 'another');
  assert.equal(await joint.get('a', signal, give('two')), 'one');
  joint.delete('a', 'one');
  assert.equal(await joint.get('a', signal, give('three')), 'three');
  joint.clear();
  assert.equal(await joint.get('a', signal, give('four')), 'four');
});

test('JointWork begins nothing for a caller who has left already', async () => {
  const joint = new JointWork<string, string>();
  const { begin, begun } = work();
  await assert.rejects(joint.get('a', AbortSignal.abort(new Error('gone')), begin), /gone/);
  assert.equal(begun.length, 0);
});
