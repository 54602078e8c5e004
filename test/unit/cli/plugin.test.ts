import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { flagsOf } from '../../../src/cli/command.ts';
import { executor } from '../../../src/cli/commands.ts';
import { pluginInvocation } from '../../../src/cli/plugin.ts';
import { temporaryFolder } from '../../support/tree.ts';

const table = flagsOf(executor);
const wordsOf = (env: Readonly<Record<string, string>>) => pluginInvocation(env, table)?.words;

describe('settings of a plugin', () => {
  test('are none without a repository', () => {
    assert.equal(pluginInvocation({ PATH: '/bin', PLUGIN_TAGS: 'x' }, table), undefined);
    assert.equal(pluginInvocation({ PLUGIN_REPO: '' }, table), undefined);
  });

  test('of Woodpecker and Drone become the flags that say the same', () => {
    const env = {
      PLUGIN_REGISTRY: 'https://registry.example:5000/v2/',
      PLUGIN_REPO: 'team/app',
      PLUGIN_TAGS: 'latest, 1.0',
      PLUGIN_DOCKERFILE: 'docker/Dockerfile',
      PLUGIN_BUILD_ARGS: 'A=1,B=2',
      PLUGIN_BUILD_ARGS_FROM_ENV: 'CI_COMMIT_SHA',
      PLUGIN_CACHE: 'true',
      PLUGIN_CACHE_REPO: '',
      PLUGIN_SKIP_TLS_VERIFY: 'false',
      PLUGIN_MIRRORS: 'mirror.example',
      PLUGIN_LOG_LEVEL: 'debug',
      PLUGIN_CUSTOM_LABELS: 'a=b,c=d',
      PLUGIN_CACHE_TTL: '12',
      PLUGIN_ARTIFACT_FILE: '/addon/tmp/.plugin/artifact',
    };
    assert.deepEqual(wordsOf(env), [
      '--context=.',
      '--destination=registry.example:5000/team/app:latest',
      '--destination=registry.example:5000/team/app:1.0',
      '--build-arg=CI_COMMIT_SHA',
      '--dockerfile=docker/Dockerfile',
      '--build-arg=A=1',
      '--build-arg=B=2',
      '--cache=true',
      '--skip-tls-verify=false',
      '--registry-mirror=mirror.example',
      '--verbosity=debug',
      '--label=a=b',
      '--label=c=d',
      '--cache-ttl=12h',
    ]);
  });

  for (const [cache, place] of [
    ['team/cache', 'registry.example/team/cache'],
    ['registry.example/team/cache', 'registry.example/team/cache'],
    ['other.example:5000/cache', 'other.example:5000/cache'],
    ['oci:/cache', 'oci:/cache'],
  ])
    test(`cache_repo ${cache} is ${place}`, () => {
      const words = wordsOf({ PLUGIN_REGISTRY: 'registry.example', PLUGIN_REPO: 'team/app', PLUGIN_CACHE_REPO: cache ?? '' });
      assert.equal(words?.at(-1), `--cache-repo=${place}`);
    });

  const names: readonly (readonly [env: Readonly<Record<string, string>>, destinations: readonly string[]])[] = [
    [{ PLUGIN_REPO: 'me/app' }, ['me/app:latest']],
    [{ PLUGIN_REPO: 'r.example/app', PLUGIN_REGISTRY: 'r.example' }, ['r.example/app:latest']],
    [{ PLUGIN_REPO: 'me/app', PLUGIN_REGISTRY: 'https://index.docker.io/v1/' }, ['me/app:latest']],
    [{ PLUGIN_REPO: 'app', PLUGIN_AUTO_TAG: 'true', CI_COMMIT_TAG: 'v1.2.3' }, ['app:1', 'app:1.2', 'app:1.2.3', 'app:latest']],
    [{ PLUGIN_REPO: 'app', PLUGIN_AUTO_TAG: 'true', DRONE_TAG: 'v1.2.3' }, ['app:1', 'app:1.2', 'app:1.2.3']],
    [{ PLUGIN_REPO: 'app', PLUGIN_AUTO_TAG: 'true', DRONE_TAG: 'v1.2.3-rc1' }, ['app:1.2.3-rc1']],
    [{ PLUGIN_REPO: 'app', PLUGIN_AUTO_TAG: 'true', PLUGIN_AUTO_TAG_SUFFIX: 'arm64' }, ['app:arm64']],
    [{ PLUGIN_REPO: 'app', PLUGIN_TAGS: 'v2.0.1,edge', PLUGIN_EXPAND_TAG: 'true' }, ['app:2', 'app:2.0', 'app:2.0.1', 'app:edge']],
    [{ PLUGIN_REPO: 'app', PLUGIN_TAGS: '["1","2"]' }, ['app:1', 'app:2']],
    [{ PLUGIN_REPO: 'app', PLUGIN_AUTO_TAG: 'true', DRONE_TAG: 'nightly' }, ['app:nightly']],
    [{ PLUGIN_REPO: 'app', PLUGIN_AUTO_TAG: 'true' }, ['app:latest']],
  ];
  for (const [env, destinations] of names)
    test(`${JSON.stringify(env)} names ${destinations.join(', ')}`, () => {
      assert.deepEqual(
        wordsOf(env)?.slice(1, 1 + destinations.length),
        destinations.map((name) => `--destination=${name}`),
      );
    });

  test('that are maps in Woodpecker come as JSON', () => {
    const words = wordsOf({ PLUGIN_REPO: 'app', PLUGIN_BUILD_ARGS: '{"A":"1,2","B":3}', PLUGIN_LABELS: '{"a":"b"}' });
    assert.deepEqual(words?.slice(2), ['--build-arg=A=1,2', '--build-arg=B=3', '--label=a=b']);
  });

  test('of a trial run may want the cache, which then is only read', () => {
    const words = wordsOf({ PLUGIN_REPO: 'app', PLUGIN_CACHE: 'true', PLUGIN_DRY_RUN: 'true' });
    assert.deepEqual(words?.slice(2), ['--cache=true', '--no-push=true', '--no-push-cache=true']);
  });

  test('take the tags that an earlier step has left in a file', (context) => {
    const [before, folder] = [process.cwd(), temporaryFolder(context)];
    writeFileSync(join(folder, '.tags'), '1.0, 1.0.3\nedge\n');
    process.chdir(folder);
    try {
      assert.deepEqual(wordsOf({ PLUGIN_REPO: 'app' })?.slice(1), [
        '--destination=app:1.0',
        '--destination=app:1.0.3',
        '--destination=app:edge',
      ]);
      assert.deepEqual(wordsOf({ PLUGIN_REPO: 'app', PLUGIN_TAGS: 'x' })?.slice(1), ['--destination=app:x']);
    } finally {
      process.chdir(before);
    }
  });

  test('give credentials as a whole config, or as a key of Google', () => {
    const configOf = (more: Readonly<Record<string, string>>): string | undefined =>
      pluginInvocation({ PLUGIN_REPO: 'gcr.io/p/app', PLUGIN_REGISTRY: 'gcr.io', ...more }, table)?.env['DOCKER_AUTH_CONFIG'];
    assert.equal(configOf({ PLUGIN_CONFIG: '{"auths":{}}' }), '{"auths":{}}');
    const auth = Buffer.from('_json_key:{"k":1}').toString('base64');
    assert.deepEqual(JSON.parse(configOf({ PLUGIN_JSON_KEY: '{"k":1}' }) ?? ''), { auths: { 'gcr.io': { auth } } });
  });

  test('keep the password out of the command line', () => {
    const made = pluginInvocation(
      { PLUGIN_REPO: 'r.example/app', PLUGIN_REGISTRY: 'r.example', PLUGIN_USERNAME: 'me', PLUGIN_PASSWORD: 'pw' },
      table,
    );
    assert.ok(made !== undefined && !made.words.join(' ').includes('pw'));
    assert.deepEqual(JSON.parse(made.env['DOCKER_AUTH_CONFIG'] ?? ''), { auths: { 'r.example': { auth: 'bWU6cHc=' } } });
  });

  for (const [env, message] of [
    [{ PLUGIN_REPO: 'a', PLUGIN_NO_SUCH_THING: 'x' }, /the setting PLUGIN_NO_SUCH_THING: it is no flag/],
    [{ PLUGIN_REPO: 'a', PLUGIN_USERNAME: 'me' }, /there is no password/],
    [{ PLUGIN_REPO: 'a', PLUGIN_USERNAME: 'me', PLUGIN_PASSWORD: 'pw', DOCKER_AUTH_CONFIG: '{}' }, /DOCKER_AUTH_CONFIG is set, too/],
  ] as const)
    test(`${JSON.stringify(env)} is refused`, () => {
      assert.throws(() => pluginInvocation(env, table), message);
    });
});
