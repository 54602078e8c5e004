import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readAuthorities, readClientCertificate } from '../../../src/surroundings/pem-files.ts';
import { missingOpenssl, selfSigned, signedBy } from '../../support/certificates.ts';

test('certificates and keys that can not be used are told with their file and the reason', { skip: missingOpenssl }, async () => {
  await using place = await mkdtempDisposable(join(tmpdir(), 'yadokari-pem-'));
  const [one, two] = [await selfSigned(place.path, 'one'), await selfSigned(place.path, 'two')];
  const path = (name: string): string => join(place.path, name);
  const openssl = (...args: readonly string[]): Buffer => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  mkdirSync(path('folder'));
  writeFileSync(path('empty'), '');
  writeFileSync(path('der'), openssl('x509', '-in', one.certificate, '-outform', 'DER'));
  writeFileSync(path('damaged'), readFileSync(one.certificate, 'utf8').replace(/\n(MI.{10})/, '\n$1AAAA'));
  const old = await signedBy(one, place.path, 'old', ['20200101000000Z', '20210101000000Z']);
  writeFileSync(path('bundle'), readFileSync(old.certificate, 'utf8') + readFileSync(one.certificate, 'utf8'));
  assert.equal(readAuthorities(path('bundle')).match(/BEGIN/g)?.length, 2);
  const expired = /: it expired at 2021-01-01T00:00Z \(our clock says 20\d\d-\d\d-\d\dT\d\d:\d\dZ\)$/;
  assert.throws(() => readAuthorities(old.certificate), { code: 'ERR_USAGE', message: expired });
  assert.throws(() => readClientCertificate(old), { code: 'ERR_USAGE', message: expired });
  writeFileSync(path('crl'), '-----BEGIN X509 CRL-----\nMA==\n-----END X509 CRL-----\n');
  writeFileSync(path('encrypted'), openssl('pkcs8', '-topk8', '-in', one.key, '-passout', 'pass:x'));
  writeFileSync(path('damaged-key'), '-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n');

  assert.equal(readAuthorities(one.certificate), readFileSync(one.certificate, 'utf8'));
  for (const [name, why] of [
    ['missing', 'no such file or directory'],
    ['folder', 'it is a directory'],
    ['empty', 'it holds no certificate in PEM'],
    ['der', 'it holds no certificate in PEM'],
    ['crl', 'it holds no certificate in PEM'],
    ['damaged', 'certificate 1 of 1 in it is damaged'],
  ] as const) {
    const message = `Cannot use --registry-certificate ${path(name)}: ${why}`;
    assert.throws(() => readAuthorities(path(name)), { code: 'ERR_USAGE', message });
  }
  const { certificate } = one;
  assert.equal(readClientCertificate(one).key, readFileSync(one.key, 'utf8'));
  for (const [key, why] of [
    [path('missing'), 'no such file or directory'],
    [certificate, 'it holds no key in PEM'],
    [two.key, `it is not the key of ${certificate}`],
    [path('encrypted'), 'the key is encrypted, and there is nobody to ask for its password'],
    [path('damaged-key'), 'the key is damaged'],
  ] as const) {
    const message = `Cannot use --registry-client-cert ${key}: ${why}`;
    assert.throws(() => readClientCertificate({ certificate, key }), { code: 'ERR_USAGE', message });
  }
});
