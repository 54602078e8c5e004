// Memory does not grow with a layer: 1 GiB is written, pushed, pulled and unpacked again in a container of 256 MiB, and a file of 8 GiB
// takes what one of 100 MiB takes.
import assert from 'node:assert/strict';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Scene, treeOf } from '../support/scene.ts';

let scene: Scene;

before(async () => {
  scene = await Scene.start();
});

after(() => scene?.stop());

const limits = { memory: '256m' };
// readable by anyone, even of a process that can't be dumped
const peak = `awk '/VmHWM/ { print "peak", $2 }' /proc/1/status`;

function peakMiB(output: string): number {
  const found = [...output.matchAll(/\| ?peak (\d+)/g)].map((match) => Number(match[1]));
  assert.ok(found.length > 0, `no peak in ${output}`);
  return Math.max(...found) / 1024;
}

test('a layer of 1 GiB that does not compress is pushed within 256 MiB, and built on within 256 MiB', { timeout: 1_500_000 }, async (t) => {
  const big = await scene.build(
    {
      dockerfile: `FROM @REG@/base\nRUN dd if=/dev/urandom of=/big bs=1M count=1024 2>/dev/null\nRUN ${peak}\n`,
      repository: 'big',
      ...limits,
    },
    { timeoutMs: 700_000 },
  );
  assert.equal(big.status, 0, big.output);
  assert.equal(treeOf(big).get('/big')?.size, 1024 ** 3);
  assert.deepEqual(big.image?.problems, []);
  const next = await scene.build(
    { dockerfile: `FROM @REG@/big\nRUN ${peak}\nRUN sha256sum /big > /sum\n`, ...limits },
    { timeoutMs: 700_000 },
  );
  assert.equal(next.status, 0, next.output);
  t.diagnostic(`peak of the builder: ${Math.round(peakMiB(big.output))} MiB writing, ${Math.round(peakMiB(next.output))} MiB unpacking`);
  assert.ok(peakMiB(big.output) < 200 && peakMiB(next.output) < 200, `${peakMiB(big.output)} and ${peakMiB(next.output)} MiB`);
});

test('a file of 8 GiB goes into a layer with no more memory than one of 100 MiB', { timeout: 900_000 }, async (t) => {
  // The stage with the file is never on disk; the last one tells how much memory it took.
  const dockerfile = `FROM @REG@/base AS files\nCOPY big /\nCOPY small /\nFROM @REG@/base\nCOPY --from=files /small /\nRUN ${peak}\n`;
  const peaks: number[] = [];
  for (const mebibytes of [100, 8192]) {
    const built = await scene.build(
      {
        dockerfile,
        files: { small: 'small' },
        // Zeros that take no room on this machine's disk.
        arrange: (context) => {
          writeFileSync(join(context, 'big'), '');
          truncateSync(join(context, 'big'), mebibytes * 1024 ** 2);
        },
        ...limits,
      },
      { timeoutMs: 400_000 },
    );
    assert.equal(built.status, 0, built.output);
    peaks.push(peakMiB(built.output));
  }
  const [little = 0, much = Number.NaN] = peaks;
  t.diagnostic(`peak of the builder: ${Math.round(little)} MiB with 100 MiB, ${Math.round(much)} MiB with 8 GiB`);
  assert.ok(much < 160 && much - little < 24, `${little} and ${much} MiB`);
});
