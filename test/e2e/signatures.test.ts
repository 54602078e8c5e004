// Signatures in a pod: a key that no RUN can read, and bases that have to be signed.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { generateKeyPair } from '../../src/trust/key-file.ts';
import { Scene } from '../support/scene.ts';

const pair = generateKeyPair(Buffer.from('a pass phrase'));
const rule = (host: string): string =>
  JSON.stringify({
    default: [{ type: 'reject' }],
    transports: { docker: { [host]: [{ type: 'sigstoreSigned', keyPath: '/policy/team.pub' }] } },
  });

let scene: Scene;
before(async () => {
  scene = await Scene.start();
});
after(async () => {
  await scene?.stop();
});

test('a build signs by a key that no RUN can read, and the next one takes nothing else for its base', async () => {
  const given = await scene.folder({ 'team.private': pair.privateKey, pass: 'a pass phrase\n' });
  const copies = await scene.folder();
  const volumes = [`${copies}:/kaniko/.docker`];
  const secrets = ['team.private', 'pass'].map((name) => `--secret-file=/given/${name}=/kaniko/.docker/${name}`);
  const login = await scene.run({ args: ['login', ...secrets, '--once'], volumes: [...volumes, `${given}:/given:ro`] });
  assert.equal(login.status, 0, login.output);
  const args = ['--sign-by-sigstore-private-key=/kaniko/.docker/team.private', '--sign-passphrase-file=/kaniko/.docker/pass'];
  const dockerfile = 'FROM @REG@/base\nRUN [ -z "$(ls -A /kaniko/.docker)" ] && ! grep -rs SIGSTORE /proc/1/environ\n';
  const signed = await scene.build({ dockerfile, volumes, args, repository: 'signed/base' });
  assert.equal(signed.status, 0, signed.output);
  assert.match(signed.output, /signed \S+\/signed\/base@sha256:/);
  assert.deepEqual(readdirSync(copies), []);

  const policy = await scene.folder({ 'policy.json': rule(scene.registry.host), 'team.pub': pair.publicKey });
  const strict = { volumes: [`${policy}:/policy:ro`], args: ['--signature-policy=/policy/policy.json'] };
  const taken = await scene.build({ ...strict, dockerfile: 'FROM @REG@/signed/base\nCOPY Dockerfile /\n' });
  assert.equal(taken.status, 0, taken.output);
  const refused = await scene.build({ ...strict, dockerfile: 'FROM @REG@/base\nRUN echo ran > /ran\n' });
  assert.equal(refused.status, 1, refused.output);
  assert.match(
    refused.output,
    /Cannot pull \S+\/base: \/policy\/policy\.json asks for a signature by \/policy\/team\.pub \(docker "[^"]+"\), and there is none for sha256:/,
  );
  assert.doesNotMatch(refused.output, /RUN echo ran[^]*error:/);
});

test('a wrong passphrase ends a build before anything is built', async () => {
  const given = await scene.folder({ 'team.private': pair.privateKey });
  const args = ['--sign-by-sigstore-private-key=/given/team.private'];
  const result = await scene.build({
    dockerfile: 'FROM @REG@/base\nRUN echo ran > /ran\n',
    volumes: [`${given}:/given:ro`],
    args,
    env: { COSIGN_PASSWORD: 'wrong-canary' },
  });
  assert.equal(result.status, 1, result.output);
  assert.match(result.output, /Cannot use the key \/given\/team\.private: the passphrase is another one/);
  assert.doesNotMatch(result.output, /canary|RUN echo/);
});
