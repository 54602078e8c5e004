// What somebody who debugs a push sees, and what everybody is warned of.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BuildEvent } from '../../../src/events.ts';
import { RegistryError } from '../../../src/errors.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { type Exchange, exchangeNotes } from '../../../src/registry/notes.ts';
import { answer, startFakeRegistry } from '../../support/fake-registry.ts';
import { layerOf, someBytes, storedOf } from '../../support/image.ts';
import { passwordFor, testClient } from '../../support/registry-client.ts';

const { signal } = new AbortController();

test('each request is told at debug with method, URL, status and time, and the place of an image; no secret is', async () => {
  const registry = await startFakeRegistry({ auth: { kind: 'token', user: 'me', password: 's:e:cret' } });
  const mirror = await startFakeRegistry();
  try {
    await using client = testClient({
      credentials: passwordFor('me', 's:e:cret'),
      mirrors: { mirrors: new Map([[registry.host, [mirror.host]]]) },
    });
    const reference = parseReference(`${registry.host}/app/image:v1`);
    await client.pushImage(storedOf(layerOf(someBytes(100))), [reference], {}, signal);
    const location = `${registry.url}/v2/app/image/manifests/v1?X-Amz-Signature=5EC12E7`;
    registry.inject({ method: 'GET', path: /manifests/, act: answer(307, 'MOVED', { location }) });
    const { digest } = await client.pullImage(reference, { os: 'linux', architecture: 'amd64' }, signal);
    const told = client.events.flatMap((event) => (event.kind === 'note' && event.level === 'debug' ? [event.message] : []));
    const lines = told.map((line) =>
      line
        .replace(/\d+ ms/, 'N ms')
        .replaceAll(registry.url, 'REGISTRY')
        .replaceAll(mirror.url, 'MIRROR'),
    );
    assert.deepEqual(lines.slice(-6), [
      'GET MIRROR/v2/app/image/manifests/v1 404 N ms',
      'GET REGISTRY/token?service=…&scope=… 200 N ms',
      'GET REGISTRY/v2/app/image/manifests/v1 307 N ms',
      'GET REGISTRY/v2/app/image/manifests/v1?X-Amz-Signature=… 200 N ms',
      `${registry.host}/app/image:v1 is taken from ${registry.host}/app/image@${digest}`,
      lines.at(-1),
    ]);
    assert.ok(lines.some((line) => /^PUT REGISTRY\/v2\/app\/image\/blobs\/uploads\/[0-9a-f-]+\?_state=…&digest=… 201 N ms$/.test(line)));
    assert.doesNotMatch(lines.join('\n'), /5EC12E7|s:e:cret|bWU6|eyJ|Bearer/);
  } finally {
    await Promise.all([registry.stop(), mirror.stop()]);
  }
});

const exchange = (outcome: Exchange['outcome'] | Readonly<Record<string, string>>): Exchange => ({
  request: { method: 'GET', url: new URL('https://user:secret@r.test/v2/?token=secret'), headers: { authorization: 'Basic c2VjcmV0' } },
  durationMs: 12.4,
  outcome:
    outcome instanceof Error || 'status' in outcome
      ? (outcome as Exchange['outcome']) // what has a status is an answer
      : ({
          status: 200,
          headers: new Map(Object.entries(outcome).map(([name, value]) => [name, [value]])),
        } as unknown as Exchange['outcome']), // nobody reads its body
});

function told(nowMs: number, ...exchanges: readonly Exchange[]): readonly string[] {
  const events: BuildEvent[] = [];
  const tell = exchangeNotes(
    (event) => events.push(event),
    () => nowMs,
  );
  for (const item of exchanges) tell(item);
  return events.flatMap((event) => (event.kind === 'note' || event.kind === 'warning' ? [`${event.kind}: ${event.message}`] : []));
}

test('a request that got no answer is told with the reason', () => {
  const failure = new RegistryError('Cannot reach r.test: connection reset', { method: 'GET', url: 'https://r.test/v2/' });
  assert.deepEqual(told(0, exchange(failure)), [
    'note: GET https://r.test/v2/?token=… failed after 12 ms: Cannot reach r.test: connection reset',
  ]);
});

test("a clock that differs from the first registry's by more than five minutes is warned of once", () => {
  const date = 'Thu, 01 Jan 2026 00:00:00 GMT';
  const now = Date.parse(date);
  const warnings = (nowMs: number): readonly string[] =>
    told(nowMs, exchange({ date }), exchange({ date })).filter((line) => line.startsWith('warning'));
  assert.deepEqual(warnings(now - 299_000), []);
  assert.deepEqual(warnings(now + 299_000), []);
  assert.deepEqual(warnings(now - 3_600_000), [
    'warning: the clock of r.test is 60 minutes ahead of ours: certificates and tokens may look invalid',
  ]);
  assert.deepEqual(warnings(now + 3_600_000 * 24), [
    'warning: the clock of r.test is 1440 minutes behind ours: certificates and tokens may look invalid',
  ]);
  assert.deepEqual(
    told(now, exchange({ date: 'soon' }), exchange({})).filter((line) => line.startsWith('warning')),
    [],
  );
});
