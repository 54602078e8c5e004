// kill -9 at random points of from, run and commit: nothing that was there is lost, and nothing stays that prune does not find.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomFrom } from '../../support/random.ts';
import { openContainerBench, whyNoContainers } from '../../support/working-containers.ts';

/** More of them by hand: `KILLS=100 node --test …`. */
const kills = Number(process.env['KILLS'] ?? 12);
const longestMs = 2500;
const skip = whyNoContainers('root');
const bench = skip === false ? await openContainerBench('root') : undefined;

suite('containers of who is killed', { skip }, () => {
  if (bench === undefined) return;
  const { argv, env, must, folder, storeFolder } = bench;
  after(() => bench[Symbol.dispose]());

  test(`${kills} kills in a loop of from, run and commit`, async (t) => {
    const kept = must('from', '--name', 'kept', 'busybox');
    must('run', kept, 'sh', '-c', 'echo mine > /mine');
    const call = argv()
      .map((word) => `'${word}'`)
      .join(' ');
    const loop = `while :; do c=$(${call} from busybox) && ${call} run $c sh -c 'echo x > /x' && ${call} run kept sh -c : && ${call} commit --rm $c loop; done`;
    const random = randomFrom(11);
    for (let count = 0; count < kills; count++) {
      const child = spawn('sh', ['-c', loop], { cwd: folder, env, stdio: 'ignore', detached: true });
      await sleep(random(longestMs));
      process.kill(-(child.pid ?? 0), 'SIGKILL');
      await once(child, 'exit');
    }
    t.diagnostic(`${readdirSync(join(storeFolder, 'containers')).length} names among the containers before prune`);
    must('prune');
    assert.equal(must('run', kept, 'cat', '/mine'), 'mine');
    for (const name of must('containers', '--format', '{{.ContainerName}}').split('\n')) if (name !== 'kept') must('rm', name);
    must('commit', '--rm', kept, 'kept');
    assert.equal(must('run', must('from', '--name', 'again', 'kept'), 'cat', '/mine'), 'mine');
    must('rm', 'again');
    must('rmi', '--force', 'kept');
    must('rmi', '--all', '--force');
    must('prune', '--all');
    assert.deepEqual(readdirSync(join(storeFolder, 'containers')), ['lock']);
    assert.deepEqual(readdirSync(join(storeFolder, 'images/blobs/sha256')), []);
  });
});
