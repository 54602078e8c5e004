// What a newcomer does first, in a copy of the project that has nothing installed: as root, then as somebody with no rights.
import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { must, run } from '../support/command.ts';
import { runContainer } from '../support/podman.ts';

const root = resolve(import.meta.dirname, '../..');
const user = `yadokari-quick-${process.pid}`;
// podman makes an image's name of the path, so it has to be lower case.
const folder = `/var/tmp/yadokari-quickstart-${process.pid}`;
const clone = join(folder, 'clone');
// A store of its own: what others have built here would be found in the cache.
const env = { YADOKARI_ROOT: join(folder, 'store') };
const missing = [
  ...(process.getuid?.() === 0 ? [] : ['root, to make a user']),
  ...(existsSync(join(root, '.git')) ? [] : ['a git clone, to know which files belong to it']),
];
const needs = missing.length === 0 ? {} : { skip: `this test needs ${missing.join(' and ')}` };

before(async () => {
  if (missing.length > 0) return;
  const list = `git -C ${root} ls-files --cached --others --exclude-standard -z`;
  await must([
    'sh',
    '-c',
    `mkdir -p ${clone} && ${list} | tar -C ${root} --null --files-from=- --ignore-failed-read -c | tar -C ${clone} -x`,
  ]);
});

after(async () => {
  if (missing.length > 0) return;
  await run(['userdel', user]);
  rmSync(folder, { recursive: true, force: true });
});

/** The digest that the quickstart told at its end, which must be the layout's. */
async function builtDigest(output: string): Promise<string> {
  const told = /^Built build\/hello: (sha256:[0-9a-f]{64}), \d+ layers$/m.exec(output)?.[1];
  assert.ok(told !== undefined, output.slice(-3000));
  const inspected = await must(['skopeo', 'inspect', '--format', '{{.Digest}}', `oci:${join(clone, 'build/hello')}`]);
  assert.equal(told, inspected.trim());
  return told;
}

test(
  '`npm run quickstart` on a fresh clone installs, builds the builder and an image that runs',
  { ...needs, timeout: 600_000 },
  async () => {
    const result = await run(['npm', 'run', 'quickstart'], { cwd: clone, env });
    assert.equal(result.status, 0, result.output.slice(-3000));
    await builtDigest(result.output);
    assert.match(result.output, /wrote page\.html with 3 items/, 'the output of RUN is shown');
    const container = await runContainer({ image: `oci:${join(clone, 'build/hello')}`, command: ['node', 'serve.js', '--once'] });
    assert.equal(container.status, 0, container.output);
    assert.match(container.stdout, /<li>no daemon/);
  },
);

test('`npm run quickstart` needs no root: an ordinary user gets the same image', { ...needs, timeout: 600_000 }, async () => {
  await must(['useradd', '--create-home', '--home-dir', join(folder, 'home'), user]);
  await must(['chown', '-R', `${user}:`, folder]);
  await must(['chmod', '755', folder]);
  rmSync(join(clone, 'build/hello'), { recursive: true });
  const result = await run(['su', user, '-c', 'npm run quickstart'], { cwd: clone, env });
  assert.equal(result.status, 0, result.output.slice(-3000));
  await builtDigest(result.output);
});
