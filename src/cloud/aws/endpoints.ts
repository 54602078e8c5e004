// Where AWS services are: by region and partition, or where the environment says.
import { BuilderError } from '../../errors.ts';
import type { Environment } from '../ask.ts';

export type AwsService = 'sts' | 'ecr' | 'ecr-public' | 's3';

const suffixes: readonly (readonly [region: RegExp, suffix: string])[] = [
  [/^cn-/, 'amazonaws.com.cn'],
  [/^us-iso-/, 'c2s.ic.gov'],
  [/^us-isob-/, 'sc2s.sgov.gov'],
  [/^eu-isoe-/, 'cloud.adc-e.uk'],
  [/^us-isof-/, 'csp.hci.ic.gov'],
  [/^eusc-/, 'amazonaws.eu'],
];

/** Domain of the partition that a region is in. */
function suffixOf(region: string): string {
  return suffixes.find(([pattern]) => pattern.test(region))?.[1] ?? 'amazonaws.com';
}

/**
 * The address of a service. AWS_ENDPOINT_URL_<SERVICE>, then AWS_ENDPOINT_URL win; AWS_USE_FIPS_ENDPOINT and
 * AWS_USE_DUALSTACK_ENDPOINT choose another of AWS's own.
 * @throws ERR_USAGE when a variable or the region is malformed
 */
export function endpointOf(service: AwsService, region: string, env: Environment): URL {
  if (!/^[a-z0-9-]{1,40}$/.test(region))
    throw new BuilderError('ERR_USAGE', `Cannot use AWS region ${JSON.stringify(region)}: expected one like eu-central-1`);
  const given = endpointFrom(env, `AWS_ENDPOINT_URL_${service.toUpperCase().replace('-', '_')}`) ?? endpointFrom(env, 'AWS_ENDPOINT_URL');
  if (given !== undefined) return given;
  const fips = env['AWS_USE_FIPS_ENDPOINT'] === 'true' ? '-fips' : '';
  const isDual = env['AWS_USE_DUALSTACK_ENDPOINT'] === 'true';
  const suffix = suffixOf(region);
  if (service === 's3') return new URL(`https://s3${fips}${isDual ? '.dualstack' : ''}.${region}.${suffix}`);
  if (isDual && suffix === 'amazonaws.com') return new URL(`https://${service}${fips}.${region}.api.aws`);
  // ECR's own names begin with api, its FIPS names don't.
  const name = service === 'sts' || fips !== '' ? `${service}${fips}` : `api.${service}`;
  return new URL(`https://${name}.${region}.${suffix}`);
}

/** A variable that holds an address; without a scheme https is meant. @throws ERR_USAGE */
export function endpointFrom(env: Environment, name: string): URL | undefined {
  const text = env[name];
  if (text === undefined || text === '') return undefined;
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`;
  const url = URL.canParse(full) ? new URL(full) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.search !== '')
    throw new BuilderError('ERR_USAGE', `Cannot use ${name}: it is not an address like https://host:port`);
  return url;
}
