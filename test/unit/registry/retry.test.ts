import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Clock, Patience, TransientError, defaultRetryPolicy, parseRetryAfter, withRetries } from '../../../src/registry/retry.ts';

const date = 'Sat, 21 Nov 2026 10:00:00 GMT';
const rows: readonly (readonly [value: string | undefined, serverDate: string | undefined, expectedMs: number | undefined])[] = [
  ['120', undefined, 120_000],
  ['0', undefined, 0],
  ['-5', undefined, undefined],
  ['soon', date, undefined],
  ['Sat, 21 Nov 2026 10:01:30 GMT', date, 90_000],
  ['Sat, 21 Nov 2026 09:00:00 GMT', date, undefined],
  ['Sat, 21 Nov 2026 10:01:30 GMT', undefined, undefined],
  [undefined, date, undefined],
];
for (const [value, serverDate, expectedMs] of rows) {
  test(`parseRetryAfter(${JSON.stringify(value)}) against ${serverDate ?? 'no date'} is ${expectedMs}`, () => {
    assert.equal(parseRetryAfter(value, serverDate), expectedMs);
  });
}

function clockOf(): Clock & { readonly waits: number[] } {
  let nowMs = 0;
  const waits: number[] = [];
  return {
    waits,
    now: () => nowMs,
    random: () => 0.5,
    sleep: async (durationMs) => {
      waits.push(durationMs);
      nowMs += durationMs;
      await Promise.resolve();
    },
  };
}
const busy = (retryAfterMs?: number): TransientError => new TransientError('busy', { method: 'GET', url: 'x' }, { retryAfterMs });

test('withRetries() doubles its waits and gives up with the last failure', async () => {
  const clock = clockOf();
  await assert.rejects(
    withRetries({ policy: defaultRetryPolicy, clock }, new AbortController().signal, async () => await Promise.reject(busy())),
    /busy/,
  );
  assert.deepEqual(clock.waits, [1000, 2000, 4000, 8000, 16_000]);
});

test('withRetries() honours a wait of up to ten minutes, which costs none of its own time', async () => {
  const clock = clockOf();
  const failures = [busy(400_000), busy(600_000)];
  const result = await withRetries({ policy: defaultRetryPolicy, clock }, new AbortController().signal, async () => {
    const failure = failures.shift();
    return failure === undefined ? await Promise.resolve('done') : await Promise.reject(failure);
  });
  assert.equal(result, 'done');
  assert.deepEqual(clock.waits, [400_000, 600_000]);
});

test('withRetries() gives up at once where a longer wait is asked for, and says so', async () => {
  const clock = clockOf();
  const busyFor = async (): Promise<never> => await Promise.reject(busy(99_999_000));
  const trying = withRetries({ policy: defaultRetryPolicy, clock }, new AbortController().signal, busyFor);
  await assert.rejects(trying, { message: 'busy and asks to be left alone for 1667 minutes', isSpent: true });
  assert.deepEqual(clock.waits, []);
});

test('withRetries() does not repeat what another try cannot change', async () => {
  const clock = clockOf();
  await assert.rejects(
    withRetries({ policy: defaultRetryPolicy, clock }, new AbortController().signal, async () => await Promise.reject(new Error('no'))),
    /no/,
  );
  assert.deepEqual(clock.waits, []);
});

test('Patience counts anew after a gain, what a server asked for before included', async () => {
  const clock = clockOf();
  const { signal } = new AbortController();
  const patience = new Patience({ policy: { ...defaultRetryPolicy, tries: 3 }, clock });
  await patience.wait(busy(600_000), signal);
  await patience.wait(busy(), signal);
  patience.renew();
  await patience.wait(busy(), signal);
  await patience.wait(busy(), signal);
  await assert.rejects(patience.wait(busy(), signal), { message: 'busy (tried 3 times)', isSpent: true });
  assert.deepEqual(clock.waits, [600_000, 2000, 1000, 2000]);
});

test('Patience gives up so long after the first failure, however long all went well before', async () => {
  const clock = clockOf();
  const { signal } = new AbortController();
  const patience = new Patience({ policy: defaultRetryPolicy, clock });
  await clock.sleep(1_000_000, signal);
  await patience.wait(busy(), signal);
  await clock.sleep(defaultRetryPolicy.budgetMs, signal);
  await assert.rejects(patience.wait(busy(), signal), /busy/);
});
