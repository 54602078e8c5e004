// `--provenance` and `--attest`, as docker buildx and bake files write them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProvenanceRequest } from '../../../../src/attest/provenance.ts';
import { attestationRequest } from '../../../../src/cli/requests/attestation-request.ts';
import { parseFlags } from '../../../../src/cli/flags.ts';
import { buildFlags } from '../../../../src/cli/tables/build.ts';
import { Settings } from '../../../../src/cli/settings.ts';
import type { OutputRequest } from '../../../../src/outputs/output-request.ts';

const nowhere: OutputRequest = {
  destinations: [],
  noPush: true,
  exports: [],
  skipPushPermissionCheck: false,
  ignoreImmutableTags: false,
  pushRetries: 0,
};

function request(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
  output: Partial<OutputRequest> = {},
): ProvenanceRequest | undefined {
  const settings = new Settings(parseFlags(argv, buildFlags), buildFlags, env);
  return attestationRequest(settings, env, { ...nowhere, ...output }).provenance;
}

for (const [argv, mode, version] of [
  [['--provenance', 'true'], 'min', 'v1'],
  [['--provenance=true'], 'min', 'v1'],
  [['--provenance=mode=max'], 'max', 'v1'],
  [['--attest', 'type=provenance,mode=max,version=v0.2'], 'max', 'v0.2'],
  [['--attest=type=provenance', '--provenance=mode=max'], 'max', 'v1'],
  [['--attest=type=provenance,mode=max', '--attest=type=sbom,disabled=true'], 'max', 'v1'],
] as const)
  test(`${argv.join(' ')} asks for mode ${mode}, version ${version}`, () => {
    const asked = request(argv);
    assert.deepEqual([asked?.mode, asked?.version], [mode, version]);
  });

for (const argv of [[], ['--provenance=false'], ['--attest=type=provenance,disabled=true'], ['--provenance=true', '--provenance', 'false']])
  test(`nothing is stated by ${argv.join(' ') || 'a build that does not ask'}`, () => assert.equal(request(argv), undefined));

for (const [argv, code, says] of [
  [['--provenance', '--no-push'], 'ERR_USAGE', /"--no-push" is not KEY=VALUE/],
  [['--provenance=maximal'], 'ERR_USAGE', /"maximal" is not KEY=VALUE/],
  [['--provenance=mode=most'], 'ERR_USAGE', /mode is min or max, not "most"/],
  [['--provenance=version=v2'], 'ERR_USAGE', /version is v1 or v0\.2, not "v2"/],
  [['--provenance=reproducible=maybe'], 'ERR_USAGE', /reproducible is true or false/],
  [['--provenance=filename=p.json'], 'ERR_UNSUPPORTED', /there is no filename here/],
  [['--attest=type=sbom'], 'ERR_UNSUPPORTED', /no sbom is made here/],
  [['--attest=mode=max'], 'ERR_UNSUPPORTED', /it has no type/],
  [['--attest=type=provenance,"a'], 'ERR_USAGE', /a quote is left open/],
] as const)
  test(`${argv.join(' ')} is refused by name`, () => assert.throws(() => request(argv), { code, message: says }));

for (const [output, flag] of [
  [{ tarPath: '/t' }, /^Cannot combine --tar-path with --provenance/],
  [{ exports: [{ type: 'docker', path: '/t' }] }, /^Cannot combine --output type=docker with/],
  [{ exports: [{ type: 'local', path: '/t' }] }, /^Cannot combine --output type=local with/],
] as const)
  test(`a place without an index is refused: ${flag.source}`, () =>
    assert.throws(() => request(['--provenance=true'], {}, output), { code: 'ERR_UNSUPPORTED', message: flag }));

for (const [name, env, builderId] of [
  ['GitLab', { CI_JOB_URL: 'https://gitlab.example/j/1' }, 'https://gitlab.example/j/1'],
  ['Jenkins', { BUILD_URL: 'https://jenkins.example/job/1/' }, 'https://jenkins.example/job/1/'],
  [
    'GitHub',
    { GITHUB_SERVER_URL: 'https://github.com', GITHUB_REPOSITORY: 'a/b', GITHUB_RUN_ID: '7' },
    'https://github.com/a/b/actions/runs/7',
  ],
  ['nobody', {}, ''],
] as const)
  test(`the builder is the job of ${name}, and the flag comes before it`, () => {
    assert.equal(request(['--provenance=true'], env)?.builderId, builderId);
    assert.equal(request(['--provenance=builder-id=https://me.example'], env)?.builderId, 'https://me.example');
  });

test('where the sources are from is told without the token of the checkout', () => {
  for (const scheme of ['https', 'git+https']) {
    const env = { CI_PROJECT_URL: `${scheme}://gitlab-ci-token:glpat-1@gitlab.example/a`, CI_COMMIT_SHA: 'abc' };
    assert.deepEqual(request(['--provenance=true'], env)?.vcs, { source: `${scheme}://gitlab.example/a`, revision: 'abc' });
  }
});
