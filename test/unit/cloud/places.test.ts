// Which address belongs to what: services by region, registries by host, blobs by URL, profiles by file.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CloudAccess, openCloudAccess } from '../../../src/cloud/ask.ts';
import { openAwsCredentials } from '../../../src/cloud/aws/credentials.ts';
import { bucketAndKey } from '../../../src/cloud/aws/object.ts';
import { type AwsService, endpointOf } from '../../../src/cloud/aws/endpoints.ts';
import { parseProfiles } from '../../../src/cloud/aws/profile.ts';
import { isAzureBlob } from '../../../src/cloud/azure/object.ts';
import { openClouds } from '../../../src/cloud/clouds.ts';
import { namesFromTable } from '../../../src/registry/names.ts';

const endpoints: readonly (readonly [service: AwsService, region: string, env: Record<string, string>, address: string])[] = [
  ['ecr', 'eu-central-1', {}, 'https://api.ecr.eu-central-1.amazonaws.com/'],
  ['ecr', 'cn-north-1', {}, 'https://api.ecr.cn-north-1.amazonaws.com.cn/'],
  ['ecr', 'us-gov-west-1', { AWS_USE_FIPS_ENDPOINT: 'true' }, 'https://ecr-fips.us-gov-west-1.amazonaws.com/'],
  ['ecr', 'us-west-2', { AWS_USE_DUALSTACK_ENDPOINT: 'true' }, 'https://ecr.us-west-2.api.aws/'],
  ['ecr-public', 'us-east-1', {}, 'https://api.ecr-public.us-east-1.amazonaws.com/'],
  ['sts', 'eusc-de-east-1', {}, 'https://sts.eusc-de-east-1.amazonaws.eu/'],
  ['s3', 'us-iso-east-1', {}, 'https://s3.us-iso-east-1.c2s.ic.gov/'],
  ['s3', 'us-east-1', { AWS_ENDPOINT_URL: 'http://all:1', AWS_ENDPOINT_URL_S3: 'minio:9000' }, 'https://minio:9000/'],
  ['sts', 'us-east-1', { AWS_ENDPOINT_URL: 'http://all:1', AWS_ENDPOINT_URL_S3: 'minio:9000' }, 'http://all:1/'],
];
for (const [service, region, env, address] of endpoints)
  test(`endpointOf(${service}, ${region}, ${JSON.stringify(env)}) is ${address}`, () => {
    assert.equal(endpointOf(service, region, env).href, address);
  });

test('endpointOf() takes no region that leads elsewhere, and shows no password of an address', () => {
  assert.throws(() => endpointOf('sts', 'evil.example/', {}), { code: 'ERR_USAGE' });
  assert.throws(
    () => endpointOf('sts', 'us-east-1', { AWS_ENDPOINT_URL: 'https://user:hidden@host' }),
    (error: Error) => /Cannot use AWS_ENDPOINT_URL/.test(error.message) && !error.message.includes('hidden'),
  );
});

const owners: readonly (readonly [registry: string, helper: string | undefined])[] = [
  ['123456789012.dkr.ecr.eu-central-1.amazonaws.com', 'ecr'],
  ['123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com', 'ecr'],
  ['123456789012.dkr-ecr.us-west-2.on.aws', 'ecr'],
  ['123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn', 'ecr'],
  ['public.ecr.aws', 'ecr'],
  ['123456789012.dkr.ecr.eu-central-1.amazonaws.com.evil.example', undefined],
  ['evil.example/123456789012.dkr.ecr.eu-central-1.amazonaws.com', undefined],
  ['gcr.io', 'google'],
  ['eu.gcr.io', 'google'],
  ['europe-west3-docker.pkg.dev:443', 'google'],
  ['notgcr.io', undefined],
  ['pkg.dev', undefined],
  ['gcr.io.evil.example', undefined],
  ['MyRegistry.azurecr.io', 'acr'],
  ['myregistry.westeurope.azurecr.io', 'acr'],
  ['myregistry.azurecr.cn', 'acr'],
  ['azurecr.io', undefined],
  ['myregistry.azurecr.io.evil.example', undefined],
  ['mcr.microsoft.com', undefined],
  ['index.docker.io', undefined],
];
test('each cloud is asked for its own hosts only', async () => {
  const clouds = openClouds({
    env: {},
    names: namesFromTable(new Map()),
    hostRules: () => ({}),
    userAgent: 'test',
    onWarning: assert.fail,
  });
  for (const [registry, owner] of owners) {
    const knowing = clouds.helpers.filter((helper) => helper.sources(registry).length > 0).map(({ name }) => name);
    assert.deepEqual(knowing, owner === undefined ? [] : [owner], registry);
  }
  await clouds.close();
});

test('the agent of ECS is asked at its own address, with what proves who asks', async () => {
  const asked: string[] = [];
  const access = openCloudAccess({ names: namesFromTable(new Map()), hostRules: () => ({}), userAgent: 'test' });
  // Nobody can listen at that address here.
  const askBeside: CloudAccess['askBeside'] = async ({ method, url, headers }) => {
    asked.push(`${method} ${url.href} ${headers?.['authorization'] ?? ''}`);
    const text = '{"AccessKeyId":"ASIA","SecretAccessKey":"secret","Token":"token","Expiration":"2099-01-01T00:00:00Z"}';
    return await Promise.resolve({ status: 200, text, header: () => undefined });
  };
  const env = { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '/v2/credentials/1?a=b', AWS_CONTAINER_AUTHORIZATION_TOKEN: 'Basic x' };
  const credentials = openAwsCredentials(env, { ...access, askBeside });
  const source = 'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI';
  assert.deepEqual(await credentials.keys(new AbortController().signal), { id: 'ASIA', secret: 'secret', sessionToken: 'token', source });
  assert.deepEqual(asked, ['GET http://169.254.170.2/v2/credentials/1?a=b Basic x']);
  credentials.close();
  await access.close();
});

test('an address that is named as relative leads to no other host', async () => {
  const access = openCloudAccess({ names: namesFromTable(new Map()), hostRules: () => ({}), userAgent: 'test' });
  for (const uri of ['http://198.51.100.7/x', '//198.51.100.7/x']) {
    const credentials = openAwsCredentials({ AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: uri }, access);
    await assert.rejects(credentials.keys(new AbortController().signal), /its host is neither the agent of this node nor this machine/);
    credentials.close();
  }
  await access.close();
});

const blobs: readonly (readonly [place: string, isBlob: boolean])[] = [
  ['https://account1.blob.core.windows.net/c/b.tar.gz', true],
  ['https://account1.blob.core.usgovcloudapi.net/c/b.tar.gz?sv=1&sig=x', true],
  ['https://account1.z12.blob.storage.azure.net/c/b.tar.gz', true],
  ['http://account1.blob.core.windows.net/c/b.tar.gz', false],
  ['https://account1.blob.core.windows.net.evil.example/c/b', false],
  ['https://evil.example/?account1.blob.core.windows.net', false],
];
for (const [place, isBlob] of blobs)
  test(`${place} is ${isBlob ? 'a' : 'no'} blob of Azure`, () => {
    assert.equal(isAzureBlob(place), isBlob);
  });

test('bucketAndKey() takes any key, context.tar.gz where there is none, and nothing that a URL would bend', () => {
  assert.deepEqual(bucketAndKey('s3://b/a/ü+x?.tar'), { bucket: 'b', key: 'a/ü+x?.tar' });
  assert.deepEqual(bucketAndKey('gs://b'), { bucket: 'b', key: 'context.tar.gz' });
  assert.deepEqual(bucketAndKey('gs://b/'), { bucket: 'b', key: 'context.tar.gz' });
  for (const place of ['s3://', 's3:///key', 's3://b/a/../c', 's3://user@host/x', 's3://../x'])
    assert.throws(() => bucketAndKey(place), { code: 'ERR_USAGE' }, place);
});

test('parseProfiles() reads both spellings, passes over nested settings and other sections', () => {
  const text = `
[default]
aws_access_key_id = AKID ; mine
aws_secret_access_key=sec=ret/+
[profile build ]
region = eu-west-1
s3 =
  addressing_style = path
  region = nested
role_arn = arn:aws:iam::1:role/r
[sso-session corp]
region = us-east-1
`;
  const profiles = parseProfiles(text);
  assert.deepEqual([...profiles.keys()], ['default', 'build']);
  assert.equal(profiles.get('default')?.get('aws_access_key_id'), 'AKID');
  assert.equal(profiles.get('default')?.get('aws_secret_access_key'), 'sec=ret/+');
  assert.equal(profiles.get('build')?.get('region'), 'eu-west-1');
  assert.equal(profiles.get('build')?.get('role_arn'), 'arn:aws:iam::1:role/r');
});
