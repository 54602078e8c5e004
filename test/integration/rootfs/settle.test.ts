// What a RUN touches without changing it makes no layer; what it changes does, however well it hides that.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import { StageBench, entriesOf } from '../../support/stage-bench.ts';
import type { TarOptions } from '../../support/tar.ts';
import { temporaryFolder } from '../../support/tree.ts';

const big = 'b'.repeat(600_000);
const base: readonly TarOptions[] = [
  { path: 'd', type: '5', mtime: 1000 },
  { path: 'd/small', content: 'hello', mtime: 1000 },
  { path: 'd/big', content: big, mtime: 1000 },
  { path: 'd/empty', mtime: 1000 },
  { path: 'd/link', type: '2', link: 'small', mtime: 1000 },
  { path: 'd/twin', type: '1', link: 'd/small', mtime: 1000 },
  { path: 'made/above', content: 'x', mtime: 1000 },
];

interface Stage {
  /** The paths of the layer that `script` makes. */
  readonly run: (script: string) => Promise<readonly string[]>;
}

async function startStage(context: TestContext): Promise<Stage> {
  const bench = new StageBench(temporaryFolder(context));
  context.after(() => bench[Symbol.asyncDispose]());
  const files = bench.stage([await bench.layer('base', base)]);
  return {
    run: async (script) => {
      await files.prepareRun();
      execFileSync('sh', ['-euc', script], { cwd: bench.rootFolder });
      const { layer = assert.fail() } = await files.takeRun({ except: [], unchanged: [] }, new Map());
      return (await entriesOf(layer)).map(({ path }) => path);
    },
  };
}

const me = 'chown -hR "$(id -u):$(id -g)" .';
const rows: readonly (readonly [title: string, script: string, paths: readonly string[]])[] = [
  ['an owner given again', me, []],
  ['a mode given again', 'chmod -R u+r .', []],
  ['a file moved away and back', 'touch -r d t; mv d/big b; mv b d/big; touch -r t d; rm t', []],
  ['a file replaced by its copy', 'touch -r d t; cp -p d/big b; mv b d/big; touch -r t d; rm t', []],
  ['a hard link touched by its other name', 'chmod 644 d/twin', []],
  ['one more name of a file', 'touch -r d t; ln d/big new; touch -r t d; rm t', ['new']],
  ['one name of a file less', 'touch -r d t; rm d/twin; touch -r t d; rm t', ['d/.wh.twin']],
  [
    'one name less, and other content of the same size',
    'echo -n jello > d/small; touch -d @1000 d/small; touch -r d t; rm d/twin; touch -r t d; rm t',
    ['d/.wh.twin', 'd/small'],
  ],
  ['a copy in the place of one name of two', 'touch -r d t; cp -p d/small s; mv s d/small; touch -r t d; rm t', ['d/small']],
  ['other content of the same size and time', 'echo -n jello > d/small; touch -d @1000 d/small d/twin', ['d/small', 'd/twin']],
  ['other content in a large file', 'printf c | dd of=d/big conv=notrunc 2>/dev/null; touch -d @1000 d/big', ['d/big']],
  ['another target of the same length', 'touch -r d t; ln -sfn large d/link; touch -hd @1000 d/link; touch -r t d; rm t', ['d/link']],
  ['another mode', 'chmod 600 d/empty', ['d/empty']],
  ['an attribute', 'setfattr -n user.x -v y d/big', ['d/big']],
  ['an attribute of a directory', 'setfattr -n user.x -v y d', ['d']],
];

for (const [title, script, paths] of rows) {
  test(`a layer after ${title} holds ${paths.length === 0 ? 'nothing' : paths.join(' and ')}`, async (context) => {
    const stage = await startStage(context);
    assert.deepEqual(await stage.run(script), paths);
    assert.deepEqual(await stage.run(me), [], 'what is in a layer is known from then on');
  });
}

test('a layer holds a file once, however often later steps touch it', async (context) => {
  const stage = await startStage(context);
  assert.deepEqual(await stage.run('echo new > new; ln new newer; mkdir f; ln -s new f/link'), ['f', 'f/link', 'new', 'newer']);
  assert.deepEqual(await stage.run(`${me}; chmod 644 new`), []);
  assert.deepEqual(await stage.run('touch -r new t; echo old > new; touch -r t new; rm t'), ['new', 'newer']);
  assert.deepEqual(await stage.run('rm -r f; echo f > f'), ['f']);
  assert.deepEqual(await stage.run('touch -r f t; echo g > f; touch -r t f; rm t'), ['f']);
});
