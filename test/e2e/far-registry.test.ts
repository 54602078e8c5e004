// A registry that is 25 ms away: what counts is how many answers are waited for one after the other.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Scene } from '../support/scene.ts';
import { type SlowProxy, startSlowProxy } from '../support/slow-proxy.ts';

let scene: Scene;
let far: SlowProxy;

before(
  async () => {
    scene = await Scene.start();
    far = await startSlowProxy(scene.registry.host, 25);
  },
  { timeout: 300_000 },
);
after(async () => {
  await far?.stop();
  await scene?.stop();
});

const runs = Array.from({ length: 5 }, (_, index) => `RUN echo ${index} > /r${index}\n`).join('');

// Seen: 9 and 14, on a busy machine up to 10 and 17; 22 and 32 where nothing is asked together.
for (const row of [
  { name: 'a base and one COPY', steps: 'COPY app /app\nCMD ["/app"]\n', most: 12 },
  { name: 'a base and five RUNs', steps: runs, most: 20 },
]) {
  test(`${row.name} from and to a far registry wait for at most ${row.most} answers in a row`, { timeout: 300_000 }, async () => {
    far.take();
    const dockerfile = `FROM ${far.address}/base\n${row.steps}`;
    const built = await scene.build({ dockerfile, files: { app: 'app\n' }, repository: `far/${row.most}`, pushTo: far.address });
    assert.equal(built.status, 0, built.stderr);
    const { inARow, connections } = far.take();
    assert.ok(inARow <= row.most, `${inARow} answers in a row`);
    // One of them asks for TLS; each HEAD used to end one.
    assert.ok(connections <= 8, `${connections} connections`);
  });
}

// Seen: 13 and 14 (33 for the build that fills the cache), and 1.1 s, of which they are 0.7.
test('a build that is in the cache moves no layer and waits for at most 18 answers in a row', { timeout: 300_000 }, async () => {
  const dockerfile = `FROM ${far.address}/base AS tool\nRUN echo tool > /tool\nFROM ${far.address}/base\n${runs}COPY --from=tool /tool /\nCOPY app /\n`;
  const args = ['--cache', '--cache-copy-layers', `--cache-repo=${far.address}/far/cache`];
  const build = async (repository: string): Promise<string> => {
    far.take();
    const { status, output } = await scene.build({ dockerfile, files: { app: 'app\n' }, args, repository, pushTo: far.address });
    assert.equal(status, 0, output);
    return output;
  };
  const first = await build('far/first');
  for (const repository of ['far/first', 'far/second']) {
    const output = await build(repository);
    assert.ok(far.take().inARow <= 18, output);
    assert.doesNotMatch(output, /^(?:pulled|unpacked) /m);
    // The config; all eight layers are mounted.
    assert.equal(output.match(/^pushed /gm)?.length, 1, output);
    assert.equal(output.match(/^mounted /gm)?.length, 8, output);
    assert.equal(/digest sha256:\w+/.exec(output)?.[0], /digest sha256:\w+/.exec(first)?.[0]);
  }
});
