// The examples of AWS's documentation, whose signatures are written there.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeStrictly, signed } from '../../../src/cloud/aws/sign.ts';

const signatureIn = (headers: Readonly<Record<string, string>>): string =>
  /Signature=(\w+)$/.exec(headers['authorization'] ?? '')?.[1] ?? '';

test('signed() gives the signature of the documented IAM request', () => {
  const headers = signed(
    {
      method: 'GET',
      url: new URL('https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08'),
      headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
      body: '',
    },
    { id: 'AKIDEXAMPLE', secret: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' },
    { region: 'us-east-1', service: 'iam', atMs: Date.UTC(2015, 7, 30, 12, 36, 0) },
  );
  assert.equal(signatureIn(headers), '5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7');
});

test('signed() gives the signature of the documented S3 request for a range', () => {
  const headers = signed(
    { method: 'GET', url: new URL('https://examplebucket.s3.amazonaws.com/test.txt'), headers: { range: 'bytes=0-9' }, body: '' },
    { id: 'AKIAIOSFODNN7EXAMPLE', secret: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' },
    { region: 'us-east-1', service: 's3', atMs: Date.UTC(2013, 4, 24) },
  );
  assert.equal(signatureIn(headers), 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41');
});

test('a session token is sent and signed', () => {
  const headers = signed(
    { method: 'GET', url: new URL('https://sts.amazonaws.com/'), headers: {}, body: '' },
    { id: 'a', secret: 'b', sessionToken: 'c' },
    { region: 'us-east-1', service: 'sts', atMs: 0 },
  );
  assert.equal(headers['x-amz-security-token'], 'c');
  assert.match(headers['authorization'] ?? '', /SignedHeaders=host;x-amz-date;x-amz-security-token,/);
});

test('encodeStrictly() leaves unreserved bytes alone, and no others', () => {
  assert.equal(encodeStrictly("A-z_0.~ !'()*/ü"), 'A-z_0.~%20%21%27%28%29%2A%2F%C3%BC');
});
