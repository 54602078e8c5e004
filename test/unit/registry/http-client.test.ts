import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type IncomingMessage, type ServerResponse, createServer as createHttpServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer } from 'node:net';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type HttpResponse, createHttpClient } from '../../../src/registry/http-client.ts';
import { namesFromTable } from '../../../src/registry/names.ts';
import { networkError } from '../../../src/registry/network-error.ts';
import { TransientError } from '../../../src/registry/retry.ts';
import { missingOpenssl, selfSigned } from '../../support/certificates.ts';
import { temporaryFolder } from '../../support/tree.ts';
import { listen } from '../../support/listen.ts';

const url = new URL('https://reg.test/v2/?secret=x');
const withCode = (code: string): Error => Object.assign(new Error(`${code} 10.0.0.1`), { code });

test('networkError() finds the reason in causes and aggregates, and knows what may pass', () => {
  const nested = new Error('outer', { cause: new AggregateError([withCode('ECONNREFUSED')]) });
  const error = networkError(nested, { method: 'GET', url });
  assert.ok(error instanceof TransientError);
  assert.equal(error.message, 'Cannot reach reg.test: connection refused');
  assert.equal(error.url, 'https://reg.test/v2/?secret=…');
  assert.equal(networkError(withCode('ENOTFOUND'), { method: 'GET', url }) instanceof TransientError, false);
});

for (const when of ['in one piece with it', 'a little later', 'when the next request has come'] as const) {
  test(`a server that sends a body after its answer to HEAD, ${when}, is asked again on another connection`, async () => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      let owed = '';
      socket.on('data', (bytes) => {
        const isHead = bytes.toString('latin1').startsWith('HEAD');
        const stray = isHead && when === 'in one piece with it' ? 'not found' : '';
        const answer = isHead ? `404 Not Found\r\ncontent-length: 9\r\n\r\n${stray}` : '200 OK\r\ncontent-length: 4\r\n\r\nfine';
        socket.write(`${owed}HTTP/1.1 ${answer}`);
        if (isHead && when === 'a little later') void sleep(30).then(() => socket.write('not found'));
        if (isHead && when === 'when the next request has come') owed = 'not found';
      });
    });
    const port = await listen(server);
    const client = createHttpClient({ names: namesFromTable(new Map()), hostRules: () => ({}) });
    const ask = async (method: 'GET' | 'HEAD'): Promise<string> => {
      const at = new URL(`http://127.0.0.1:${port}/`);
      const { status, body } = await client.exchange({ method, url: at, headers: {} }, new AbortController().signal);
      return `${status} ${await text(body)}`;
    };
    try {
      assert.equal(await ask('HEAD'), '404 ');
      if (when === 'a little later') await sleep(60);
      assert.equal(await ask('GET'), '200 fine');
      assert.equal(await ask('HEAD'), '404 ');
    } finally {
      await client.close();
      server.close();
    }
  });
}

/** Asks a server that writes `answer` to whoever connects, over and over where it is endless. */
async function askRaw<Value>(answer: Iterable<string>, use: (asked: Promise<HttpResponse>) => Promise<Value>): Promise<Value> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => Readable.from(answer, { objectMode: false }).pipe(socket));
  });
  const port = await listen(server);
  const client = createHttpClient({ names: namesFromTable(new Map()), hostRules: () => ({}) });
  const at = new URL(`http://127.0.0.1:${port}/`);
  try {
    return await use(client.exchange({ method: 'GET', url: at, headers: {} }, new AbortController().signal));
  } finally {
    await client.close();
    server.close();
  }
}

test('a server that sends interim answers without end is given up, and one that sends a few is heard', { timeout: 20_000 }, async () => {
  const hints = 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n';
  const last = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine';
  const endless = (function* () {
    for (;;) yield hints;
  })();
  await askRaw(endless, async (asked) => {
    await assert.rejects(asked, (error) => {
      assert.ok(error instanceof TransientError);
      assert.match(error.message, /^Cannot reach 127\.0\.0\.1:\d+: it sent more than 5 interim answers \(1xx\), and no other$/);
      return true;
    });
  });
  await askRaw([hints.repeat(5), last], async (asked) => assert.equal(await text((await asked).body), 'fine'));
});

test('a body that comes byte by byte is put together, and holds no more than it is', { timeout: 60_000 }, async () => {
  const chunk = `1;${'x'.repeat(1000)}\r\na\r\n`;
  const count = 20_000;
  const answer = [
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n',
    ...Array.from({ length: 200 }, () => chunk.repeat(count / 200)),
    '0\r\n\r\n',
  ];
  const pieces = await askRaw(answer, async (asked) => await (await asked).body.toArray());
  assert.equal(Buffer.concat(pieces).length, count);
  assert.ok(pieces.length < count / 10, String(pieces.length));
  const held = new Set(pieces.map(({ buffer: memory }: Buffer) => memory));
  const heldBytes = [...held].reduce((sum, memory) => sum + memory.byteLength, 0);
  assert.ok(heldBytes < 1024 * 1024, String(heldBytes));
});

for (const scheme of ['http', 'https'] as const) {
  const title = `a body may use one buffer for all its chunks, of whatever length, though the ${scheme} server is slow to take them`;
  test(title, { skip: scheme === 'https' && missingOpenssl }, async (context) => {
    const received = Promise.withResolvers<Buffer>();
    const receive = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      await sleep(50);
      received.resolve(await buffer(request));
      response.end();
    };
    const listener = (request: IncomingMessage, response: ServerResponse): void => void receive(request, response);
    const pair = scheme === 'https' ? await selfSigned(temporaryFolder(context), 'slow', 'DNS:localhost') : undefined;
    const server =
      pair === undefined
        ? createHttpServer(listener)
        : createTlsServer({ cert: readFileSync(pair.certificate), key: readFileSync(pair.key) }, listener);
    const port = await listen(server);
    const client = createHttpClient({ names: namesFromTable(new Map()), hostRules: () => ({ skipTlsVerify: true }) });
    // What is shorter than a socket's buffer fills the network's first: then it waits in the socket.
    const short = Array.from({ length: 200 }, (_, index) => 60_000 - index);
    const lengths = [...short, 5, 700_000, 65_535, 65_536, 1, 200_000, ...short];
    const lent = Buffer.alloc(700_000);
    const body = async function* (): AsyncGenerator<Buffer> {
      for (const [index, length] of lengths.entries()) {
        yield lent.fill(index, 0, length).subarray(0, length);
        lent.fill(255, 0, length);
      }
    };
    try {
      const at = new URL(`${scheme}://127.0.0.1:${port}/`);
      await client.exchange({ method: 'PATCH', url: at, headers: {}, body: body(), isGrowing: true }, new AbortController().signal);
      const expected = Buffer.concat(lengths.map((length, index) => Buffer.alloc(length, index)));
      assert.ok((await received.promise).equals(expected));
    } finally {
      await client.close();
      server.close();
    }
  });
}

test('a certificate that is not trusted says where authorities are looked for, and nothing of flags of Node', () => {
  const words = 'self-signed certificate; if the root CA is installed locally, try running Node.js with --use-system-ca';
  const failure = Object.assign(new Error(words), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  const error = networkError(failure, { method: 'GET', url }, { authorities: '/certs (SSL_CERT_DIR), where authorities are looked for' });
  assert.match(
    String(error.hint),
    /^put its authority's certificate into \/certs \(SSL_CERT_DIR\), where .* --registry-certificate reg\.test=/,
  );
  assert.deepEqual(error.cause instanceof Error && [error.cause.message, 'code' in error.cause && error.cause.code], [
    'self-signed certificate',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
  ]);
  assert.match(String(networkError(withCode('CERT_HAS_EXPIRED'), { method: 'GET', url }).hint), /^renew its certificate/);
  assert.match(String(networkError(withCode('ERR_TLS_CERT_ALTNAME_INVALID'), { method: 'GET', url }).hint), /^call it by a name/);
});
