// AWS credentials, from where AWS's own clients take them and in their order: the environment, a web identity token (IRSA), profiles,
// the container's agent (ECS, EKS Pod Identity), the machine's metadata server. Files are held or read when this is opened.
import { given } from '../../given.ts';
import { failuresOf, refusalOf } from '../failure.ts';
import { type CloudAccess, type CloudAnswer, type Environment, isLinkLocal, isSafeForSecrets, objectOf, readable, textAt } from '../ask.ts';
import { type HeldFile, holdFile } from '../held-file.ts';
import { type Passing, Renewed, lifeUntil } from '../renewed.ts';
import { endpointFrom, endpointOf } from './endpoints.ts';
import { askMetadata } from './instance-metadata.ts';
import { type Profile, type Profiles, readProfiles } from './profile.ts';
import { type AwsKeys, signed } from './sign.ts';

/** Keys, and the source that gave them, for messages. */
interface SourcedKeys extends AwsKeys {
  readonly source: string;
}

export interface AwsCredentials {
  /** Undefined where no source has any. @throws ERR_AUTH naming the source that is set up and fails */
  readonly keys: (signal: AbortSignal) => Promise<SourcedKeys | undefined>;
  /** What is said to be the region; undefined where nothing says. */
  readonly region: (signal: AbortSignal) => Promise<string | undefined>;
  readonly forget: () => void;
  readonly close: () => void;
}

/** For "looked in". */
export const awsSources = [
  'AWS_ACCESS_KEY_ID',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS profiles',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  'EC2 instance metadata',
] as const;

const { failed, reach } = failuresOf('AWS');

interface Around {
  readonly env: Environment;
  readonly access: CloudAccess;
  readonly profiles: Profiles;
  readonly held: ReadonlyMap<string, HeldFile>;
}

/** @throws ERR_AUTH when a profile file is there but unreadable */
export function openAwsCredentials(env: Environment, access: CloudAccess): AwsCredentials {
  const profiles = readProfiles(env);
  const held = new Map<string, HeldFile>();
  const hold = (path: string | undefined, source: string): void => {
    if (path !== undefined && path !== '' && !held.has(path)) held.set(path, holdFile(path, source));
  };
  hold(env['AWS_WEB_IDENTITY_TOKEN_FILE'], 'AWS_WEB_IDENTITY_TOKEN_FILE');
  hold(env['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'], 'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE');
  hold(profiles.find(profiles.chosen)?.get('web_identity_token_file'), `AWS profile ${profiles.chosen}`);
  const around: Around = { env, access, profiles, held };
  const renewed = new Renewed<SourcedKeys>(access.retry.clock, async (signal) => await obtain(around, signal));
  return {
    keys: async (signal) => (await renewed.get(signal)).value,
    region: async () => regionOf(around),
    forget: () => renewed.forget(),
    close: () => {
      for (const file of held.values()) file.close();
    },
  };
}

function regionOf({ env, profiles }: Pick<Around, 'env' | 'profiles'>): string | undefined {
  return env['AWS_REGION'] || env['AWS_DEFAULT_REGION'] || profiles.find(profiles.chosen)?.get('region');
}

async function obtain(around: Around, signal: AbortSignal): Promise<Passing<SourcedKeys> | undefined> {
  const { env, profiles } = around;
  if (!profiles.isChosenByName) {
    const value = ofEnvironment(env);
    if (value !== undefined) return { value };
    const [role, file] = [env['AWS_ROLE_ARN'], env['AWS_WEB_IDENTITY_TOKEN_FILE']];
    if (file !== undefined && file !== '') {
      if (role === undefined || role === '') throw failed('AWS_WEB_IDENTITY_TOKEN_FILE', 'AWS_ROLE_ARN is not set');
      const session = env['AWS_ROLE_SESSION_NAME'] || 'yadokari';
      return await assumeByToken(around, { role, file, session, source: 'AWS_WEB_IDENTITY_TOKEN_FILE' }, signal);
    }
  }
  const profile = profiles.find(profiles.chosen);
  if (profile === undefined && profiles.isChosenByName) throw failed(`AWS_PROFILE ${profiles.chosen}`, 'there is no such profile');
  const fromProfile = profile === undefined ? undefined : await ofProfile(around, profiles.chosen, profile, signal);
  return fromProfile ?? (await ofContainer(around, signal)) ?? (await ofMachine(around, signal));
}

function ofEnvironment(env: Environment): SourcedKeys | undefined {
  const [id, secret] = [env['AWS_ACCESS_KEY_ID'] || env['AWS_ACCESS_KEY'], env['AWS_SECRET_ACCESS_KEY'] || env['AWS_SECRET_KEY']];
  const sessionToken = env['AWS_SESSION_TOKEN'];
  return id && secret ? { id, secret, source: 'AWS_ACCESS_KEY_ID', ...(sessionToken ? { sessionToken } : {}) } : undefined;
}

async function ofProfile(around: Around, name: string, profile: Profile, signal: AbortSignal): Promise<Passing<SourcedKeys> | undefined> {
  const source = `AWS profile ${name}`;
  const role = profile.get('role_arn');
  if (role === undefined) {
    const own = staticKeys(profile, source);
    if (own !== undefined) return { value: own };
    const foreign = ['credential_process', 'sso_session', 'sso_start_url', 'login_session'].find((key) => profile.has(key));
    if (foreign === undefined) return undefined;
    throw failed(source, `it has ${foreign}, which is not supported here`, 'give keys, a role_arn or a web identity token instead');
  }
  const session = profile.get('role_session_name') ?? 'yadokari';
  const file = profile.get('web_identity_token_file');
  if (file !== undefined) return await assumeByToken(around, { role, file, session, source }, signal);
  return await assumeByKeys(around, { role, session, source, profile }, await baseKeys(around, profile, source, signal), signal);
}

/** Those that a role is assumed with. */
async function baseKeys(around: Around, profile: Profile, source: string, signal: AbortSignal): Promise<AwsKeys> {
  const named = profile.get('source_profile');
  const found = named === undefined ? undefined : around.profiles.find(named);
  if (named !== undefined && found === undefined) throw failed(source, `its source_profile ${named} is not there`);
  const keys =
    found === undefined
      ? await ofCredentialSource(around, profile.get('credential_source') ?? '', source, signal)
      : staticKeys(found, source);
  if (keys === undefined) throw failed(source, 'what its role is to be assumed with has no keys');
  return keys;
}

async function ofCredentialSource(around: Around, name: string, source: string, signal: AbortSignal): Promise<AwsKeys | undefined> {
  if (name === 'Environment') return ofEnvironment(around.env);
  if (name === 'EcsContainer') return (await ofContainer(around, signal))?.value;
  if (name === 'Ec2InstanceMetadata') return (await ofMachine(around, signal))?.value;
  throw failed(source, 'its role_arn comes with neither a source_profile nor a credential_source');
}

function staticKeys(profile: Profile, source: string): SourcedKeys | undefined {
  const [id, secret, sessionToken] = ['aws_access_key_id', 'aws_secret_access_key', 'aws_session_token'].map((key) => profile.get(key));
  if (id === undefined || secret === undefined) return undefined;
  return { id, secret, source, ...given({ sessionToken }) };
}

/** Where STS is asked for a role when nobody names a region. */
const partitionRegions: Readonly<Record<string, string>> = { 'aws-cn': 'cn-north-1', 'aws-us-gov': 'us-gov-west-1' };

interface Role {
  readonly role: string;
  readonly session: string;
  readonly source: string;
}

/** STS AssumeRoleWithWebIdentity, which nobody signs: the token is the proof. */
async function assumeByToken(around: Around, role: Role & { readonly file: string }, signal: AbortSignal): Promise<Passing<SourcedKeys>> {
  const token = around.held.get(role.file)?.read().trim() ?? '';
  const form = new URLSearchParams({ Action: 'AssumeRoleWithWebIdentity', RoleArn: role.role, RoleSessionName: role.session });
  form.set('WebIdentityToken', token);
  return await askSts(around, role, form, undefined, signal);
}

async function assumeByKeys(
  around: Around,
  role: Role & { readonly profile: Profile },
  keys: AwsKeys,
  signal: AbortSignal,
): Promise<Passing<SourcedKeys>> {
  const form = new URLSearchParams({ Action: 'AssumeRole', RoleArn: role.role, RoleSessionName: role.session });
  const externalId = role.profile.get('external_id');
  if (externalId !== undefined) form.set('ExternalId', externalId);
  return await askSts(around, role, form, keys, signal);
}

async function askSts(
  around: Around,
  { role, source }: Role,
  form: URLSearchParams,
  keys: AwsKeys | undefined,
  signal: AbortSignal,
): Promise<Passing<SourcedKeys>> {
  const { access, env } = around;
  const region = regionOf(around) ?? partitionRegions[role.split(':')[1] ?? ''] ?? 'us-east-1';
  const url = endpointOf('sts', region, env);
  // A signature gives nothing away; a token is all that it takes to be us.
  if (keys === undefined && !isSafeForSecrets(url)) throw failed(source, `the token would go to ${url.host} in the open`);
  form.set('Version', '2011-06-15');
  const request = { method: 'POST', url, headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: form.toString() } as const;
  const headers = keys === undefined ? request.headers : signed({ ...request }, keys, { region, service: 'sts', atMs: access.date() });
  const answer = await reach(source, async () => await access.ask({ ...request, headers, task: `assume ${role}` }, signal));
  const text = (tag: string): string => unescaped(new RegExp(`<${tag}>([^<]*)</${tag}>`).exec(answer.text)?.[1] ?? '');
  if (answer.status !== 200) {
    const said = readable(`${answer.status} ${text('Code')}${text('Message') === '' ? '' : `: ${text('Message')}`}`);
    throw failed(source, `${url.host} answered ${said}`, `check that ${role} trusts this pod's service account or user`);
  }
  const [id, secret, sessionToken] = [text('AccessKeyId'), text('SecretAccessKey'), text('SessionToken')];
  if (id === '' || secret === '') throw failed(source, `${url.host} answered without keys`);
  const lifeMs = lifeUntil(Date.parse(text('Expiration')), answer.header('date'), access.date());
  return { value: { id, secret, source, ...(sessionToken === '' ? {} : { sessionToken }) }, lifeMs };
}

/** The agent of ECS, or of EKS Pod Identity. https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html */
async function ofContainer({ env, access, held }: Around, signal: AbortSignal): Promise<Passing<SourcedKeys> | undefined> {
  const relative = env['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'];
  const isRelative = relative !== undefined && relative !== '';
  const source = isRelative ? 'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI' : 'AWS_CONTAINER_CREDENTIALS_FULL_URI';
  const url = isRelative ? new URL(relative, 'http://169.254.170.2') : endpointOrUrl(env, source);
  if (url === undefined) return undefined;
  if (!isLinkLocal(url) && !isSafeForSecrets(url))
    throw failed(source, 'its host is neither the agent of this node nor this machine, and it is not https');
  const file = env['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'];
  const authorization = (file ? held.get(file)?.read().trim() : env['AWS_CONTAINER_AUTHORIZATION_TOKEN']) ?? '';
  const headers = authorization === '' ? {} : { authorization };
  const question = { method: 'GET', url, headers, task: 'get AWS credentials from the container agent' } as const;
  const answer = await reach(source, async () => await access.askBeside(question, signal));
  if (answer.status !== 200)
    throw failed(
      source,
      refusalOf(url, answer, (root) => [root.get('message')]),
    );
  return keysOf(answer, source, access.date());
}

function endpointOrUrl(env: Environment, name: string): URL | undefined {
  const text = env[name];
  if (text === undefined || text === '') return undefined;
  if (!URL.canParse(text)) throw failed(name, 'it is not a URL');
  return new URL(text);
}

async function ofMachine({ env, access }: Around, signal: AbortSignal): Promise<Passing<SourcedKeys> | undefined> {
  if (env['AWS_EC2_METADATA_DISABLED']?.toLowerCase() === 'true') return undefined;
  const isV6 = env['AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE']?.toLowerCase() === 'ipv6';
  const base =
    endpointFrom(env, 'AWS_EC2_METADATA_SERVICE_ENDPOINT') ?? new URL(isV6 ? 'http://[fd00:ec2::254]' : 'http://169.254.169.254');
  const allowsV1 = env['AWS_EC2_METADATA_V1_DISABLED']?.toLowerCase() !== 'true';
  const source = 'EC2 instance metadata';
  const answer = await reach(source, async () => await askMetadata(access, base, allowsV1, signal));
  return answer === undefined ? undefined : keysOf(answer, source, access.date());
}

function keysOf(answer: CloudAnswer, source: string, nowMs: number): Passing<SourcedKeys> {
  const root = objectOf(answer, `get AWS credentials from ${source}`);
  const [id, secret, sessionToken] = ['AccessKeyId', 'SecretAccessKey', 'Token'].map((key) => textAt(root, key));
  if (id === undefined || secret === undefined) throw failed(source, 'it answered without keys');
  const expiration = textAt(root, 'Expiration');
  return {
    value: { id, secret, source, ...given({ sessionToken }) },
    ...(expiration === undefined ? {} : { lifeMs: lifeUntil(Date.parse(expiration), answer.header('date'), nowMs) }),
  };
}

function unescaped(text: string): string {
  const names: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
  return text.replace(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => names[name] ?? '');
}
