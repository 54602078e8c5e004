// TLS as operators meet it: a private authority, a wrong host, no TLS at all.
import assert from 'node:assert/strict';
import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { type Server, createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseReference } from '../../../src/oci/reference.ts';
import { namesFromTable } from '../../../src/registry/names.ts';
import type { HostRules } from '../../../src/registry/http-client.ts';
import { missingOpenssl, selfSigned } from '../../support/certificates.ts';
import { missingDockerRegistry, startDockerRegistry } from '../../support/docker-registry.ts';
import { startFakeRegistry } from '../../support/fake-registry.ts';
import { type TestClient, testClient } from '../../support/registry-client.ts';
import { listen } from '../../support/listen.ts';

const { signal } = new AbortController();
const skip = missingOpenssl;
const names = namesFromTable(
  new Map([
    ['registry.test', [{ address: '127.0.0.1', family: 4 as const }]],
    ['other.test', [{ address: '127.0.0.1', family: 4 as const }]],
  ]),
);

/** A server that answers 404 to everything, with a certificate of its own for registry.test. */
async function startTls(): Promise<{
  readonly port: number;
  readonly certificate: string;
  readonly seen: string[];
  readonly stop: () => Promise<void>;
}> {
  await using place = await mkdtempDisposable(join(tmpdir(), 'yadokari-tls-'));
  const { key, certificate } = await selfSigned(place.path, 'registry.test');
  const pem = await readFile(certificate, 'utf8');
  const seen: string[] = [];
  const server: Server = createServer({ key: await readFile(key), cert: pem }, (request, response) => {
    seen.push(request.url ?? '');
    response.writeHead(404).end();
  });
  const port = await listen(server);
  const stop = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  };
  return { port, certificate: pem, seen, stop };
}

function clientFor(rules: HostRules): TestClient {
  return testClient({ names, hostRules: () => rules });
}

test('an unknown authority is refused with advice, and trusted where it was named', { skip }, async () => {
  const server = await startTls();
  const reference = parseReference(`registry.test:${server.port}/app/image:v1`);
  try {
    await using strict = clientFor({});
    await assert.rejects(strict.resolve(reference, signal), (error) => {
      assert.ok(error instanceof Error && 'hint' in error);
      assert.match(error.message, /certificate is self-signed|not trusted here/);
      assert.match(String(error.hint), /--registry-certificate registry\.test:\d+=<file>/);
      return true;
    });
    assert.deepEqual(strict.waits, []);
    assert.deepEqual(server.seen, []);
    await using trusting = clientFor({ certificates: [server.certificate] });
    assert.equal(await trusting.resolve(reference, signal), undefined);
    await using careless = clientFor({ skipTlsVerify: true });
    assert.equal(await careless.resolve(reference, signal), undefined);
  } finally {
    await server.stop();
  }
});

test('a certificate for another host is refused', { skip }, async () => {
  const server = await startTls();
  try {
    await using client = clientFor({ certificates: [server.certificate] });
    await assert.rejects(
      client.resolve(parseReference(`other.test:${server.port}/app/image:v1`), signal),
      /its certificate is for another host/,
    );
  } finally {
    await server.stop();
  }
});

test('plain HTTP is used only where it is allowed, and HTTPS is tried before it', async () => {
  const registry = await startFakeRegistry();
  const port = registry.host.split(':')[1] ?? '';
  const reference = parseReference(`registry.test:${port}/app/image:v1`);
  try {
    await using strict = clientFor({});
    await assert.rejects(strict.resolve(reference, signal), /it does not speak TLS/);
    assert.equal(registry.requests.length, 0);
    await using open = clientFor({ insecure: true });
    assert.equal(await open.resolve(reference, signal), undefined);
  } finally {
    await registry.stop();
  }
});

test('an insecure registry with TLS and an unknown authority is not downgraded where HTTP does not answer', { skip }, async () => {
  const server = await startTls();
  try {
    await using client = clientFor({ insecure: true });
    await assert.rejects(client.resolve(parseReference(`registry.test:${server.port}/app/image:v1`), signal), (error) => {
      assert.ok(error instanceof Error && 'hint' in error);
      assert.match(error.message, /^Cannot reach registry\.test:\d+: over HTTPS its certificate is self-signed; over HTTP /);
      assert.match(String(error.hint), /--registry-certificate/);
      return true;
    });
    assert.deepEqual(client.waits, []);
  } finally {
    await server.stop();
  }
});

const missing = missingDockerRegistry();
for (const { where, host, rules } of [
  { where: 'that is insecure', host: 'registry.test', rules: { insecure: true } },
  { where: 'on localhost', host: 'localhost', rules: {} },
])
  test(
    `docker-registry ${where} with an unknown certificate: both reasons are told, and no 400`,
    { skip: skip || missing || false },
    async () => {
      await using place = await mkdtempDisposable(join(tmpdir(), 'yadokari-tls-'));
      const registry = await startDockerRegistry({ tls: await selfSigned(place.path, 'registry.test') });
      const reference = parseReference(`${host}:${registry.host.split(':')[1]}/app/image:v1`);
      try {
        await using client = clientFor(rules);
        await assert.rejects(client.checkPush(reference, signal), {
          message: /^Cannot push to \S+: cannot reach \S+:\d+: over HTTPS its certificate is self-signed; over HTTP answered 400$/,
          hint: /^put its authority's certificate into \S.*, or name it with --registry-certificate \S+=<file>; --skip-tls-verify-registry \S+ skips the check$/,
        });
        assert.deepEqual(client.waits, []);
        await using careless = clientFor({ ...rules, skipTlsVerify: true });
        await careless.checkPush(reference, signal);
      } finally {
        await registry.stop();
      }
    },
  );
