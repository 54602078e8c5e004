import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { passedEnvironment, translate } from '../../../../src/cli/sandbox/sandbox-command.ts';

// What this machine's /etc/containers says.
const noConf = { YADOKARI_REGISTRIES_FILES: '', YADOKARI_POLICY_FILE: '', YADOKARI_REGISTRIES_D: '' };

describe('translate()', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync('/tmp/yadokari-translate-');
    mkdirSync(join(folder, '.docker'));
    for (const name of ['.docker/config.json', '.docker/other', 'token']) writeFileSync(join(folder, name), name);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const flagged = (...flags: readonly (readonly [string, string])[]) =>
    translate(
      {
        flags: new Map(flags.map(([name, value]) => [name, [value]])),
        positionals: [],
        env: { ...noConf, HOME: folder, XDG_RUNTIME_DIR: folder },
      },
      folder,
    );

  test('lets no output be seen inside, only a place of the sandbox where it waits', () => {
    for (const name of ['tar-path', 'digest-file', 'image-name-with-digest-file', 'image-name-tag-with-digest-file', 'oci-layout-path']) {
      const { argv, visible, outputs } = flagged([name, 'out']);
      assert.ok(argv.includes(`--${name}=/kaniko/out${folder}/out`), argv.join(' '));
      assert.deepEqual(
        visible.filter((one) => one.mode === 'rw'),
        [],
      );
      assert.deepEqual(outputs, [{ path: join(folder, 'out'), kind: name === 'oci-layout-path' ? 'layout' : 'file' }]);
    }
  });

  test('lets the builder alone have the folders that it fills', () => {
    const { argv, visible, outputs, env } = flagged(['output', 'files'], ['cache-repo', 'oci:cache'], ['cache-to', 'oci:./cache']);
    const held = { mode: 'held', kind: 'folder' } as const;
    assert.deepEqual(argv.slice(0, 3), [
      '--output=type=local,dest=/proc/self/fd/6/files',
      '--cache-repo=oci:/proc/self/fd/7',
      '--cache-to=oci:/proc/self/fd/7',
    ]);
    // The folder of files is made in the end, below what there is.
    const folders = [folder, join(folder, 'cache')];
    assert.deepEqual(
      visible.filter(({ mode }) => mode === 'held'),
      folders.map((path) => ({ path, ...held })),
    );
    assert.deepEqual([env['YADOKARI_HELD'], outputs], [JSON.stringify(folders), []]);
  });

  test('reads files of build arguments itself, before the arguments that win', () => {
    writeFileSync(join(folder, 'args'), '# none\nA=1\nB\n');
    const { argv } = flagged(['build-arg', 'A=2'], ['build-arg-file', 'args']);
    assert.deepEqual(argv.slice(0, 3), ['--build-arg=A=1', '--build-arg=B', '--build-arg=A=2']);
  });

  test('leaves the streams that are inherited to their names', () => {
    const { argv, outputs, visible } = flagged(['tar-path', '/dev/stdout']);
    assert.ok(argv.includes('--tar-path=/dev/stdout'));
    assert.deepEqual([outputs, visible.filter((one) => one.mode === 'rw')], [[], []]);
  });

  test('takes what has a scheme for no path of this machine, digits in the scheme or not', () => {
    for (const place of [
      's3://bucket/app.tar.gz',
      'https://h.example/app.tar.gz',
      'git@h.example:team/app.git',
      'github.com/team/app#main',
    ]) {
      assert.deepEqual(flagged(['context', place]).argv, [`--context=${place}`]);
    }
  });

  test('shows secrets and credentials as copies, and nothing that lies beside them', () => {
    const { argv, env, visible } = flagged(['secret', 'id=token,src=token']);
    assert.ok(argv.includes(`--secret=id=token,src=/kaniko/host${folder}/token`), argv.join(' '));
    assert.equal(env['YADOKARI_CREDENTIAL_FILES']?.split('\n')[0], `/kaniko/host${folder}/.docker/config.json`);
    const copies = visible.filter((one) => one.mode === 'copy').map((one) => one.path);
    assert.deepEqual(copies.sort(), [join(folder, '.docker/config.json'), join(folder, 'token')]);
    assert.ok(!visible.some((one) => one.path === join(folder, '.docker')));
  });

  test('shows copies of the files that clouds have keys in, and says where they are inside', () => {
    const home = mkdtempSync('/tmp/yadokari-keys-');
    for (const name of ['.aws', '.config/gcloud', 'run']) mkdirSync(join(home, name), { recursive: true });
    const keys = ['.aws/config', '.config/gcloud/application_default_credentials.json', 'run/key.json', 'run/token', 'run/app.pem'];
    for (const name of [...keys, '.aws/sso', 'run/other']) writeFileSync(join(home, name), '');
    const env = {
      ...noConf,
      HOME: home,
      XDG_RUNTIME_DIR: join(home, 'run'),
      GOOGLE_APPLICATION_CREDENTIALS: join(home, 'run/key.json'),
      AWS_WEB_IDENTITY_TOKEN_FILE: join(home, 'run/token'),
      AZURE_CLIENT_CERTIFICATE_PATH: join(home, 'run/app.pem'),
      AZURE_FEDERATED_TOKEN_FILE: join(home, 'run/none'),
    };
    const { env: inside, visible } = translate({ flags: new Map(), positionals: [], env }, home);
    const inSandbox = (name: string): string => `/kaniko/host${join(home, name)}`;
    const { YADOKARI_WORKING_DIRECTORY: _, YADOKARI_CREDENTIAL_FILES: looked, ...named } = inside;
    const places = ['.docker/config.json', 'run/containers/auth.json', '.config/containers/auth.json'];
    assert.equal(looked, places.map(inSandbox).join('\n'), 'as people know the places where nothing is');
    assert.deepEqual(named, {
      ...noConf,
      AWS_CONFIG_FILE: inSandbox('.aws/config'),
      CLOUDSDK_CONFIG: inSandbox('.config/gcloud'),
      GOOGLE_APPLICATION_CREDENTIALS: inSandbox('run/key.json'),
      AWS_WEB_IDENTITY_TOKEN_FILE: inSandbox('run/token'),
      AZURE_CLIENT_CERTIFICATE_PATH: inSandbox('run/app.pem'),
    });
    const copies = visible.filter(({ mode }) => mode === 'copy').map(({ path }) => path);
    assert.deepEqual(copies.toSorted(), keys.map((name) => join(home, name)).toSorted());
    rmSync(home, { recursive: true });
  });

  test('shows a copy of what those files name, and says that it is elsewhere', () => {
    const home = mkdtempSync('/tmp/yadokari-named-');
    mkdirSync(join(home, '.aws'));
    for (const name of ['aws-token', 'google-token']) writeFileSync(join(home, name), 'x');
    writeFileSync(join(home, '.aws/config'), `[profile ci]\nrole_arn = r\nweb_identity_token_file = ${home}/aws-token\n`);
    const account = { type: 'external_account', credential_source: { file: join(home, 'google-token') } };
    writeFileSync(join(home, 'key.json'), JSON.stringify({ type: 'impersonated_service_account', source_credentials: account }));
    const env = { ...noConf, HOME: home, XDG_RUNTIME_DIR: home, AWS_PROFILE: 'ci', GOOGLE_APPLICATION_CREDENTIALS: join(home, 'key.json') };
    const { env: inside, visible } = translate({ flags: new Map(), positionals: [], env }, home);
    assert.equal(inside['YADOKARI_HOST_FILES'], '/kaniko/host');
    const copies = visible.filter(({ mode }) => mode === 'copy').map(({ path }) => path.slice(home.length + 1));
    assert.deepEqual(copies.toSorted(), ['.aws/config', 'aws-token', 'google-token', 'key.json']);
    rmSync(home, { recursive: true });
  });

  test('lets the builder add to the files of a GitHub step', () => {
    const path = join(folder, 'token');
    const { env, visible } = translate({ flags: new Map(), positionals: [], env: { HOME: folder, GITHUB_OUTPUT: path } }, folder);
    assert.equal(env['GITHUB_OUTPUT'], '/proc/self/fd/6');
    assert.ok(visible.some((one) => one.path === path && one.mode === 'held' && one.kind === 'file'));
  });

  test("shows copies of docker's credentials and of podman's", () => {
    const home = mkdtempSync('/tmp/yadokari-podman-');
    mkdirSync(join(home, 'run/containers'), { recursive: true });
    mkdirSync(join(home, '.docker'));
    const files = ['.docker/config.json', 'run/containers/auth.json'];
    for (const name of files) writeFileSync(join(home, name), '{}');
    const env = { HOME: home, XDG_RUNTIME_DIR: join(home, 'run'), DOCKER_CONFIG: join(home, 'none') };
    const { env: inside, visible } = translate({ flags: new Map(), positionals: [], env }, home);
    const looked = inside['YADOKARI_CREDENTIAL_FILES']?.split('\n') ?? [];
    for (const name of files) {
      assert.ok(looked.includes(`/kaniko/host${join(home, name)}`));
      assert.ok(visible.some(({ path, mode }) => path === join(home, name) && mode === 'copy'));
    }
    rmSync(home, { recursive: true });
  });

  test('shows the known hosts of this user to builds with --ssh, unless others are named', () => {
    const folder = mkdtempSync('/tmp/yadokari-known-');
    mkdirSync(join(folder, '.ssh'));
    for (const name of ['.ssh/known_hosts', 'agent', 'others']) writeFileSync(join(folder, name), '');
    const known = (...flags: readonly (readonly [string, string])[]) =>
      translate(
        { flags: new Map(flags.map(([name, value]) => [name, [value]])), positionals: [], env: { HOME: folder } },
        folder,
      ).argv.filter((word) => word.includes('GIT_KNOWN_HOSTS'));
    const ssh = ['ssh', 'default=agent'] as const;
    assert.deepEqual(known(ssh), [`--secret=id=GIT_KNOWN_HOSTS,src=/kaniko/host${folder}/.ssh/known_hosts`]);
    assert.deepEqual(known(ssh, ['secret', 'id=GIT_KNOWN_HOSTS,src=others']), [
      `--secret=id=GIT_KNOWN_HOSTS,src=/kaniko/host${folder}/others`,
    ]);
    assert.deepEqual(known(), []);
    rmSync(folder, { recursive: true, force: true });
  });
});

test('passedEnvironment() gives a build what leads to clouds and registries, what its flags name, and nothing else', () => {
  const clouds = ['AWS_REGION', 'AWS_SESSION_TOKEN', 'AZURE_CLIENT_ID', 'S3_ENDPOINT', 'IDENTITY_HEADER', 'GCE_METADATA_HOST'];
  const registries = ['KANIKO_REG_USER', 'DOCKER_AUTH_CONFIG', 'CI_REGISTRY_USER', 'CI_DEPENDENCY_PROXY_PASSWORD', 'CI_JOB_TOKEN'];
  const flags = ['VERSION', 'NPM_TOKEN'];
  const others = ['PATH', 'HOME', 'LD_PRELOAD', 'NODE_OPTIONS', 'NOTAWS_KEY', 'CI_SERVER', 'NPM_TOKEN_2'];
  const env = Object.fromEntries([...clouds, ...registries, ...flags, ...others, 'HTTPS_PROXY'].map((name) => [name, name]));
  const argv = ['--build-arg=VERSION', '--build-arg=PATH=x', '--secret=id=npm,env=NPM_TOKEN'];
  const passed = passedEnvironment(env, { argv });
  assert.deepEqual(Object.keys(passed).toSorted(), [...clouds, ...registries, ...flags, 'HTTPS_PROXY'].toSorted());
});
