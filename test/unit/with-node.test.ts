import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { temporaryFolder } from '../support/tree.ts';

const root = resolve(import.meta.dirname, '../..');

interface Clone {
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  /** The calls of npm and of the install script, one a line. */
  readonly calls: () => readonly string[];
}

/** A clone without packages, with an npm that brings the package "node" but runs no install scripts. */
function freshClone(context: TestContext, installScript: string): Clone {
  const folder = temporaryFolder(context);
  const log = join(folder, 'calls');
  const programs = join(folder, 'programs');
  for (const path of ['scripts', 'programs']) mkdirSync(join(folder, path));
  copyFileSync(join(root, 'scripts/with-node.sh'), join(folder, 'scripts/with-node.sh'));
  writeFileSync(join(folder, 'package-lock.json'), '{}');
  const npm = [
    '#!/bin/sh',
    `echo "npm $*" >> ${log}`,
    'mkdir -p node_modules/node node_modules/.bin',
    'touch node_modules/.package-lock.json node_modules/node/installArchSpecificPackage.js',
  ];
  writeFileSync(join(programs, 'npm'), `${npm.join('\n')}\n`, { mode: 0o755 });
  // The machine's own Node, which here does nothing but what the test says.
  writeFileSync(join(programs, 'node'), `#!/bin/sh\necho "node $*" >> ${log}\n${installScript}\n`, { mode: 0o755 });
  return {
    folder,
    env: { PATH: `${programs}:/usr/bin:/bin` },
    calls: () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []),
  };
}

const fetchNode = 'mkdir bin && printf \'#!/bin/sh\\necho "own node $*"\\n\' > bin/node && chmod +x bin/node';

function run({ folder, env }: Clone): string {
  return execFileSync('/bin/sh', [join(folder, 'scripts/with-node.sh'), 'script.ts', 'a b'], { env, encoding: 'utf8', stdio: 'pipe' });
}

test('with-node.sh completes the package "node" where npm runs no install scripts, once', (context) => {
  const clone = freshClone(context, fetchNode);
  assert.equal(run(clone), 'own node --disable-warning=ExperimentalWarning script.ts a b\n');
  assert.match(clone.calls().join('\n'), /^npm ci .*\nnode installArchSpecificPackage\.js$/);
  run(clone);
  assert.equal(clone.calls().length, 2, 'the second time there is nothing to install');
  const link = join(clone.folder, 'node_modules/.bin/node');
  assert.equal(realpathSync(link), realpathSync(join(clone.folder, 'node_modules/node/bin/node')));
});

test('with-node.sh installs again when the lockfile is newer than what is installed', (context) => {
  const clone = freshClone(context, fetchNode);
  run(clone);
  execFileSync('/usr/bin/touch', ['-d', '+1 minute', join(clone.folder, 'package-lock.json')]);
  run(clone);
  assert.equal(clone.calls().filter((call) => call.startsWith('npm ci')).length, 2);
});

test('with-node.sh says in one line that there is no Node for this machine', (context) => {
  const { folder, env } = freshClone(context, 'exit 1');
  const { status, stderr } = spawnSync('/bin/sh', [join(folder, 'scripts/with-node.sh'), 'script.ts'], { env, encoding: 'utf8' });
  assert.equal(status, 1);
  assert.match(stderr, /Cannot run script\.ts: the npm package "node" could not fetch Node for this machine \(Linux \S+\)\n$/);
});
