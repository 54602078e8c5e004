// registries.conf and policy.json of a user, as skopeo reads them and as we do, with real registries.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type CommandResult, run as command } from '../../support/command.ts';
import { type RunningRegistry, missingDockerRegistry, startDockerRegistry } from '../../support/docker-registry.ts';
import { pushImage } from '../../support/image-writer.ts';
import { tar } from '../../support/tar.ts';

const program = join(import.meta.dirname, '../../../bin/yadokari');
const skopeo = '/usr/bin/skopeo';
const skip = missingDockerRegistry() ?? (existsSync(skopeo) ? false : `${skopeo} is not installed`);

let folder = '';
let main: RunningRegistry;
let mirror: RunningRegistry;
before(async () => {
  if (skip !== false) return;
  folder = await mkdtemp(join(tmpdir(), 'yadokari-conf-'));
  [main, mirror] = [await startDockerRegistry(), await startDockerRegistry()];
  await pushImage(main.host, 'kept/both', { layers: [tar([{ path: 'from', content: 'main' }])] });
  await pushImage(mirror.host, 'both', { layers: [tar([{ path: 'from', content: 'mirror' }])] });
  for (const name of ['one', 'kept/one']) await pushImage(main.host, name, { layers: [tar([{ path: 'from', content: 'main' }])] });
  await mkdir(join(folder, '.config/containers/registries.conf.d'), { recursive: true });
  await write('policy.json', '{"default":[{"type":"insecureAcceptAnything"}]}');
  await write(
    'registries.conf',
    `unqualified-search-registries = ["${mirror.host}", "${main.host}"]
     [[registry]]
     prefix = "reg.example/team"
     location = "${main.host}/kept"
     insecure = true
     [[registry.mirror]]
     location = "${mirror.host}"
     insecure = true
     [[registry]]
     location = "bad.example"
     blocked = true`,
  );
  await write('registries.conf.d/names.conf', '[aliases]\n"nick" = "reg.example/team/one"\n');
});
after(async () => {
  if (skip !== false) return;
  await main.stop();
  await mirror.stop();
  await rm(folder, { recursive: true, force: true });
});

async function write(name: string, text: string): Promise<void> {
  await writeFile(join(folder, '.config/containers', name), text);
}

const env = (): Record<string, string> => ({ HOME: folder, PATH: '/usr/sbin:/usr/bin:/bin', YADOKARI_ROOT: join(folder, 'store') });
const yadokari = async (...args: readonly string[]): Promise<CommandResult> => await command([program, ...args], { env: env() });
const theirs = async (...args: readonly string[]): Promise<CommandResult> => await command([skopeo, ...args], { env: env() });

test('mirrors, places and blocks are those that skopeo has by the same files', { skip }, async () => {
  for (const name of ['both', 'one']) {
    const place = `docker://reg.example/team/${name}`;
    const [ours, others] = [await yadokari('inspect', '--raw', place), await theirs('inspect', '--raw', place)];
    assert.equal(others.status, 0, others.stderr);
    assert.equal(ours.stdout, others.stdout, ours.stderr);
  }
  for (const word of ['inspect', 'list-tags']) {
    assert.equal((await theirs(word, 'docker://bad.example/x')).status, 1);
    const blocked = await yadokari(word, 'docker://bad.example/x');
    assert.equal(blocked.status, 1);
    assert.match(blocked.stderr, /Cannot use bad\.example\/x: .*registries\.conf blocks bad\.example/);
  }
});

test('short names of pull and FROM are aliases, then names of the registries that are searched', { skip }, async () => {
  const pulled = await yadokari('pull', 'nick');
  assert.equal(pulled.status, 0, pulled.stderr);
  assert.match((await yadokari('images')).stdout, /reg\.example\/team\/one/);
  await writeFile(
    join(folder, 'Dockerfile'),
    'FROM both AS found\nFROM nick\nCOPY --from=found /from /of-found\nCOPY --from=one /from /of-one\n',
  );
  const built = await yadokari('build', '-o', join(folder, 'out'), '-f', join(folder, 'Dockerfile'), join(folder, '.config'));
  assert.equal(built.status, 0, built.stderr);
  const files = ['from', 'of-found', 'of-one'].map(async (name) => await readFile(join(folder, 'out', name), 'utf8'));
  assert.deepEqual(await Promise.all(files), ['main', 'mirror', 'main']);
});

test('what a policy rejects, or wants signed, is neither copied nor built on', { skip }, async () => {
  const place = 'docker://reg.example/team/one';
  const rules = {
    default: [{ type: 'reject' }],
    transports: { docker: { 'reg.example/team/both': [{ type: 'sigstoreSigned', keyPath: '/k' }] } },
  };
  await write('policy.json', JSON.stringify(rules));
  const target = `dir:${join(folder, 'copied')}`;
  assert.equal((await theirs('copy', place, `${target}-by-skopeo`)).status, 1);
  const refused = await yadokari('copy', place, target);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /Cannot take docker:\/\/reg\.example\/team\/one:latest: .*policy\.json rejects it \(its default\)/);
  assert.match(
    (await yadokari('copy', `${place.slice(0, -3)}both`, target)).stderr,
    /asks for a signature by \/k \(docker "reg\.example\/team\/both"\), and there is none/,
  );
  assert.equal(existsSync(join(folder, 'copied')), false);
  const build = ['build', '--pull=always', '-o', join(folder, 'no'), '-f', join(folder, 'Dockerfile'), join(folder, '.config')];
  assert.match((await yadokari(...build)).stderr, /Cannot pull .*: .*\/\.config\/containers\/policy\.json rejects it/);
  assert.equal((await yadokari('--insecure-policy', 'copy', place, target)).status, 0);
  const anything = join(folder, 'anything.json');
  await writeFile(anything, '{"default":[{"type":"insecureAcceptAnything"}]}');
  const built = await command([program, ...build], { env: { ...env(), YADOKARI_POLICY_FILE: anything } });
  assert.equal(built.status, 0, built.stderr);
});
