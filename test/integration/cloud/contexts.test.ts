// Contexts in object stores: the real s3rver behind a gate that checks signatures as S3 does (s3rver looks at keys only), the real
// azurite, which checks them itself, and Google's store as it is documented.
import assert from 'node:assert/strict';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { openClouds } from '../../../src/cloud/clouds.ts';
import { type AwsKeys, signed } from '../../../src/cloud/aws/sign.ts';
import { openContext } from '../../../src/context/source.ts';
import { namesFromTable } from '../../../src/registry/names.ts';
import { proxiesFrom } from '../../../src/registry/proxy.ts';
import { type CloudServer, missingCloudServers, startAzure, startS3 } from '../../support/cloud-servers.ts';
import { type FakeClouds, awsRefusal, missingOpenssl, startFakeClouds } from '../../support/fake-clouds.ts';
import { type FaultyProxy, startFaultyProxy } from '../../support/faulty-proxy.ts';
import { tarArchive } from '../../support/tar-writer.ts';

const { signal } = new AbortController();
const skip = missingCloudServers() ?? false;
const big = randomBytes(3 * 1024 * 1024).toString('hex');
const archive = tarArchive([
  { name: 'Dockerfile', content: 'FROM scratch\n' },
  { name: 'big', content: big },
]);
const keys: AwsKeys = { id: 'S3RVER', secret: 'S3RVER' };
const awsEnv = { AWS_ACCESS_KEY_ID: keys.id, AWS_SECRET_ACCESS_KEY: keys.secret, S3_FORCE_PATH_STYLE: 'true' };
// https://learn.microsoft.com/azure/storage/common/storage-use-azurite#well-known-storage-account-and-key
const account = 'devstoreaccount1';
const accountKey = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';
const blob = `https://${account}.blob.core.windows.net/ctx/a%20b/context.tar`;
let s3: CloudServer;
let gate: FaultyProxy;
/** How many downloads the gate breaks off. */
let cuts = 0;
let azure: CloudServer;
let fakes: FakeClouds;

before(async () => {
  if (skip !== false || missingOpenssl !== false) return;
  [s3, azure, fakes] = await Promise.all([startS3('ctx'), startAzure(), startFakeClouds()]);
  gate = await startFaultyProxy(s3.host, (method, path, headers) => {
    const url = new URL(path, `http://${headers.host ?? ''}`);
    const why = awsRefusal({ method, url, headers, body: '' }, { awsKeys: new Map([[keys.id, keys]]) }, 's3');
    if (why !== undefined) return { kind: 'answer', status: 403 };
    return method === 'GET' && cuts-- > 0 ? { kind: 'cut', afterBytes: 1_500_000 } : undefined;
  });
  await putS3('some/dir/ü+ context.tar');
  await putAzure();
  fakes.state.objects.set('ctx/some/context.tar.gz', gzipSync(archive));
});
after(async () => {
  await gate?.stop();
  await s3?.[Symbol.asyncDispose]();
  await azure?.[Symbol.asyncDispose]();
  await fakes?.stop();
});

/** What `--context` makes of a place: the content of its file `big`, and when it was changed last. */
async function read(
  place: string,
  env: Readonly<Record<string, string>>,
): Promise<{ readonly big: string; readonly timeSeconds: number | undefined }> {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'yadokari-store-context-'));
  const nowhere = fakes.metadata;
  const clouds = openClouds({
    env: {
      AWS_EC2_METADATA_DISABLED: 'true',
      AZURE_POD_IDENTITY_AUTHORITY_HOST: nowhere,
      GCE_METADATA_HOST: new URL(nowhere).host,
      ...env,
    },
    names: namesFromTable(new Map()),
    hostRules: () => ({ certificates: [fakes.certificate] }),
    proxies: proxiesFrom({ HTTPS_PROXY: fakes.proxy }),
    userAgent: 'test',
    clock: { now: () => performance.now(), sleep: async () => await Promise.resolve(), random: () => 0 },
    onWarning: assert.fail,
  });
  try {
    const context = await openContext(place, {
      workingDirectory: '/',
      privateFolder: folder.path,
      git: new Map(),
      download: async () => await Promise.reject(new Error('nothing to download')),
      openObject: clouds.openObject,
      emit: () => undefined,
      signal,
    });
    const content = readFileSync(join(context.folder, 'big'), 'latin1');
    await context.close();
    return { big: content, timeSeconds: context.tree.timeSeconds };
  } finally {
    await clouds.close();
  }
}

async function putS3(key: string): Promise<void> {
  const url = new URL(`http://${s3.host}/ctx/${key.split('/').map(encodeURIComponent).join('/')}`);
  const body = archive.toString('utf8');
  const headers = signed({ method: 'PUT', url, headers: {}, body }, keys, { region: 'us-east-1', service: 's3', atMs: Date.now() });
  const answer = await fetch(url, { method: 'PUT', headers, body });
  assert.equal(answer.status, 200, await answer.text());
}

/** By Microsoft's own steps, written down once more: https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key */
async function putAzure(): Promise<void> {
  for (const [path, query, body, extra] of [
    ['/ctx', '?restype=container', Buffer.alloc(0), {}],
    ['/ctx/a%20b/context.tar', '', archive, { 'x-ms-blob-type': 'BlockBlob' }],
  ] as const) {
    const own = { 'x-ms-date': new Date().toUTCString(), 'x-ms-version': '2021-08-06', ...extra };
    const lines = Object.entries(own)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => `${name}:${value}\n`);
    const length = body.length === 0 ? '' : String(body.length);
    const resource = `/${account}/${account}${path}${query === '' ? '' : '\nrestype:container'}`;
    const text = `PUT\n\n\n${length}\n\napplication/octet-stream\n\n\n\n\n\n\n${lines.join('')}${resource}`;
    const signature = createHmac('sha256', Buffer.from(accountKey, 'base64')).update(text).digest('base64');
    const headers = { ...own, 'content-type': 'application/octet-stream', authorization: `SharedKey ${account}:${signature}` };
    const answer = await fetch(`http://${azure.host}/${account}${path}${query}`, { method: 'PUT', headers, body });
    assert.equal(answer.status, 201, await answer.text());
  }
}

/** A URL that may read the blob for an hour: https://learn.microsoft.com/rest/api/storageservices/create-service-sas */
function signedUrl(key: string): string {
  const end = `${new Date(Date.now() + 3_600_000).toISOString().slice(0, 19)}Z`;
  const fields = ['r', '', end, `/blob/${account}/ctx/a b/context.tar`, '', '', '', '2021-08-06', 'b', '', '', '', '', '', '', ''];
  const sig = createHmac('sha256', Buffer.from(key, 'base64')).update(fields.join('\n')).digest('base64');
  return `${blob}?${new URLSearchParams({ sp: 'r', se: end, sv: '2021-08-06', sr: 'b', sig }).toString()}`;
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
const same = (found: string): void => assert.equal(digest(found), digest(big));
const s3Place = 's3://ctx/some/dir/ü+ context.tar';

test('a context of s3:// comes where the signature is right', { skip }, async () => {
  const found = await read(s3Place, { ...awsEnv, S3_ENDPOINT: `http://${gate.address}` });
  same(found.big);
  assert.ok(Math.abs((found.timeSeconds ?? 0) - Date.now() / 1000) < 600);
});

test('a download of s3:// that breaks off goes on where it was', { skip }, async () => {
  const before = gate.requests.length;
  cuts = 3;
  same((await read(s3Place, { ...awsEnv, AWS_ENDPOINT_URL_S3: `http://${gate.address}` })).big);
  assert.equal(gate.requests.length - before, 4);
});

const refusals: readonly (readonly [
  what: string,
  place: string,
  env: () => Readonly<Record<string, string>>,
  says: RegExp,
  hint: RegExp,
])[] = [
  [
    'a wrong key',
    s3Place,
    () => ({ ...awsEnv, AWS_SECRET_ACCESS_KEY: 'hidden', S3_ENDPOINT: `http://${gate.address}` }),
    /^Cannot read s3:\/\/ctx\/.*: 127\.0\.0\.1:\d+ answered 403 /,
    /s3:GetObject/,
  ],
  [
    'no such object',
    's3://ctx/none.tar',
    () => ({ ...awsEnv, S3_ENDPOINT: `http://${gate.address}` }),
    /^Cannot read s3:\/\/ctx\/none\.tar: .* answered 404 NoSuchKey/,
    /names of the bucket/,
  ],
  [
    'no such bucket',
    's3://none',
    () => ({ ...awsEnv, S3_ENDPOINT: `http://${gate.address}` }),
    /^Cannot read s3:\/\/none: .* answered 404 NoSuchBucket/,
    /names of the bucket/,
  ],
  [
    'no server',
    s3Place,
    () => ({ ...awsEnv, S3_ENDPOINT: 'http://127.0.0.1:1' }),
    /^Cannot read s3:\/\/ctx\/.*: can not reach 127\.0\.0\.1:1: connection refused/,
    /^$/,
  ],
  [
    'a wrong account key',
    blob,
    () => ({
      AZURE_STORAGE_ACCESS_KEY: Buffer.from('hidden').toString('base64'),
      AZURE_STORAGE_SERVICE_ENDPOINT: `http://${azure.host}/${account}`,
    }),
    /^Cannot read https:\/\/devstoreaccount1.*: .* answered 403 AuthorizationFailure/,
    /AZURE_STORAGE_ACCESS_KEY allows/,
  ],
  [
    'a wrong signature in the URL',
    `${blob}?sp=r&se=2099-01-01T00:00:00Z&sv=2021-08-06&sr=b&sig=hidden`,
    () => ({ AZURE_STORAGE_SERVICE_ENDPOINT: `http://${azure.host}/${account}` }),
    /^Cannot read https:\/\/devstoreaccount1\.blob\.core\.windows\.net\/ctx\/a%20b\/context\.tar: .* answered 403/,
    /the signature in its URL/,
  ],
  [
    'no credentials for gs://',
    'gs://ctx/some/context.tar.gz',
    () => ({}),
    /^Cannot read gs:\/\/.*: storage\.googleapis\.com answered 401 Anonymous caller/,
    /no Google credentials were found \(looked in: GOOGLE_APPLICATION_CREDENTIALS/,
  ],
];
for (const [what, place, env, says, hint] of refusals)
  test(`${what} is an error that says what to try`, { skip }, async () => {
    await assert.rejects(read(place, env()), (error: Error & { hint?: string }) => {
      assert.match(error.message, says);
      assert.match(error.hint ?? '', hint);
      assert.doesNotMatch(`${error.message} ${error.hint ?? ''}`, /hidden/);
      return true;
    });
  });

test('a blob of Azure comes with the key of its account, and goes on where it was', { skip }, async () => {
  let broken = 0;
  const proxy = await startFaultyProxy(azure.host, (method) =>
    method === 'GET' && broken++ < 2 ? { kind: 'cut', afterBytes: 2_000_000 } : undefined,
  );
  try {
    same(
      (await read(blob, { AZURE_STORAGE_ACCESS_KEY: accountKey, AZURE_STORAGE_SERVICE_ENDPOINT: `http://${proxy.address}/${account}` }))
        .big,
    );
    assert.equal(proxy.requests.length, 3);
  } finally {
    await proxy.stop();
  }
});

test('a blob of Azure comes by a signed URL, whatever else is known', { skip }, async () => {
  const env = { AZURE_STORAGE_ACCESS_KEY: 'bm90aGluZw==', AZURE_STORAGE_SERVICE_ENDPOINT: `http://${azure.host}/${account}` };
  same((await read(signedUrl(accountKey), env)).big);
});

test(
  "a context of gs:// comes with a token of the metadata server, under Google's own name",
  { skip: skip || missingOpenssl },
  async () => {
    fakes.state.metadata.add('gce');
    const found = await read('gs://ctx/some/context.tar.gz', {});
    fakes.state.metadata.clear();
    same(found.big);
    assert.equal(found.timeSeconds, Date.parse('2026-11-21T10:00:00Z') / 1000);
  },
);

test('a blob of Azure comes with a token of Entra ID', { skip: skip || missingOpenssl }, async () => {
  fakes.state.objects.set('ctx/context.tar', archive);
  const env = { AZURE_TENANT_ID: 'tenant-1', AZURE_CLIENT_ID: 'c', AZURE_CLIENT_SECRET: 'entra-secret' };
  same((await read('https://account1.blob.core.windows.net/ctx/context.tar', env)).big);
});

for (const [key, way] of [
  ['context.tar', 'says so'],
  ['new-bucket/context.tar', 'leads there'],
] as const)
  test(
    `a bucket of another region that ${way} is asked there, and no proof of one host goes to another`,
    { skip: skip || missingOpenssl },
    async () => {
      fakes.state.objects.set(`ctx/${key}`, archive);
      fakes.state.awsKeys.set('ASIASESSION', { secret: 'session/secret', token: 'session-token' });
      fakes.requests.length = 0;
      const env = { AWS_ACCESS_KEY_ID: 'ASIASESSION', AWS_SECRET_ACCESS_KEY: 'session/secret', AWS_SESSION_TOKEN: 'session-token' };
      same((await read(`s3://ctx/${key}`, { ...env, AWS_REGION: 'us-east-1' })).big);
      const proofs = fakes.requests.map(({ host, headers }) => {
        const region = /\/\d{8}\/([a-z0-9-]+)\/s3\//.exec(headers.authorization ?? '')?.[1];
        return `${host.split('.')[2]} ${region ?? 'none'} ${String(headers['x-amz-security-token'] ?? 'none')}`;
      });
      const [first, last] = ['us-east-1 us-east-1 session-token', 'eu-central-1 eu-central-1 session-token'];
      assert.deepEqual(proofs, way === 'leads there' ? [first, 'eu-central-1 none none', last] : [first, last]);
    },
  );

test('a token goes to no server in the open', { skip }, async () => {
  const env = {
    AZURE_STORAGE_SERVICE_ENDPOINT: 'http://192.0.2.1',
    AZURE_TENANT_ID: 'tenant-1',
    AZURE_CLIENT_ID: 'c',
    AZURE_CLIENT_SECRET: 'entra-secret',
  };
  fakes.requests.length = 0;
  await assert.rejects(read(blob, env), { code: 'ERR_CONTEXT' });
  assert.deepEqual(fakes.requests, []);
});
