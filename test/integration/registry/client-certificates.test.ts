// Registries that want to know their clients by certificate: nginx and docker-registry, through the flags' own files.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseFlags } from '../../../src/cli/flags.ts';
import { makeRegistryRequest } from '../../../src/cli/requests/registry-request.ts';
import { Settings } from '../../../src/cli/settings.ts';
import { buildFlags } from '../../../src/cli/tables/build.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import type { RegistryClient } from '../../../src/registry/client.ts';
import { anonymous } from '../../../src/registry/credentials.ts';
import { namesFromTable } from '../../../src/registry/names.ts';
import { openRegistries } from '../../../src/surroundings/registries.ts';
import { type KeyPair, missingOpenssl, selfSigned, signedBy } from '../../support/certificates.ts';
import { missingDockerRegistry, startDockerRegistry } from '../../support/docker-registry.ts';
import { layerOf, someBytes, storedOf } from '../../support/image.ts';
import { missingNginx, startNginx } from '../../support/nginx.ts';

const { signal } = new AbortController();
const skip = missingOpenssl || missingNginx || missingDockerRegistry() || false;
const names = namesFromTable(new Map([['registry.test', [{ address: '127.0.0.1', family: 4 as const }]]]));

/** Clients as these flags make them. */
function clientsOf(...argv: readonly string[]): { readonly pull: RegistryClient; readonly push: RegistryClient } & AsyncDisposable {
  const request = makeRegistryRequest(new Settings(parseFlags(argv, buildFlags), buildFlags, {}), {}, '/');
  const clients = openRegistries(request, { env: {}, names, credentials: anonymous, emit: () => undefined });
  return { ...clients, [Symbol.asyncDispose]: async () => void (await Promise.all([clients.pull.close(), clients.push.close()])) };
}

async function startGuarded(
  kind: string,
  tls: KeyPair,
  clientAuthority: string,
): Promise<readonly [port: number, stop: () => Promise<void>]> {
  if (kind === 'docker-registry') {
    const { host, stop } = await startDockerRegistry({ tls: { ...tls, clientAuthority } });
    return [Number(host.split(':')[1]), stop];
  }
  const behind = await startDockerRegistry();
  const { port, stop } = await startNginx(behind.host, { tls, clientAuthority });
  return [port, async () => void (await Promise.all([stop(), behind.stop()]))];
}

for (const kind of ['nginx', 'docker-registry'])
  test(`${kind} lets in who has a certificate of its authority, and others are told to give one`, { skip }, async () => {
    await using place = await mkdtempDisposable(`${tmpdir()}/yadokari-mtls-`);
    const authority = await selfSigned(place.path, 'authority');
    const [server, client] = [await signedBy(authority, place.path, 'server'), await signedBy(authority, place.path, 'client')];
    const stranger = await selfSigned(place.path, 'stranger');
    const [port, stop] = await startGuarded(kind, server, authority.certificate);
    const host = `registry.test:${port}`;
    const trust = `--registry-certificate=${host}=${authority.certificate}`;
    const reference = parseReference(`${host}/app/image:v1`);
    try {
      await using known = clientsOf(trust, `--registry-client-cert=${host}=${client.certificate},${client.key}`);
      await known.push.checkPush(reference, signal);
      const image = storedOf(layerOf(someBytes(3_000_000)));
      const [pushed] = await known.push.pushImage(image, [reference], {}, signal);
      const pulled = await known.pull.pullImage(reference, { os: 'linux', architecture: 'amd64' }, signal);
      assert.equal(pulled.digest, pushed?.digest);

      const wanted = new RegExp(`--registry-client-cert[ =]${host}`);
      await using unknown = clientsOf(trust);
      await assert.rejects(unknown.push.checkPush(reference, signal), { hint: wanted });
      await using other = clientsOf(trust, `--registry-client-cert=${host}=${stranger.certificate},${stranger.key}`);
      await assert.rejects(other.push.checkPush(reference, signal), { hint: wanted });
      // A certificate is for its host only.
      await using elsewhere = clientsOf(trust, `--registry-client-cert=other.test=${client.certificate},${client.key}`);
      await assert.rejects(elsewhere.push.checkPush(reference, signal), { hint: wanted });
    } finally {
      await stop();
    }
  });

const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));

test(
  'a build with its base, its cache and its image behind nginx, and a copy, work with the certificate and not without',
  { skip, timeout: 300_000 },
  async () => {
    await using place = await mkdtempDisposable(`${tmpdir()}/yadokari-mtls-`);
    const authority = await selfSigned(place.path, 'authority');
    const [server, client] = [await signedBy(authority, place.path, 'server'), await signedBy(authority, place.path, 'client')];
    const [port, stop] = await startGuarded('nginx', server, authority.certificate);
    const host = `127.0.0.1:${port}`;
    const trust = `--registry-certificate=${host}=${authority.certificate}`;
    const known = `--registry-client-cert=${host}=${client.certificate},${client.key}`;
    const yadokari = (...argv: readonly string[]): { readonly status: number | null; readonly output: string } => {
      const { status, stdout, stderr } = spawnSync(process.execPath, ['--no-warnings', main, ...argv], {
        encoding: 'utf8',
        cwd: place.path,
      });
      return { status, output: stdout + stderr };
    };
    try {
      await using clients = clientsOf(trust, known);
      await clients.push.pushImage(storedOf(), [parseReference(`${host}/base:v1`)], {}, signal);
      await writeFile(join(place.path, 'Dockerfile'), `FROM ${host}/base:v1\nCOPY Dockerfile /\n`);
      const cache = ['--cache', '--cache-copy-layers', `--cache-repo=${host}/cache`];
      const build = ['build', place.path, `--destination=${host}/app:v1`, '--verbosity=debug', ...cache, trust];
      const first = yadokari(...build, known);
      assert.equal(first.status, 0, first.output);
      const second = yadokari(...build, known);
      assert.equal(second.status, 0, second.output);
      assert.match(second.output, /COPY Dockerfile \/.*cache/);
      // Each request with method, URL, status and time; where the image was, and what we showed there.
      assert.match(second.output, new RegExp(`^GET https://${host}/v2/cache/manifests/[0-9a-f]{64} 200 \\d+ ms$`, 'm'));
      assert.match(second.output, new RegExp(`^${host}/base:v1 is taken from ${host}/base@sha256:[0-9a-f]{64}$`, 'm'));
      assert.match(second.output, new RegExp(`^credentials for ${host}/app: there are none: going there anonymously$`, 'm'));
      const copied = yadokari('copy', `docker://${host}/app:v1`, `docker://${host}/copy:v1`, trust, known);
      assert.equal(copied.status, 0, copied.output);
      for (const argv of [build, ['copy', `docker://${host}/app:v1`, `docker://${host}/copy:v2`, trust]]) {
        const without = yadokari(...argv);
        assert.equal(without.status, 1);
        assert.match(without.output, new RegExp(`--registry-client-cert[ =]${host}=`));
      }
    } finally {
      await stop();
    }
  },
);
