// Signatures by key, with a real registry: those of ours as cosign and skopeo see them, theirs as we do, and what hostile ones come to.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { flagsOf } from '../../../src/cli/command.ts';
import { findCommand } from '../../../src/cli/commands.ts';
import { describeFailure } from '../../../src/cli/exit.ts';
import { parseFlags } from '../../../src/cli/flags.ts';
import { Settings } from '../../../src/cli/settings.ts';
import type { Report } from '../../../src/report/report.ts';
import type { Sink } from '../../../src/report/sink.ts';
import { type CommandResult, run as command } from '../../support/command.ts';
import { type RunningRegistry, missingDockerRegistry, startDockerRegistry } from '../../support/docker-registry.ts';
import { pushImage } from '../../support/image-writer.ts';
import { cosign, sigstoreSkopeo } from '../../support/sigstore-tools.ts';
import { tar } from '../../support/tar.ts';

const program = join(import.meta.dirname, '../../../bin/yadokari');
const skip = missingDockerRegistry() ?? false;
const skipSkopeo =
  skip !== false ? skip : sigstoreSkopeo === undefined ? 'no skopeo knows sigstore (SIGSTORE_TOOLS names a folder)' : false;
const skipCosign = skip !== false ? skip : cosign === undefined ? 'cosign is not installed (SIGSTORE_TOOLS names a folder)' : false;
const manifestType = 'application/vnd.oci.image.manifest.v1+json';

let folder = '';
let registry: RunningRegistry;
before(async () => {
  if (skip !== false) return;
  folder = await mkdtemp(join(tmpdir(), 'yadokari-signatures-'));
  registry = await startDockerRegistry();
  for (const name of ['base', 'other']) await pushImage(registry.host, name, { layers: [tar([{ path: 'from', content: name }])] });
  await writeFile(at('pass'), 'a pass phrase\nand more\n');
  for (const name of ['ours', 'strangers']) {
    const made = await yadokari('generate-sigstore-key', '--output-prefix', at(name), '--passphrase-file', at('pass'));
    assert.equal(made.stdout, `Key written to "${at(name)}.private" and "${at(name)}.pub"\n`, made.stderr);
  }
  await writePolicy('policy.json', {});
  await mkdir(at('registries.d'));
  await writeFile(at('registries.d/all.yaml'), 'default-docker:\n  use-sigstore-attachments: true\n');
});
after(async () => {
  if (skip !== false) return;
  await registry.stop();
  await rm(folder, { recursive: true, force: true });
});

const at = (name: string): string => join(folder, name);
const place = (name: string): string => `docker://${registry.host}/${name}`;
const env = (): Record<string, string> => ({ HOME: folder, YADOKARI_ROOT: at('store'), COSIGN_PASSWORD: 'a pass phrase' });
const built = async (...args: readonly string[]): Promise<CommandResult> => await command([program, ...args], { env: env() });

/** The command of ours in this process: it ends in a moment, however busy the machine is. */
async function yadokari(...args: readonly string[]): Promise<CommandResult> {
  return await runHere(args, env());
}

async function runHere(args: readonly string[], variables: Readonly<Record<string, string>>): Promise<CommandResult> {
  const found = findCommand(args);
  assert.ok(found !== undefined);
  const { command: asked, rest } = found;
  const parts = { stdout: '', stderr: '' };
  const report: Report = {
    emit: (event) => {
      if (event.kind === 'warning' || event.kind === 'note') parts.stderr += `${event.message}\n`;
    },
    line: (_level, text) => void (parts.stderr += `${text}\n`),
    close: () => undefined,
  };
  const stdout: Sink = { isTerminal: false, columns: () => 80, rows: () => 24, write: (text) => void (parts.stdout += text) };
  let status = 0;
  try {
    const parsed = parseFlags(rest, flagsOf(asked), asked.endsAtOperand);
    const settings = new Settings(parsed, flagsOf(asked), variables);
    const again = async (): Promise<number> => await Promise.reject(new Error('not expected'));
    const { values: flags, positionals } = parsed;
    const input = {
      settings,
      positionals,
      flags,
      env: variables,
      report,
      stdout,
      hasTerminal: false,
      signal: AbortSignal.timeout(600_000),
      again,
    };
    status = (await asked.run(input)) ?? 0;
  } catch (error) {
    status = 1;
    parts.stderr += describeFailure(error, false).join('\n');
  }
  return { status, signal: undefined, ...parts, output: `${parts.stdout}${parts.stderr}`, durationMs: 0 };
}
const signing = (key = 'ours'): readonly string[] => [
  '--sign-by-sigstore-private-key',
  at(`${key}.private`),
  '--sign-passphrase-file',
  at('pass'),
];
const policy = (file = 'policy.json'): readonly string[] => ['--policy', at(file), '--registries.d', at('registries.d')];

async function writePolicy(file: string, rule: object): Promise<void> {
  const anything = { '': [{ type: 'insecureAcceptAnything' }] };
  const docker = { [registry.host]: [{ type: 'sigstoreSigned', keyPath: at('ours.pub'), ...rule }] };
  await writeFile(at(file), JSON.stringify({ default: [{ type: 'reject' }], transports: { docker, dir: anything, oci: anything } }));
}

async function ok(result: Promise<CommandResult>): Promise<CommandResult> {
  const ended = await result;
  assert.equal(ended.status, 0, ended.output);
  return ended;
}

/** Copies where only signed images may come from. */
const take = async (name: string, file?: string): Promise<CommandResult> => {
  await rm(at('taken'), { recursive: true, force: true });
  return await yadokari('copy', ...policy(file), place(name), `dir:${at('taken')}`);
};

async function signaturesOf(repository: string, name = 'base'): Promise<readonly { readonly annotations: Record<string, string> }[]> {
  const digest = await digestOf(name);
  const answer = await fetch(`${registry.url}/v2/${repository}/manifests/${digest.replace(':', '-')}.sig`, {
    headers: { accept: manifestType },
  });
  assert.equal(answer.status, 200);
  return ((await answer.json()) as { layers: [] }).layers;
}

async function digestOf(name: string): Promise<string> {
  const answer = await fetch(`${registry.url}/v2/${name}/manifests/latest`, { headers: { accept: manifestType } });
  return answer.headers.get('docker-content-digest') ?? '';
}

/** Puts a manifest of signatures of our own making beside `base`. */
async function putSignatures(repository: string, layers: readonly object[], blobs: readonly string[]): Promise<void> {
  for (const blob of ['{}', ...blobs]) {
    const start = await fetch(`${registry.url}/v2/${repository}/blobs/uploads/`, { method: 'POST' });
    const url = new URL(start.headers.get('location') ?? '', registry.url);
    url.searchParams.set('digest', sha256(blob));
    assert.equal((await fetch(url, { method: 'PUT', body: blob })).status, 201);
  }
  const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: sha256('{}'), size: 2 };
  const tag = `${(await digestOf('base')).replace(':', '-')}.sig`;
  const body = JSON.stringify({ schemaVersion: 2, mediaType: manifestType, config, layers });
  const put = await fetch(`${registry.url}/v2/${repository}/manifests/${tag}`, {
    method: 'PUT',
    body,
    headers: { 'content-type': manifestType },
  });
  assert.equal(put.status, 201, await put.text());
}

const sha256 = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;
const signature = (payload: string, by: string): object => ({
  mediaType: 'application/vnd.dev.cosign.simplesigning.v1+json',
  digest: sha256(payload),
  size: payload.length,
  annotations: { 'dev.cosignproject.cosign/signature': by },
});

test('what is copied with a key is taken by a policy that asks for it, by each of its names and no other', { skip }, async () => {
  assert.equal((await stat(at('ours.private'))).mode & 0o777, 0o600);
  const unsigned = await take('base');
  assert.equal(unsigned.status, 1);
  assert.match(
    unsigned.stderr,
    /^error: Cannot take docker:\/\/\S+\/base:latest: \S+policy\.json asks for a signature by \S+ours\.pub \(docker "127[\d.:]+"\), and there is none for sha256:\w+$/m,
  );
  await ok(yadokari('copy', ...signing(), '--additional-tag', '2', place('base'), place('signed:1')));
  await ok(take('signed:1'));
  await ok(take('signed:2'));
  await ok(take(`signed@${await digestOf('base')}`));
  await ok(yadokari('copy', place('signed:1'), place('signed:3')));
  assert.match((await take('signed:3')).stderr, /what is there will not do: it is for "[\d.:]+\/signed:1"; it is for "[\d.:]+\/signed:2"/);
  const before = await signaturesOf('signed');
  await ok(yadokari('copy', ...signing(), place('signed:3'), place('signed:1')));
  assert.deepEqual(await signaturesOf('signed'), before, 'what the key has signed already is not signed again');
  await ok(yadokari('copy', ...signing('strangers'), place('signed:3'), place('signed:3')));
  assert.match((await take('signed:3')).stderr, /it was not made by this key/);
  const [first, second, third] = await signaturesOf('signed');
  assert.deepEqual([first, second], before);
  assert.notEqual(third, undefined);
});

test('a signature may call an image what it will be called, and policies look for that', { skip }, async () => {
  await ok(yadokari('copy', ...signing(), '--sign-identity', 'public.example/app:1', place('base'), place('inner:1')));
  assert.match((await take('inner:1')).stderr, /it is for "public\.example\/app:1"/);
  await writePolicy('remap.json', {
    signedIdentity: { type: 'remapIdentity', prefix: `${registry.host}/inner`, signedPrefix: 'public.example/app' },
  });
  await ok(take('inner:1', 'remap.json'));
});

test('an index is signed with the images that it names, and one that is signed vouches for them', { skip }, async () => {
  await ok(yadokari('index', 'create', '-t', `${registry.host}/index:1`, '--from', `${registry.host}/base`));
  await ok(yadokari('copy', '--all', ...signing(), place('index:1'), place('index:2')));
  await ok(take('index:2'));
  await ok(yadokari('copy', '--all', ...policy(), place('index:2'), `dir:${at('whole')}`));
});

test('a build signs what it pushes, and takes only bases that are signed', { skip }, async () => {
  await mkdir(at('context'), { recursive: true });
  await writeFile(at('context/Dockerfile'), `FROM ${registry.host}/trusted:1\nCOPY Dockerfile /\n`);
  const build = async (...words: readonly string[]): Promise<CommandResult> =>
    await built('build', '--signature-policy', at('policy.json'), '--pull=always', ...words, at('context'));
  await ok(yadokari('copy', place('base'), place('trusted:1')));
  const refused = await build('-d', `${registry.host}/made:1`);
  assert.notEqual(refused.status, 0);
  assert.match(refused.stderr, /Cannot pull [\d.:]+\/trusted:1: \S+policy\.json asks for a signature by \S+ours\.pub .*and there is none/);
  assert.match(refused.stderr, /code: ERR_UNSUPPORTED/);
  await ok(yadokari('copy', ...signing(), place('base'), place('trusted:1')));
  const made = await ok(build('-d', `${registry.host}/made:1`, '-d', `${registry.host}/made/too:1`, ...signing()));
  assert.match(made.stderr, /signed 127[\d.:]+\/made\/too@sha256:/);
  await ok(take('made:1'));
  await ok(take('made/too:1'));
  // The same by variables, as cosign has them.
  const key = await readFile(at('ours.private'), 'utf8');
  const words = ['build', '--no-push', '-d', `${registry.host}/made:2`, '--sign-by-sigstore-private-key', 'env://KEY', at('context')];
  const kept = await command([program, ...words], { env: { ...env(), KEY: key } });
  assert.match(kept.stderr, /Cannot sign the image: it is not pushed/);
  await ok(command([program, ...words.filter((word) => word !== '--no-push')], { env: { ...env(), KEY: key } }));
  await ok(take('made:2'));
  const several = ['--platform=linux/amd64,linux/arm64', '--insecure-policy'].filter((word) => word.startsWith('--platform'));
  await writeFile(at('context/Dockerfile'), 'FROM scratch\nCOPY Dockerfile /\n');
  await ok(build(...several, '-d', `${registry.host}/several:1`, ...signing()));
  await ok(take('several:1'));
  await ok(yadokari('copy', '--all', ...policy(), place('several:1'), `dir:${at('several')}`));
});

test('a key that can not be used ends a command before anything is copied', { skip }, async () => {
  await writeFile(at('wrong'), 'wrong\n');
  await writeFile(at('closed.yaml'), '');
  const key = ['--sign-by-sigstore-private-key', at('ours.private')];
  const copy = async (...words: readonly string[]): Promise<string> =>
    (await yadokari('copy', ...words, place('base'), place('never:1'))).stderr;
  assert.match(
    await copy(...key, '--sign-passphrase-file', at('wrong')),
    /Cannot use the key \S+ours\.private: the passphrase is another one/,
  );
  assert.match(await copy('--sign-by-sigstore-private-key', at('lost')), /Cannot read the key \S+lost: no such file/);
  assert.match(await copy('--sign-by-sigstore-private-key', at('ours.pub')), /it holds no private key/);
  assert.match(await copy('--sign-passphrase-file', at('pass')), /nothing is signed without --sign-by-sigstore-private-key/);
  assert.match(await copy(...key, '--sign-identity', 'x.example/app'), /it is a whole name, with a tag/);
  assert.match(await copy('--sign-by', 'me@example'), /Cannot honour --sign-by: images are signed by a key of sigstore/);
  const none = await runHere(['copy', ...key, place('base'), place('never:1')], { HOME: folder, COSIGN_PASSWORD: '' });
  assert.match(none.stderr, /the passphrase is another one/);
  await mkdir(at('off'), { recursive: true });
  await writeFile(at('off/off.yaml'), `docker:\n  ${registry.host}/never:\n    use-sigstore-attachments: false\n`);
  assert.equal((await fetch(`${registry.url}/v2/never/tags/list`)).status, 404);
  assert.match(
    await copy(...signing(), '--registries.d', at('off')),
    /Cannot sign [\d.:]+\/never:1: \S+off\.yaml switches sigstore attachments off/,
  );
  const folders = await yadokari('copy', ...signing(), place('base'), `dir:${at('unsigned')}`);
  assert.match(folders.stderr, /signatures by key are kept in registries alone/);
  assert.equal(existsSync(at('unsigned')), false);
  const again = await yadokari('generate-sigstore-key', '--output-prefix', at('ours'));
  assert.match(again.stderr, /Cannot write \S+ours\.private: it is there already/);
  await symlink('/nowhere/half', at('half.pub'));
  const half = await yadokari('generate-sigstore-key', '--output-prefix', at('half'));
  assert.match(half.stderr, /Cannot write \S+half\.pub: file already exists/);
  assert.equal(existsSync(at('half.private')), false, 'half a pair is none');
});

test('what a stranger puts beside an image is bounded, and never taken for a signature', { skip }, async () => {
  const says = async (layers: readonly object[], blobs: readonly string[] = ['x']): Promise<string> => {
    await putSignatures('base', layers, blobs);
    const taken = await take('base');
    assert.equal(taken.status, 1);
    assert.equal(existsSync(at('taken/manifest.json')), false);
    return taken.stderr;
  };
  assert.match(await says(Array.from({ length: 10_000 }, () => signature('x', 'AAAA'))), /it has 10000 signatures/);
  const huge = ' '.repeat(65 * 1024);
  assert.match(await says([signature(huge, 'AAAA')], [huge]), /asks for a signature .*it has more than 65536 bytes/);
  assert.match(await says([signature('x', 'AAAA')]), /it was not made by this key/);
  await ok(yadokari('copy', place('base'), place('victim:1')));
  await ok(yadokari('copy', ...signing(), place('other'), place('victim:2')));
  // The signature of another image of the same repository, moved.
  const theirs = `${(await digestOf('other')).replace(':', '-')}.sig`;
  const moved = await fetch(`${registry.url}/v2/victim/manifests/${theirs}`, { headers: { accept: manifestType } });
  const tag = `${(await digestOf('base')).replace(':', '-')}.sig`;
  await fetch(`${registry.url}/v2/victim/manifests/${tag}`, {
    method: 'PUT',
    body: await moved.text(),
    headers: { 'content-type': manifestType },
  });
  assert.match((await take('victim:1')).stderr, /what is there will not do: it is about sha256:/);
  await ok(yadokari('copy', ...signing(), place('base'), place('victim:1')));
  await ok(take('victim:1'));
});

test('skopeo takes what we sign, and we take what it signs, one image and several', { skip: skipSkopeo }, async () => {
  const theirs = async (...words: readonly string[]): Promise<CommandResult> =>
    await ok(command([sigstoreSkopeo ?? '', ...words], { env: env() }));
  const from = ['copy', '--src-tls-verify=false'];
  const both = [...from, '--dest-tls-verify=false'];
  const options = ['--policy', at('policy.json'), '--registries.d', at('registries.d')];
  const loose = ['--insecure-policy', '--registries.d', at('registries.d')];
  await ok(yadokari('copy', ...signing(), place('base'), place('to-skopeo:1')));
  await theirs(...options, ...from, place('to-skopeo:1'), `dir:${at('skopeos')}`);
  await theirs(...loose, ...both, ...signing(), place('base'), place('of-skopeo:1'));
  await ok(take('of-skopeo:1'));
  // One more beside what the other one made, both ways.
  await ok(yadokari('copy', ...signing(), place('base'), place('of-skopeo:2')));
  await theirs(...options, ...from, place('of-skopeo:1'), `dir:${at('skopeos')}`);
  await theirs(...options, ...from, place('of-skopeo:2'), `dir:${at('skopeos')}`);
  await theirs(...loose, ...both, ...signing(), place('base'), place('to-skopeo:2'));
  await ok(take('to-skopeo:1'));
  await ok(take('to-skopeo:2'));
  await theirs(...loose, ...both, '--all', ...signing(), place('index:1'), place('of-skopeo/index:1'));
  await ok(take('of-skopeo/index:1'));
  await ok(yadokari('copy', '--all', ...policy(), place('of-skopeo/index:1'), `dir:${at('whole')}`));
  await theirs(...options, ...from, '--all', place('index:2'), `dir:${at('skopeos-whole')}`);
  const made = await command([
    sigstoreSkopeo ?? '',
    'generate-sigstore-key',
    '--output-prefix',
    at('skopeo'),
    '--passphrase-file',
    at('pass'),
  ]);
  assert.equal(made.status, 0, made.output);
  await ok(yadokari('copy', ...signing('skopeo'), place('base'), place('by-its-key:1')));
  await writePolicy('skopeo.json', { keyPath: at('skopeo.pub') });
  await ok(take('by-its-key:1', 'skopeo.json'));
});

test('cosign takes what we sign, and we take what it signs', { skip: skipCosign }, async () => {
  const theirs = async (...words: readonly string[]): Promise<CommandResult> =>
    await ok(command([cosign ?? '', ...words], { env: env(), cwd: folder }));
  await theirs('generate-key-pair', '--output-key-prefix', 'cosign');
  await chmod(at('cosign.key'), 0o600);
  const image = `${registry.host}/of-cosign`;
  await ok(yadokari('copy', place('base'), `docker://${image}:1`));
  const old = ['--new-bundle-format=false', '--use-signing-config=false', '--tlog-upload=false'];
  await theirs('sign', '-y', '--key', 'cosign.key', ...old, '--allow-http-registry', `${image}@${await digestOf('base')}`);
  await writePolicy('cosign.json', { keyPath: at('cosign.pub'), signedIdentity: { type: 'matchRepository' } });
  await ok(take('of-cosign:1', 'cosign.json'));
  await ok(yadokari('copy', '--sign-by-sigstore-private-key', at('cosign.key'), place('base'), place('to-cosign:1')));
  await ok(take('to-cosign:1', 'cosign.json'));
  for (const name of ['to-cosign', 'of-cosign'])
    await theirs('verify', '--key', 'cosign.pub', '--insecure-ignore-tlog', '--allow-http-registry', `${registry.host}/${name}:1`);
});
