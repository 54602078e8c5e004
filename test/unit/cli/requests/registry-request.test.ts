import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RegistryRequest } from '../../../../src/build/request.ts';
import { parseFlags } from '../../../../src/cli/flags.ts';
import { buildFlags } from '../../../../src/cli/tables/build.ts';
import { makeRegistryRequest } from '../../../../src/cli/requests/registry-request.ts';
import { Settings } from '../../../../src/cli/settings.ts';

function request(argv: readonly string[], env: Readonly<Record<string, string>> = {}): RegistryRequest {
  return makeRegistryRequest(new Settings(parseFlags(argv, buildFlags), buildFlags, env), env, '/w');
}

test('mirrors are those of Docker Hub, and by registry those of --registry-map, in the order given', () => {
  const { mirrors } = request(['--registry-mirror=m1', '--registry-mirror=m2', '--registry-map=gcr.io=a;gcr.io=b/x;docker.io=c']);
  assert.deepEqual(Object.fromEntries(mirrors), { 'index.docker.io': ['m1', 'm2', 'c'], 'gcr.io': ['a', 'b/x'] });
  assert.deepEqual(request(['--registry-mirror=m', '--registry-map=docker.io=m']).mirrors.get('index.docker.io'), ['m']);
});

for (const flags of ['--registry-mirror=https://m.example', '--registry-map=gcr.io=m/Upper', '--registry-mirror=a b'])
  test(`${flags} is refused before anything is pulled`, () => assert.throws(() => request([flags]), /^BuilderError: Cannot use mirror /));

test('--registry-map knows Docker Hub by all of its names', () => {
  const { mirrors } = request(['--registry-map=index.docker.io=a;registry-1.docker.io=b;docker.io=c']);
  assert.deepEqual(Object.fromEntries(mirrors), { 'index.docker.io': ['a', 'b', 'c'] });
});

test('files of certificates are found from the working directory', () => {
  const made = request(['--registry-certificate=r.example=ca.pem', '--registry-client-cert=r.example=c.pem,/k.pem']);
  assert.equal(made.certificates.get('r.example'), '/w/ca.pem');
  assert.deepEqual(made.clientCertificates.get('r.example'), { certificate: '/w/c.pem', key: '/k.pem' });
});

for (const flag of ['--registry-map=gcr.io', '--registry-map==m', '--registry-client-cert=r.example=c.pem', '--registry-certificate=x'])
  test(`${flag} is refused with what was expected`, () => assert.throws(() => request([flag]), /expected (?:HOST|KEY)=/));

for (const flag of ['--insecure-registry=*.test', '--registry-certificate=a_b=ca.pem', '--registry-map=gcr.io/team=m.test'])
  test(`${flag} is refused, as it names no registry`, () =>
    assert.throws(() => request([flag]), /expected HOST\[:PORT\]|a part of a registry/));

for (const flag of ['--registry-mirror=u:canary@m.test', '--registry-map=gcr.io=u:canary@m.test', '--insecure-registry=u:canary@m.test'])
  test(`${flag} is refused without its password`, () =>
    assert.throws(
      () => request([flag]),
      (error: Error) => !error.message.includes('canary'),
    ));

test('--insecure is for pushing and --insecure-pull for pulling', () => {
  const push = request(['--insecure']);
  assert.deepEqual([push.insecurePush, push.insecurePull], [true, false]);
  const pull = request(['--insecure-pull']);
  assert.deepEqual([pull.insecurePush, pull.insecurePull], [false, true]);
});

test('--skip-tls-verify holds for bases of the registries that are pushed to, and for no other', () => {
  const made = request([
    '--skip-tls-verify',
    '-d',
    'r.test:5000/a',
    '-d=app',
    '--cache-repo=c.test/x',
    '--skip-tls-verify-registry=s.test',
  ]);
  assert.deepEqual(made.skipTlsVerifyRegistries, new Set(['s.test', 'r.test:5000', 'index.docker.io', 'c.test']));
  assert.deepEqual([made.skipTlsVerifyPush, made.skipTlsVerifyPull], [true, false]);
  assert.deepEqual(request(['-d', 'r.test/a', '--cache-repo=oci:/c']).skipTlsVerifyRegistries, new Set());
});

test('a registry is known by its host also where a flag has it as a URL', () => {
  const made = request(['--insecure-registry=http://r.test:5000/', '--registry-certificate=https://r.test/v2/=ca.pem']);
  assert.deepEqual([...made.insecureRegistries, ...made.certificates.keys()], ['r.test:5000', 'r.test']);
});

test('registries of a flag may be a list with commas, and Docker Hub has any of its names', () => {
  const made = request(['--insecure-registry=a.test,b.test:5000,', '--skip-tls-verify-registry=docker.io']);
  assert.deepEqual([...made.insecureRegistries, ...made.skipTlsVerifyRegistries], ['a.test', 'b.test:5000', 'index.docker.io']);
});

test('--chunk-size is a size of 64 KiB at least', () => {
  assert.equal(request([]).chunkBytes, undefined);
  assert.equal(request(['--chunk-size=50MB']).chunkBytes, 50_000_000);
  for (const text of ['1000', '0', 'much', '-1'])
    assert.throws(() => request([`--chunk-size=${text}`]), { code: 'ERR_USAGE', message: /expected a size such as/ });
});

test('UPSTREAM_CLIENT_TYPE becomes a comment of the user agent that can end no header', () => {
  assert.match(request([], { UPSTREAM_CLIENT_TYPE: 'ci)\r\nX: y' }).userAgent, /^yadokari\/\S+ \(ciX: y\)$/);
});

test('--credential-helpers names the built-in helpers to ask, none where it is empty', () => {
  assert.equal(request([]).credentialHelpers, undefined);
  assert.deepEqual(request(['--credential-helpers=env,ecr']).credentialHelpers, new Set(['env', 'ecr']));
  assert.deepEqual(request(['--credential-helpers=']).credentialHelpers, new Set());
  assert.throws(() => request(['--credential-helpers=nope']), { code: 'ERR_USAGE' });
});
