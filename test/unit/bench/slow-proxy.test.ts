import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { Agent, createServer, request } from 'node:http';
import { test, type TestContext } from 'node:test';
import { type SlowProxy, startSlowProxy } from '../../support/slow-proxy.ts';
import { listen } from '../../support/listen.ts';

const delayMs = 40;
const body = randomBytes(3_000_000);

async function proxied(t: TestContext): Promise<SlowProxy> {
  const server = createServer((incoming, response) => {
    const hash = createHash('sha256');
    incoming.on('data', (chunk: Buffer) => hash.update(chunk));
    incoming.on('end', () => response.end(incoming.method === 'PUT' ? hash.digest('hex') : body));
  });
  const port = await listen(server);
  const proxy = await startSlowProxy(`127.0.0.1:${port}`, delayMs);
  t.after(async () => {
    await proxy.stop();
    server.closeAllConnections();
    server.close();
  });
  return proxy;
}

function ask(proxy: SlowProxy, agent: Agent, upload?: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    const asked = request(`http://${proxy.address}/`, { agent, method: upload === undefined ? 'GET' : 'PUT' }, (answer) => {
      answer.on('data', (chunk: Buffer) => parts.push(chunk));
      answer.on('end', () => resolve(Buffer.concat(parts)));
    });
    asked.on('error', reject).end(upload);
  });
}

test('a slow proxy passes on every byte in order, both ways', async (t) => {
  const proxy = await proxied(t);
  using agent = closing(new Agent({ keepAlive: true }));
  assert.ok((await ask(proxy, agent)).equals(body));
  assert.equal((await ask(proxy, agent, body)).toString(), createHash('sha256').update(body).digest('hex'));
});

test('a slow proxy makes an answer on a new connection take two round trips, and the next one on it one', async (t) => {
  const proxy = await proxied(t);
  using agent = closing(new Agent({ keepAlive: true }));
  for (const roundTrips of [2, 1]) {
    const started = performance.now();
    await ask(proxy, agent);
    const took = performance.now() - started;
    assert.ok(took >= roundTrips * 2 * delayMs - 5, `the answer took ${took} ms`);
  }
});

test('a slow proxy counts requests and connections that waited for one another once each, and those under way together as one', async (t) => {
  const proxy = await proxied(t);
  using agent = closing(new Agent({ keepAlive: true }));
  for (let count = 0; count < 3; count++) await ask(proxy, agent);
  assert.deepEqual(proxy.take(), { connections: 1, inARow: 4 });
  const alone = closing(new Agent());
  using _ = alone;
  await Promise.all([ask(proxy, alone), ask(proxy, alone), ask(proxy, alone)]);
  assert.deepEqual(proxy.take(), { connections: 3, inARow: 2 });
});

function closing(agent: Agent): Agent & Disposable {
  return Object.assign(agent, {
    [Symbol.dispose]: () => {
      agent.destroy();
    },
  });
}
