import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withDownloadSecrets } from '../../../src/surroundings/download-secrets.ts';
import type { Download } from '../../../src/registry/download.ts';

async function sentTo(url: string, secrets: Readonly<Record<string, string>>): Promise<string | undefined> {
  let sent: Readonly<Record<string, string>> | undefined;
  const stop = new Error('sent');
  const download = withDownloadSecrets(
    async (_url, { headers }): Promise<Download> => {
      sent = headers;
      return await Promise.reject(stop);
    },
    new Map(Object.entries(secrets).map(([id, text]) => [id, Buffer.from(text)])),
  );
  await assert.rejects(download(new URL(url), { signal: new AbortController().signal }), stop);
  return sent?.['authorization'];
}

const rows = [
  { name: 'a header as it is', url: 'https://a.example/f', secrets: { 'HTTP_AUTH_HEADER_a.example': 'Basic eA==\n' }, sent: 'Basic eA==' },
  { name: 'a token as a bearer', url: 'https://a.example/f', secrets: { 'HTTP_AUTH_TOKEN_a.example': 't' }, sent: 'Bearer t' },
  { name: 'a host with its port', url: 'http://a.example:81/f', secrets: { 'HTTP_AUTH_TOKEN_a.example:81': 't' }, sent: 'Bearer t' },
  { name: 'a host without its port', url: 'http://a.example:81/f', secrets: { 'HTTP_AUTH_TOKEN_a.example': 't' }, sent: 'Bearer t' },
  { name: 'nothing to other hosts', url: 'https://b.a.example/f', secrets: { 'HTTP_AUTH_TOKEN_a.example': 't' }, sent: undefined },
];

for (const { name, url, secrets, sent } of rows) {
  test(`withDownloadSecrets() sends ${name}`, async () => {
    assert.equal(await sentTo(url, secrets), sent);
  });
}

test('withDownloadSecrets() refuses a secret that would be two headers', async () => {
  const secrets = new Map([['HTTP_AUTH_HEADER_a.example', Buffer.from('x\r\nevil: 1')]]);
  const download = withDownloadSecrets(async () => await Promise.reject(new Error('not expected')), secrets);
  await assert.rejects(download(new URL('https://a.example/'), { signal: new AbortController().signal }), { code: 'ERR_USAGE' });
});
