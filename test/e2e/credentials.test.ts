// A registry that asks who is there: right, wrong and missing credentials, and where they may be given.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { type RunningRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { Scene, stackTrace } from '../support/scene.ts';

// user "crab", password "shell" (bcrypt)
const htpasswd = 'crab:$2y$05$abcdefghijklmnopqrstuumNuudgVdLAyD5TYgRWlzz0Y9EpuIEFq\n';
const password = 'shell';

let scene: Scene;
let locked: RunningRegistry;

before(async () => {
  [scene, locked] = await Promise.all([Scene.start(), startDockerRegistry({ htpasswd })]);
});

after(async () => {
  await Promise.all([scene?.stop(), locked?.stop()]);
});

function dockerConfig(secret: string): string {
  return JSON.stringify({ auths: { [locked.host]: { auth: Buffer.from(`crab:${secret}`).toString('base64') } } });
}

async function push(config: string | undefined) {
  const folder = await scene.folder(config === undefined ? {} : { 'config.json': config });
  return scene.build({
    dockerfile: 'FROM @REG@/base\nRUN echo ran > /ran\n',
    pushTo: locked.host,
    repository: 'locked/image',
    ...(config === undefined ? {} : { volumes: [`${folder}/config.json:/kaniko/.docker/config.json:ro`] }),
  });
}

async function tagExists(): Promise<boolean> {
  const authorization = `Basic ${Buffer.from(`crab:${password}`).toString('base64')}`;
  const { status } = await fetch(`http://${locked.host}/v2/locked/image/manifests/latest`, {
    headers: { authorization, accept: 'application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json' },
  });
  assert.ok(status === 200 || status === 404, `the registry answers ${status}`);
  return status === 200;
}

for (const row of [
  { name: 'missing credentials', config: () => undefined },
  { name: 'a wrong password', config: () => dockerConfig('wrong-canary') },
]) {
  test(`${row.name} fail before anything is built, name the registry and leak no password`, async () => {
    const result = await push(row.config());
    assert.notEqual(result.status, 0);
    assert.ok(result.output.includes(locked.host), result.output);
    assert.match(result.output, /401|auth|credential/i);
    assert.ok(!result.output.includes('wrong-canary') && !result.output.includes(Buffer.from('crab:wrong-canary').toString('base64')));
    assert.ok(!stackTrace.test(result.output), `a stack trace: ${result.output}`);
    assert.ok(!/RUN echo ran/.test(result.output.split('error:')[0] ?? ''), 'the RUN ran although nothing can be pushed');
    assert.equal(await tagExists(), false);
  });
}

test('a config.json that is no JSON is named in one line', async () => {
  const result = await push('{"auths": ');
  assert.notEqual(result.status, 0);
  assert.match(result.output, /config\.json/);
  assert.ok(!stackTrace.test(result.output), `a stack trace: ${result.output}`);
});

const config = JSON.stringify({ auths: { 'registry.example': { auth: 'Y3JhYjpzaGVsbA==' } } });
// A RUN is root in the same mounts: what can't be taken away is read, whoever mounted it and however.
const readable: readonly {
  readonly name: string;
  readonly mount: string;
  readonly reads: string;
  readonly args?: readonly string[];
  readonly says: RegExp;
}[] = [
  { name: 'a read-only Secret', mount: '/kaniko/.docker:ro', reads: '/kaniko/.docker/config.json', says: /DOCKER_AUTH_CONFIG/ },
  { name: 'a writable folder', mount: '/kaniko/.docker', reads: '/kaniko/.docker/config.json', says: /DOCKER_AUTH_CONFIG/ },
  {
    name: 'a file of --secret in a mounted folder',
    mount: '/run/given:ro',
    reads: '/run/given/config.json',
    args: ['--secret=id=token,src=/run/given/config.json'],
    says: /--secret id=token,env=NAME/,
  },
];
for (const { name, mount, reads, args = [], says } of readable) {
  test(`${name} that every RUN can read is named in one warning with what to do`, async () => {
    const given = await scene.folder({ 'config.json': config });
    const nothing = await scene.folder();
    const volumes = [`${given}:${mount}`, ...(mount.startsWith('/kaniko') ? [] : [`${nothing}:/kaniko/.docker`])];
    const result = await scene.build({ dockerfile: `FROM @REG@/base\nRUN grep -c auths ${reads}\nRUN true\n`, volumes, args });
    assert.equal(result.status, 0, result.output);
    const warnings = result.output.split('\n').filter((line) => line.startsWith('warning: every RUN of this build can read'));
    assert.equal(warnings.length, 1, result.output);
    assert.ok((warnings[0] ?? '').includes(`can read ${reads},`), result.output);
    assert.match(warnings[0] ?? '', says);
  });
}

test('copies made by login --once are gone before the first RUN, and RUN --mount=type=secret has what they held', async () => {
  const given = await scene.folder({ 'config.json': config, token: 'token' });
  const copies = await scene.folder();
  const volumes = [`${copies}:/kaniko/.docker`];
  const flags = ['--from-file=/given/config.json', '--secret-file=/given/token=/kaniko/.docker/token', '--once'];
  const login = await scene.run({ args: ['login', ...flags], volumes: [...volumes, `${given}:/given:ro`] });
  assert.equal(login.status, 0, login.output);
  assert.deepEqual(readdirSync(copies).toSorted(), ['config.json', 'config.json.once', 'token', 'token.once']);
  const readSecret = 'RUN --mount=type=secret,id=token grep -q ^token$ /run/secrets/token && [ -z "$(ls -A /kaniko/.docker)" ]\n';
  const args = ['--secret=id=token,src=/kaniko/.docker/token'];
  const result = await scene.build({ dockerfile: `FROM @REG@/base\n${readSecret}${readSecret}`, volumes, args });
  assert.equal(result.status, 0, result.output);
  assert.doesNotMatch(result.output, /can read/);
  assert.deepEqual(readdirSync(copies), []);
});

test('credentials in the environment are out of reach, nothing is said of them, and an image keeps files of the same names', async () => {
  const nothing = await scene.folder();
  const result = await scene.build({
    dockerfile:
      'FROM @REG@/base\nRUN mkdir -p /root/.docker && echo "{}" > /root/.docker/config.json\nRUN test -f /root/.docker/config.json && ! grep -rs auths /proc/1/environ /kaniko/.docker\n',
    volumes: [`${nothing}:/kaniko/.docker`],
    env: { DOCKER_AUTH_CONFIG: config },
  });
  assert.equal(result.status, 0, result.output);
  assert.doesNotMatch(result.output, /can read/);
  assert.equal(result.image?.flattened.tree.get('/root/.docker/config.json')?.size, 3);
});

test('credentials in /kaniko/.docker/config.json push', async () => {
  const result = await push(dockerConfig(password));
  assert.equal(result.status, 0, result.output);
  assert.equal(await tagExists(), true);
});
