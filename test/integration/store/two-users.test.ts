// Two users, and root, at work in one store at the same time: a folder that a group may write to.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { whyNoContainers, writeProgram } from '../../support/working-containers.ts';

const rounds = 3;
const group = `yadokari-both-${process.pid}`;
const users = [`yadokari-one-${process.pid}`, `yadokari-two-${process.pid}`] as const;
const skip = whyNoContainers('user');

function removeAccounts(): void {
  for (const user of users) spawnSync('userdel', [user], { stdio: 'ignore' });
  spawnSync('groupdel', [group], { stdio: 'ignore' });
}

suite('one store of two users', { skip }, () => {
  if (skip !== false) return;
  const folder = mkdtempSync('/var/tmp/two-users-');
  chmodSync(folder, 0o755);
  after(() => {
    removeAccounts();
    rmSync(folder, { recursive: true, force: true });
  });

  test('what each of them keeps stays whole, whatever the others name, build, remove and prune', async () => {
    execFileSync('groupadd', ['--system', group]);
    for (const user of users) execFileSync('useradd', ['--no-create-home', '--groups', group, user]);
    const store = join(folder, 'store');
    mkdirSync(store);
    execFileSync('chgrp', [group, store]);
    chmodSync(store, 0o2775);
    mkdirSync(join(folder, 'context'));
    writeFileSync(join(folder, 'context/Dockerfile'), 'FROM scratch\nARG N\nLABEL n=$N\nCOPY Dockerfile /$N\nCOPY Dockerfile /all\n');
    const call = (await writeProgram(join(folder, 'app'))).map((word) => `'${word}'`).join(' ');
    const work = (user: string): string => `set -eu; umask 002; export YADOKARI_ROOT=${store} HOME=/nonexistent; cd ${folder}/context
      yadokari() { ${call} "$@"; }
      for n in $(seq ${rounds}); do
        yadokari build -q -t ${user}:$n -t moving --build-arg N=${user}-$n .
        yadokari tag ${user}:$n ${user}-kept:$n
        yadokari rmi ${user}:$n
        yadokari prune
        yadokari images -q
      done`;
    const workers = [...users, 'root'].map(async (user) => {
      const child = spawn('su', ['--shell', '/bin/sh', user, '-c', work(user)], { stdio: ['ignore', 'ignore', 'pipe'] });
      let said = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
      assert.deepEqual([user, ...((await once(child, 'close')) as [number])], [user, 0, null], said); // code and signal
    });
    await Promise.all(workers);
    const own = (
      user: string,
      ...words: readonly string[]
    ): { readonly status: number | null; readonly stdout: string; readonly stderr: string } =>
      spawnSync('su', ['--shell', '/bin/sh', user, '-c', `umask 002; YADOKARI_ROOT=${store} ${call} ${words.join(' ')}`], {
        encoding: 'utf8',
      });
    for (const user of [...users, 'root'])
      for (let n = 1; n <= rounds; n++) {
        const copied = own('root', 'push', '-q', `${user}-kept:${n}`, `dir:${folder}/${user}-${n}`);
        assert.equal(copied.status, 0, copied.stderr);
        assert.match(readFileSync(join(folder, `${user}-${n}/manifest.json`), 'utf8'), /"layers"/);
      }
    // Containers are of one of them.
    const [one, two] = users;
    assert.equal(own(one, 'from', `${two}-kept:1`).stdout, `${two}-kept-working-container\n`);
    const refused = own(two, 'prune');
    assert.equal(refused.status, 125);
    assert.match(refused.stderr, /containers: permission denied\n {2}try: they are those of the user who made them/);
  });
});
