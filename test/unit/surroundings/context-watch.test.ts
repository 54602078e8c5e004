import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { watchContexts } from '../../../src/surroundings/context-watch.ts';
import { bytesFromText } from '../../../src/bytes.ts';
import type { Emit, StepLabel } from '../../../src/events.ts';
import { stepLabel } from '../../support/step-label.ts';

const never = new AbortController().signal;
const range = (line: number): StepLabel['range'] => ({ start: { line, column: 1 }, end: { line, column: 9 } });
const stepAt = (line: number): StepLabel => stepLabel({ number: line, total: 9, range: range(line) });

describe('watchContexts()', () => {
  let place = '';
  let folder = '';
  let told: string[] = [];

  const shell = (script: string): string => execFileSync('sh', ['-c', script], { cwd: folder, encoding: 'utf8' });
  const watch = (folders = [folder], rootPath = join(place, 'root'), builderFolder = join(place, 'builder')) =>
    watchContexts(folders, { rootPath, builderFolder, emit: (event) => void (event.kind === 'warning' && told.push(event.message)) });

  beforeEach(() => {
    place = realpathSync(mkdtempSync('/var/tmp/yadokari-watch-'));
    folder = join(place, 'context');
    mkdirSync(folder);
    told = [];
    shell('mkdir -p src/deep; echo main > src/main; echo deep > src/deep/file; ln -s main src/link');
  });
  afterEach(() => rmSync(place, { recursive: true, force: true }));

  const changes: readonly { readonly name: string; readonly script: string; readonly told: RegExp }[] = [
    { name: 'a changed file', script: 'echo more >> src/main', told: /\(1 path: .*\/context\/src\/main\);/ },
    {
      name: 'a file changed back in size and time',
      script: 'touch -r src/main ../time; echo evil > src/main; touch -r ../time src/main',
      told: /\/src\/main\);/,
    },
    { name: 'a new file', script: 'echo new > src/deep/new', told: /\(1 path: .*\/src\/deep\/new\);/ },
    { name: 'a removed folder, once', script: 'rm -r src', told: /\(1 path: .*\/context\/src\);/ },
    { name: 'a mode', script: 'chmod 700 src/deep', told: /\(1 path: .*\/src\/deep\);/ },
    { name: 'three of many names', script: 'touch a b c d', told: /\(4 paths: .*\/a, .*\/b, .*\/c, …\);/ },
    { name: 'the folder gone as a whole', script: 'rm -r ../context', told: /\(1 path: .*\/context\/src\);/ },
  ];
  for (const { name, script, told: expected } of changes) {
    test(`tells of ${name}, and leaves it`, async () => {
      const watching = watch();
      await watching.before(never);
      shell(script);
      await watching.after(stepAt(2), never);
      assert.equal(told.length, 1, told.join('\n'));
      assert.match(told[0] ?? '', /^the context changed while this RUN ran, by it or by somebody else/);
      assert.match(told[0] ?? '', expected);
    });
  }

  test('tells once of what changes all the time, and not of what the builder writes itself', async () => {
    const ownFiles = [join(folder, 'src/main')];
    const options = { rootPath: join(place, 'root'), builderFolder: join(place, 'builder'), ownFiles };
    const emit: Emit = (event) => void (event.kind === 'warning' && told.push(event.message));
    const watching = watchContexts([folder], { ...options, emit });
    for (const line of [2, 3]) {
      await watching.before(never);
      shell('echo more >> src/main; echo more >> log');
      await watching.after(stepAt(line), never);
    }
    assert.equal(told.length, 1, told.join('\n'));
    assert.match(told[0] ?? '', /\(1 path: .*\/log\);/);
  });

  test('does not tell of what changed between two RUNs', async () => {
    const watching = watch();
    await watching.before(never);
    await watching.after(stepAt(2), never);
    shell('echo edited > src/main; sleep 0.3');
    await watching.before(never);
    await watching.after(stepAt(3), never);
    assert.deepEqual(told, []);
  });

  test('tells a step that reads a file which changed while a RUN ran, and no other', async () => {
    const watching = watch();
    await watching.before(never);
    shell('echo more >> src/main');
    await watching.after(stepAt(2), never);
    told = [];
    watching.noteRead(bytesFromText(join(folder, 'src/deep/file')));
    watching.tellReads(stepAt(3));
    assert.deepEqual(told, []);
    watching.noteRead(bytesFromText(join(folder, 'src/main')));
    watching.tellReads(stepAt(4));
    watching.tellReads(stepAt(5));
    assert.deepEqual(told, [`this step reads ${folder}/src/main, which changed while a RUN ran (line 2)`]);
  });

  test('knows of what was taken away which RUN ran then, and of nothing else', async () => {
    const watching = watch();
    await watching.before(never);
    shell('rm -r src/deep');
    await watching.after(stepAt(2), never);
    const lines = ['src/deep/file', 'src/deep', 'src/main', 'other'].map((path) => watching.lostIn(bytesFromText(join(folder, path))));
    assert.deepEqual(lines, [2, 2, undefined, undefined]);
  });

  test("does not look at the builder's own folder in a context", async () => {
    const watching = watch([folder], join(place, 'root'), join(folder, 'src'));
    await watching.before(never);
    shell('echo ours > src/new');
    await watching.after(stepAt(2), never);
    assert.deepEqual(told, []);
  });

  test('says that a context which holds the root of the image is not watched', async () => {
    const watching = watch([folder], join(folder, 'src'));
    await watching.before(never);
    shell('echo new > new');
    await watching.after(stepAt(2), never);
    assert.equal(told.length, 1);
    assert.match(told[0] ?? '', /holds the root of the image/);
  });

  test('goes on where folders vanish while it looks', async () => {
    // More than are walked in one turn.
    for (let number = 0; number < 2100; number++) mkdirSync(join(folder, `many/${number}/below`), { recursive: true });
    const watching = watch();
    await watching.before(never);
    const looking = watching.after(stepAt(2), never);
    rmSync(join(folder, 'many'), { recursive: true });
    await looking;
    assert.equal(told.length, 1);
    assert.match(told[0] ?? '', /context\/many\//);
  });
});
