import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSecretScan } from '../../../src/layer/secret-scan.ts';

const secrets = new Map([
  ['token', Buffer.from('s3cret-t0ken\n')],
  ['key', Buffer.from('-----BEGIN KEY-----\nabc\n')],
  ['pin', Buffer.from('1234')],
]);

function found(...files: readonly (readonly string[])[]): readonly string[] {
  const scan = createSecretScan(secrets);
  assert.ok(scan !== undefined);
  for (const file of files) {
    scan.nextFile();
    for (const chunk of file) scan.push(Buffer.from(chunk));
  }
  return scan.found();
}

test('createSecretScan() finds a secret in the middle of a file, without the line end of its own file', () => {
  assert.deepEqual(found(['password=s3cret-t0ken;']), ['token']);
});

test('createSecretScan() finds a secret that is cut into pieces, down to single bytes', () => {
  assert.deepEqual(found(['xxs3cret', '-t0kenxx']), ['token']);
  assert.deepEqual(found(['--', ...'s3cret-t0ken'.split(''), '--']), ['token']);
});

test('createSecretScan() finds several secrets, each once', () => {
  assert.deepEqual(found(['-----BEGIN KEY-----\nabc', 's3cret-t0ken s3cret-t0ken']), ['token', 'key']);
});

test('createSecretScan() finds nothing that runs on from one file into the next', () => {
  assert.deepEqual(found(['s3cret'], ['-t0ken']), []);
});

test('createSecretScan() does not look for what could stand in any file', () => {
  assert.deepEqual(found(['1234']), []);
  assert.equal(createSecretScan(new Map([['pin', Buffer.from('1234')]])), undefined);
});
