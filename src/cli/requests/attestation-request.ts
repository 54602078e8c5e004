// `--attest`, `--provenance`: what is to be stated beside the image, as docker buildx says it.
import type { ProvenanceRequest } from '../../attest/provenance.ts';
import type { BuildRequest } from '../../build/request.ts';
import { splitCsv } from '../../dockerfile/csv.ts';
import { BuilderError } from '../../errors.ts';
import { given } from '../../given.ts';
import type { OutputRequest } from '../../outputs/output-request.ts';
import { type Environment, type Settings } from '../settings.ts';
import { version } from '../version.ts';

type Fields = ReadonlyMap<string, string>;

/** As with BuildKit, images that something is stated about are OCI's, unless their format is said. @throws ERR_USAGE for values that can't be, ERR_UNSUPPORTED for what is not stated here, and for places that can't hold it */
export function attestationRequest(settings: Settings, env: Environment, output: OutputRequest): Pick<BuildRequest, 'provenance'> {
  const asked = [
    ...settings.list('attest').map((text) => ({ flag: `--attest ${text}`, fields: readFields(`--attest ${text}`, text) })),
    ...settings.list('provenance').map((text) => {
      const flag = `--provenance=${text}`;
      return { flag, fields: new Map([['type', 'provenance'], ...readFields(flag, shortForm(text))]) };
    }),
  ];
  // Pipelines switch off what is not made here, too.
  const wanted = asked.filter(({ flag, fields }) => fields.get('type') !== 'sbom' || !flagged(flag, fields, 'disabled'));
  const last = wanted.map(({ flag, fields }) => readProvenance(flag, fields, env)).at(-1);
  if (last === undefined) return {};
  refusePlaces(output);
  return { provenance: last };
}

/** `true` and `false` stand for a field. */
function shortForm(text: string): string {
  return /^(?:1|t|true)$/i.test(text) ? '' : /^(?:0|f|false)$/i.test(text) ? 'disabled=true' : text;
}

function readFields(flag: string, text: string): Fields {
  const fields = text === '' ? [] : splitCsv(text);
  if (fields === undefined) throw new BuilderError('ERR_USAGE', `Cannot use ${flag}: a quote is left open`);
  return new Map(
    fields.map((field) => {
      const [, key = '', value = ''] = /^([^=]+)=(.*)$/s.exec(field) ?? [];
      if (key === '') throw new BuilderError('ERR_USAGE', `Cannot use ${flag}: ${JSON.stringify(field)} is not KEY=VALUE`);
      return [key, value];
    }),
  );
}

/** Undefined where it says that nothing is to be stated. */
function readProvenance(flag: string, fields: Fields, env: Environment): ProvenanceRequest | undefined {
  const type = fields.get('type');
  if (type !== 'provenance')
    throw new BuilderError(
      'ERR_UNSUPPORTED',
      `Cannot honour ${flag}: ${type === undefined ? 'it has no type' : `no ${type} is made here`}`,
      {
        hint: '--attest type=provenance is there',
      },
    );
  const other = [...fields.keys()].find((key) => !known.has(key));
  if (other !== undefined)
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot honour ${flag}: there is no ${other} here`, { hint: [...known].join(', ') });
  if (flagged(flag, fields, 'disabled')) return undefined;
  return {
    mode: choose(flag, fields, 'mode', ['min', 'max']),
    version: choose(flag, fields, 'version', ['v1', 'v0.2']),
    builder: ['yadokari', version],
    builderId: fields.get('builder-id') ?? jobUrl(env),
    isReproducible: flagged(flag, fields, 'reproducible'),
    vcs: given({ source: withoutUserinfo(first(env, sources)), revision: first(env, revisions) }),
  };
}

const known: ReadonlySet<string> = new Set(['type', 'mode', 'version', 'builder-id', 'reproducible', 'disabled']);

function choose<Choice extends string>(flag: string, fields: Fields, key: string, choices: readonly [Choice, ...Choice[]]): Choice {
  const text = fields.get(key) ?? choices[0];
  const found = choices.find((choice) => choice === text);
  if (found !== undefined) return found;
  throw new BuilderError('ERR_USAGE', `Cannot use ${flag}: ${key} is ${choices.join(' or ')}, not ${JSON.stringify(text)}`);
}

function flagged(flag: string, fields: Fields, key: string): boolean {
  const text = fields.get(key) ?? 'false';
  if (/^(?:1|t|true)$/i.test(text)) return true;
  if (/^(?:0|f|false)$/i.test(text)) return false;
  throw new BuilderError('ERR_USAGE', `Cannot use ${flag}: ${key} is true or false, not ${JSON.stringify(text)}`);
}

/** Attestations are entries of an index. @throws ERR_UNSUPPORTED for a place that holds one image, or only its files */
function refusePlaces({ tarPath, exports }: OutputRequest): void {
  const single = exports.find(({ type }) => type !== 'oci' && type !== 'layout');
  const flag = tarPath === undefined ? single && `--output type=${single.type}` : '--tar-path';
  if (flag === undefined) return;
  throw new BuilderError('ERR_UNSUPPORTED', `Cannot combine ${flag} with --provenance: there is no index that could hold it`, {
    hint: '--oci-layout-path, --output type=oci and registries have one; --provenance=false goes without',
  });
}

/** Where CI systems say which job this is. */
const jobs = ['CI_JOB_URL', 'BUILD_URL', 'BUILDKITE_BUILD_URL', 'CIRCLE_BUILD_URL', 'DRONE_BUILD_LINK', 'CI_PIPELINE_URL'];
const sources = ['CI_PROJECT_URL', 'GIT_URL', 'BUILDKITE_REPO', 'CIRCLE_REPOSITORY_URL', 'DRONE_REPO_LINK', 'CI_REPO_URL'];
const revisions = ['CI_COMMIT_SHA', 'GITHUB_SHA', 'GIT_COMMIT', 'BUILDKITE_COMMIT', 'CIRCLE_SHA1', 'DRONE_COMMIT_SHA'];

function jobUrl(env: Environment): string {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository, GITHUB_RUN_ID: run } = env;
  if (server !== undefined && repository !== undefined && run !== undefined) return `${server}/${repository}/actions/runs/${run}`;
  return first(env, jobs) ?? '';
}

function first(env: Environment, names: readonly string[]): string | undefined {
  return names.map((name) => env[name]).find((value) => value !== undefined && value !== '');
}

/** Checkouts have their token in it. */
function withoutUserinfo(url: string | undefined): string | undefined {
  return url?.replace(/^([a-z][a-z\d+.-]*:\/\/)[^/?#]*@/i, '$1');
}
