// kill -9 at random points of from, run and commit, and of build -t: nothing that was there is lost, and nothing stays that prune does
// not find.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomFrom } from '../../support/random.ts';
import { openContainerBench, whyNoContainers } from '../../support/working-containers.ts';

/** More of them by hand: `KILLS=100 node --test …`. */
const kills = Number(process.env['KILLS'] ?? 8);
const longestMs = 2000;
const skip = whyNoContainers('root');
const bench = skip === false ? await openContainerBench('root') : undefined;

suite('containers of who is killed', { skip }, () => {
  if (bench === undefined) return;
  const { argv, env, must, folder, storeFolder } = bench;
  after(() => bench[Symbol.dispose]());
  const call = argv()
    .map((word) => `'${word}'`)
    .join(' ');
  const killOften = async (loop: string): Promise<void> => {
    const random = randomFrom(11);
    for (let count = 0; count < kills; count++) {
      const child = spawn('sh', ['-c', loop], { cwd: folder, env, stdio: 'ignore', detached: true });
      await sleep(random(longestMs));
      process.kill(-(child.pid ?? 0), 'SIGKILL');
      await once(child, 'exit');
    }
  };

  test(`${kills} kills in a loop of builds that name their image`, async () => {
    const context = join(folder, 'context');
    mkdirSync(context);
    writeFileSync(join(context, 'Dockerfile'), 'FROM busybox\nARG N\nRUN echo $N > /n\nCOPY Dockerfile /file\nRUN echo $N > /m\n');
    const id = must('build', '-q', '-t', 'whole', context);
    await killOften(
      `n=0; while :; do n=$((n + 1)); ${call} build -q -t loop --build-arg N=$$-$n ${context} && ${call} build -q --platform linux/amd64,linux/386 -t loops ${context}; done`,
    );
    assert.equal(must('inspect', '--format', '{{.FromImageID}}', 'whole'), id);
    must('copy', '-q', `oci:${storeFolder}/images:localhost/whole:latest`, `dir:${folder}/whole`);
    assert.equal(must('build', '-q', '-t', 'whole', context), id, 'what is in the cache is whole, too');
    must('prune');
    assert.deepEqual(readdirSync(join(storeFolder, 'cache')), []);
    for (const name of must('images', '--format', '{{.Name}}').split('\n')) if (!name.endsWith('/busybox')) must('rmi', name);
    must('prune');
    const blobs = readdirSync(join(storeFolder, 'images/blobs/sha256'));
    assert.equal(blobs.length, 3, 'the layer, the config and the manifest of busybox');
  });

  test(`${kills} kills in a loop of from, run and commit`, async (t) => {
    const kept = must('from', '--name', 'kept', 'busybox');
    must('run', kept, 'sh', '-c', 'echo mine > /mine');
    const loop = `while :; do c=$(${call} from busybox) && ${call} run $c sh -c 'echo x > /x' && ${call} run kept sh -c : && ${call} commit --rm $c loop; done`;
    await killOften(loop);
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
