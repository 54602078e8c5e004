import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtempDisposable, readFile, writeFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { BuilderError } from '../../../src/errors.ts';
import { configPaths, loadCredentials } from '../../../src/registry/credentials.ts';

const { signal } = new AbortController();
const authOf = (user: string): unknown => ({ auth: Buffer.from(`${user}:p`).toString('base64') });

async function workplace(): Promise<{ readonly path: string } & AsyncDisposable> {
  return await mkdtempDisposable(join(tmpdir(), 'yadokari-credentials-'));
}

/** A helper program whose body is shell. */
async function helper(folder: string, name: string, body: string): Promise<void> {
  await writeFile(join(folder, `docker-credential-${name}`), `#!/bin/sh\n${body}\n`);
  await chmod(join(folder, `docker-credential-${name}`), 0o755);
}

test('configPaths() follows docker and podman, with the builder folder in between', () => {
  const env = { DOCKER_CONFIG: '/d', HOME: '/h', REGISTRY_AUTH_FILE: '/r.json', XDG_RUNTIME_DIR: '/x' };
  assert.deepEqual(configPaths(env), [
    '/d/config.json',
    '/d/.dockerconfigjson',
    '/d/.dockercfg',
    '/kaniko/.docker/config.json',
    '/kaniko/.docker/.dockerconfigjson',
    '/kaniko/.docker/.dockercfg',
    '/r.json',
    '/h/.docker/config.json',
    '/x/containers/auth.json',
    '/h/.config/containers/auth.json',
  ]);
  const auth = `/run/containers/${process.getuid?.()}/auth.json`;
  assert.deepEqual(configPaths({ HOME: '/h', XDG_CONFIG_HOME: '/c' }, []), ['/h/.docker/config.json', auth, '/c/containers/auth.json']);
});

test('configPaths() takes DOCKER_CONFIG for a file where it names one, as kaniko does', () => {
  assert.equal(configPaths({ DOCKER_CONFIG: '/secret/config.json' }, [])[0], '/secret/config.json');
});

test('a file that knows nothing of a host leaves the word to the next one, and a broken one behind the first is a warning', async () => {
  await using place = await workplace();
  const env = { DOCKER_CONFIG: place.path, HOME: place.path, XDG_RUNTIME_DIR: place.path };
  await mkdir(join(place.path, '.config/containers'), { recursive: true });
  await mkdir(join(place.path, 'containers'));
  await writeFile(join(place.path, 'config.json'), JSON.stringify({ auths: { reg: authOf('docker') } }));
  await writeFile(join(place.path, 'containers/auth.json'), '{');
  await writeFile(
    join(place.path, '.config/containers/auth.json'),
    JSON.stringify({ auths: { reg: authOf('no'), other: authOf('podman') } }),
  );
  const warnings: string[] = [];
  const { find } = await loadCredentials({ env, onWarning: (message) => warnings.push(message) });
  const users = [await find('reg', 'x', signal), await find('other', 'x', signal)];
  assert.deepEqual(
    users.map((found) => (found?.kind === 'password' ? found.user : undefined)),
    ['docker', 'podman'],
  );
  assert.deepEqual(warnings, [`Cannot read credentials in ${place.path}/containers/auth.json: it is not JSON at line 1, column 2`]);
});

test('DOCKER_AUTH_CONFIG comes before files, and reload() reads it again', async () => {
  await using place = await workplace();
  const folders = [join(place.path, 'one'), join(place.path, 'two')];
  for (const folder of folders) await mkdir(folder);
  await writeFile(join(place.path, 'two', '.dockerconfigjson'), JSON.stringify({ auths: { reg: authOf('file'), other: authOf('file') } }));
  const env = { DOCKER_AUTH_CONFIG: JSON.stringify({ auths: { reg: authOf('variable') } }) };
  const credentials = await loadCredentials({ env, folders });
  const userOf = async (registry: string): Promise<unknown> => {
    const found = await credentials.find(registry, 'x', signal);
    return found?.kind === 'password' ? found.user : undefined;
  };
  assert.equal(await userOf('reg'), 'variable');
  assert.equal(await userOf('other'), 'file');
  assert.equal(await userOf('third'), undefined);
  await writeFile(join(place.path, 'two', '.dockerconfigjson'), JSON.stringify({ auths: { other: authOf('rotated') } }));
  await credentials.reload(signal);
  assert.equal(await userOf('other'), 'rotated');
  await rm(join(place.path, 'two', '.dockerconfigjson'));
  await credentials.reload(signal);
  assert.equal(await userOf('other'), 'rotated', 'a file that was taken away from a RUN says what it said');
});

test('a helper gets the host on stdin and a clean environment, and is found before PATH changes', async () => {
  await using place = await workplace();
  await helper(
    place.path,
    'good',
    'read host; printf \'{"ServerURL":"%s","Username":"%s","Secret":"%s"}\' "$host" "$host" "${LD_PRELOAD-none}"',
  );
  await writeFile(
    join(place.path, 'config.json'),
    JSON.stringify({ credHelpers: { 'reg:5000': 'good' }, auths: { 'reg:5000': authOf('file') } }),
  );
  const env = { PATH: `relative:${place.path}`, LD_PRELOAD: '/evil.so' };
  const credentials = await loadCredentials({ env, folders: [place.path] });
  env.PATH = '/nowhere';
  assert.deepEqual(await credentials.find('reg:5000', 'a/b', signal), { kind: 'password', user: 'reg:5000', password: 'none' });
  assert.equal(await credentials.find('reg', 'a/b', signal), undefined);
});

test('a helper in whose place the image has put a program of its own is not run', async () => {
  await using place = await workplace();
  await helper(place.path, 'x', 'echo "{\\"Username\\":\\"u\\",\\"Secret\\":\\"s\\"}"');
  await writeFile(join(place.path, 'config.json'), JSON.stringify({ credsStore: 'x' }));
  const credentials = await loadCredentials({ env: { PATH: place.path }, folders: [place.path] });
  assert.deepEqual(await credentials.find('reg', 'a', signal), { kind: 'password', user: 'u', password: 's' });
  const ran = join(place.path, 'ran');
  await rm(join(place.path, 'docker-credential-x'));
  await helper(place.path, 'x', `touch ${ran}; echo "{\\"Username\\":\\"u\\",\\"Secret\\":\\"s\\"}"`);
  await credentials.reload(signal);
  await assert.rejects(credentials.find('reg', 'a', signal), { code: 'ERR_AUTH', message: /docker-credential-x is not what it was/ });
  await assert.rejects(readFile(ran), { code: 'ENOENT' });
});

test('a helper that knows nothing leaves the word to auths', async () => {
  await using place = await workplace();
  await helper(place.path, 'empty', 'echo "credentials not found in native keychain"; exit 1');
  await writeFile(join(place.path, 'config.json'), JSON.stringify({ credsStore: 'empty', auths: { reg: authOf('file') } }));
  const credentials = await loadCredentials({ env: { PATH: place.path }, folders: [place.path] });
  assert.deepEqual(await credentials.find('reg', 'a', signal), { kind: 'password', user: 'file', password: 'p' });
});

const failing: readonly (readonly [name: string, body: string, message: RegExp])[] = [
  ['that fails', 'echo secret-output; exit 3', /docker-credential-bad failed with exit code 3$/],
  [
    'that complains',
    'echo secret-output; printf "no key\\033[31m\\nat all\\n" >&2; exit 1',
    /docker-credential-bad failed with exit code 1: no key \[31m at all$/,
  ],
  [
    'that complains without end',
    'for i in 1 2 3 4 5 6 7 8 9; do printf "%0800d" $i >&2; done; echo " the reason" >&2; exit 1',
    /: 0{100,}9 the reason$/,
  ],
  ['that prints rubbish', 'echo secret-output', /printed something that is not JSON$/],
  ['that never answers', 'exec sleep 60', /took too long$/],
  ['whose own program never answers', 'sleep 20; exit 0', /took too long$/],
  ['that prints without end', 'while :; do echo 0123456789012345678901234567890123456789; done 2>/dev/null', /printed too much$/],
];
for (const [name, body, message] of failing) {
  test(`a helper ${name} is an error, not anonymous access`, async () => {
    await using place = await workplace();
    await helper(place.path, 'bad', `PATH=/bin:/usr/bin; ${body}`);
    await writeFile(join(place.path, 'config.json'), JSON.stringify({ credsStore: 'bad' }));
    const credentials = await loadCredentials({ env: { PATH: place.path }, folders: [place.path], helperTimeoutMs: 1500 });
    const startedMs = performance.now();
    await assert.rejects(
      credentials.find('reg', 'a', signal),
      (error) => error instanceof Error && message.test(error.message) && !error.message.includes('secret-output'),
    );
    assert.ok(performance.now() - startedMs < 10_000);
  });
}

test('who no longer wants to know is not kept by a helper whose own program never answers', async () => {
  await using place = await workplace();
  await helper(place.path, 'slow', 'PATH=/bin:/usr/bin; sleep 20; exit 0');
  await writeFile(join(place.path, 'config.json'), JSON.stringify({ credsStore: 'slow' }));
  const credentials = await loadCredentials({ env: { PATH: place.path }, folders: [place.path] });
  const stop = new AbortController();
  const startedMs = performance.now();
  const asked = credentials.find('reg', 'a', stop.signal);
  setTimeout(() => stop.abort(new BuilderError('ERR_ABORTED', 'SIGTERM')), 300);
  await assert.rejects(asked, { code: 'ERR_ABORTED' });
  assert.ok(performance.now() - startedMs < 10_000);
});

test('what a helper that knows the answer writes to stderr is a warning, without the secret, and nobody waits for what it leaves behind', async () => {
  await using place = await workplace();
  const answer = '{"ServerURL":"reg","Username":"me","Secret":"hush"}';
  await helper(place.path, 'chatty', `PATH=/bin:/usr/bin; echo "the token hush is old" >&2; echo '${answer}'; sleep 20 & exit 0`);
  await writeFile(join(place.path, 'config.json'), JSON.stringify({ credsStore: 'chatty' }));
  const warnings: string[] = [];
  const onWarning = (message: string): void => void warnings.push(message);
  const credentials = await loadCredentials({ env: { PATH: place.path }, folders: [place.path], onWarning });
  const startedMs = performance.now();
  assert.deepEqual(await credentials.find('reg', 'a', signal), { kind: 'password', user: 'me', password: 'hush' });
  assert.ok(performance.now() - startedMs < 5000);
  assert.deepEqual(warnings, ['docker-credential-chatty: the token … is old']);
});

test('what is wrong with an entry is told once, also where its file is read anew', async () => {
  await using place = await workplace();
  await writeFile(join(place.path, 'config.json'), JSON.stringify({ auths: { reg: { auth: '?' } } }));
  const warnings: string[] = [];
  const credentials = await loadCredentials({ env: {}, folders: [place.path], onWarning: (message) => void warnings.push(message) });
  await credentials.reload(signal);
  assert.deepEqual(warnings, [`${place.path}/config.json: auths.reg is ignored: auth is not base64`]);
});

test('a helper whose user is <token> gives a refresh token', async () => {
  await using place = await workplace();
  await helper(place.path, 'aad', 'printf \'{"Username":"<token>","Secret":"refresh-me"}\'');
  await writeFile(join(place.path, 'config.json'), JSON.stringify({ credsStore: 'aad' }));
  const credentials = await loadCredentials({ env: { PATH: place.path }, folders: [place.path] });
  assert.deepEqual(await credentials.find('reg', 'a', signal), { kind: 'identity', user: '', token: 'refresh-me' });
});

test('a file of credentials of ten megabytes is refused by its name, unread', async () => {
  await using place = await workplace();
  const path = join(place.path, 'config.json');
  await writeFile(path, Buffer.alloc(10_000_000, ' '));
  await assert.rejects(loadCredentials({ env: {}, folders: [place.path] }), {
    code: 'ERR_AUTH',
    message: `Cannot read credentials in ${path}: it has more than 4194304 bytes`,
  });
});

test('a helper that is nowhere is named', async () => {
  await using place = await workplace();
  await writeFile(join(place.path, 'config.json'), JSON.stringify({ credHelpers: { reg: 'gone' } }));
  const credentials = await loadCredentials({ env: { PATH: place.path }, folders: [place.path] });
  await assert.rejects(credentials.find('reg', 'a', signal), { code: 'ERR_AUTH', message: /docker-credential-gone is not on PATH/ });
  assert.equal(await credentials.find('other', 'a', signal), undefined);
});

test('variables of the host and of GitLab are for their host only', async () => {
  const env = {
    KANIKO_REG_EXAMPLE_COM_USER: 'host',
    KANIKO_REG_EXAMPLE_COM_PASSWORD: 'p',
    KANIKO_REG_EXAMPLE_COM_5000_USER: 'port',
    KANIKO_REG_EXAMPLE_COM_5000_PASSWORD: 'p',
    CI_REGISTRY: 'registry.gitlab.test',
    CI_REGISTRY_USER: 'ci',
    CI_REGISTRY_PASSWORD: 'q',
  };
  const credentials = await loadCredentials({ env });
  const find = async (registry: string): Promise<unknown> => await credentials.find(registry, 'a', signal);
  assert.deepEqual(await find('reg.example.com'), { kind: 'password', user: 'host', password: 'p' });
  assert.deepEqual(await find('reg.example.com:443'), { kind: 'password', user: 'host', password: 'p' });
  assert.deepEqual(await find('reg.example.com:5000'), { kind: 'password', user: 'port', password: 'p' });
  assert.deepEqual(await find('sub.reg.example.com'), { kind: 'password', user: 'host', password: 'p' });
  assert.deepEqual(await find('registry.gitlab.test'), { kind: 'password', user: 'ci', password: 'q' });
  assert.equal(await find('example.com'), undefined);
});

test('which source a credential came from is told, and nothing of it', async () => {
  await using place = await workplace();
  await helper(place.path, 'good', 'read host; printf \'{"Username":"me","Secret":"s3cret"}\'');
  const path = join(place.path, 'config.json');
  await writeFile(path, JSON.stringify({ credHelpers: { 'helped.test': 'good' }, auths: { 'filed.test': authOf('s3cret') } }));
  const env = {
    PATH: place.path,
    KANIKO_VAR_TEST_USER: 'me',
    KANIKO_VAR_TEST_PASSWORD: 's3cret',
    CI_REGISTRY: 'git.test',
    CI_JOB_TOKEN: 's3cret',
  };
  const told: string[] = [];
  const credentials = await loadCredentials({ env, folders: [place.path], onFound: (message) => told.push(message) });
  for (const host of ['helped.test', 'filed.test', 'var.test', 'git.test', 'none.test']) await credentials.find(host, 'a/b', signal);
  assert.deepEqual(told, [
    'credentials for helped.test/a/b: from docker-credential-good',
    `credentials for filed.test/a/b: from ${path}`,
    'credentials for var.test/a/b: from KANIKO_<HOST>_USER and _PASSWORD',
    "credentials for git.test/a/b: from GitLab's variables",
    'credentials for none.test/a/b: there are none: going there anonymously',
  ]);
});

test('loadCredentials() asks only the built-in helpers that are wanted', async () => {
  const env = { KANIKO_REG_EXAMPLE_COM_USER: 'host', KANIKO_REG_EXAMPLE_COM_PASSWORD: 'p' };
  const found = async (...builtIn: readonly ('env' | 'gitlab')[]): Promise<unknown> =>
    await (await loadCredentials({ env, builtIn: new Set(builtIn) })).find('reg.example.com', 'a', signal);
  assert.notEqual(await found('env'), undefined);
  assert.equal(await found('gitlab'), undefined);
  assert.equal(await found(), undefined);
});
