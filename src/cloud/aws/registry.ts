// Amazon's registries: a password of twelve hours, given to whoever has AWS credentials.
import type { BuilderError } from '../../errors.ts';
import type { Credential } from '../../registry/docker-config.ts';
import { type CloudAccess, type CloudAnswer, type Environment, objectOf, textAt } from '../ask.ts';
import { credentialError, orFail, refusalOf } from '../failure.ts';
import { type Passing, lifeUntil } from '../renewed.ts';
import { type AwsCredentials, awsSources } from './credentials.ts';
import { endpointOf } from './endpoints.ts';
import type { CloudRegistry } from '../registry-credentials.ts';
import { signed } from './sign.ts';

const privateHost =
  /^\d{12}\.dkr[.-]ecr(?<fips>-fips)?\.(?<region>[a-z0-9][a-z0-9-]*)\.(?:amazonaws\.(?:com(?:\.cn)?|eu)|on\.(?:aws|amazonwebservices\.com\.cn)|sc2s\.sgov\.gov|c2s\.ic\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov)$/;
const publicHost = 'public.ecr.aws';

/** `NUMBER.dkr.ecr.REGION.amazonaws.com` and public.ecr.aws. */
export function ecr(env: Environment, access: CloudAccess, credentials: AwsCredentials): CloudRegistry {
  return {
    name: 'ecr',
    programs: ['ecr-login'],
    sources: awsSources,
    knows: (host) => host === publicHost || privateHost.test(host),
    isPublic: (host) => host === publicHost,
    group: (host) => (host === publicHost ? host : (privateHost.exec(host)?.groups?.['region'] ?? host)),
    obtain: async (host, signal) => await obtain(env, access, credentials, host, signal),
    forget: credentials.forget,
  };
}

async function obtain(
  env: Environment,
  access: CloudAccess,
  credentials: AwsCredentials,
  host: string,
  signal: AbortSignal,
): Promise<Passing<Credential> | undefined> {
  const found = privateHost.exec(host)?.groups;
  const region = found?.['region'] ?? 'us-east-1';
  const service = found === undefined ? 'ecr-public' : 'ecr';
  const keys = await credentials.keys(signal);
  if (keys === undefined) return undefined;
  const url = endpointOf(service, region, found?.['fips'] === undefined ? env : { ...env, AWS_USE_FIPS_ENDPOINT: 'true' });
  const target = found === undefined ? 'SpencerFrontendService' : 'AmazonEC2ContainerRegistry_V20150921';
  const request = {
    method: 'POST',
    url,
    headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': `${target}.GetAuthorizationToken` },
    body: '{}',
  } as const;
  const task = `get credentials for ${host}`;
  const ask = async (): Promise<CloudAnswer> =>
    await access.ask({ ...request, headers: signed(request, keys, { region, service, atMs: access.date() }), task }, signal);
  const fail = (why: string, cause?: unknown): BuilderError =>
    credentialError(
      `Cannot ${task} with ${keys.source}: ${why}`,
      `check that these AWS credentials allow ${service}:GetAuthorizationToken; --credential-helpers without ecr asks for none`,
      cause,
    );
  const answer = await orFail(ask, fail);
  if (answer.status !== 200) {
    throw fail(refusalOf(url, answer, (root) => [textAt(root, '__type')?.replace(/^.*#/, ''), root.get('message') ?? root.get('Message')]));
  }
  const data = objectOf(answer, task).get('authorizationData');
  const item = Array.isArray(data) ? data[0] : data;
  const pair = Buffer.from(textAt(item, 'authorizationToken') ?? '', 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  if (colon <= 0) throw fail(`${url.host} answered without a token`);
  const expires = item instanceof Map ? item.get('expiresAt') : undefined;
  const until = typeof expires === 'number' ? expires * 1000 : Number.NaN;
  return {
    value: { kind: 'password', user: pair.slice(0, colon), password: pair.slice(colon + 1) },
    lifeMs: Number.isNaN(until) ? 3_600_000 : lifeUntil(until, answer.header('date'), access.date()),
  };
}
