import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { KeptOutputs } from '../../../src/build/kept-outputs.ts';
import { bytesFromText } from '../../../src/bytes.ts';
import { temporaryFolder, tree } from '../../support/tree.ts';

test("results in the root are away while it is an image's, are written to all the same, and come back where all around them is gone", (context) => {
  const folder = temporaryFolder(context);
  tree(folder, {
    'root/tmp/log': 'one\n',
    'root/out/layout/index.json': 'of us',
    'root/out/layout/digest': 'in it',
    'root/context/image.tar': 'protected',
    'elsewhere/digest': 'not in the root',
    own: { dir: {} },
  });
  const at = (path: string): string => join(folder, path);
  const places = [
    'root/out/layout/digest',
    'root/out/layout',
    'root/tmp/log',
    'root/context',
    'root/context/image.tar',
    'root',
    'root/none',
  ];
  const kept = new KeptOutputs(
    [...places, 'elsewhere/digest', 'root/tmp/log'].map(at),
    { rootPath: at('root'), builderFolder: at('own') },
    { protectedPaths: ['context/image.tar'].map(bytesFromText) },
  );
  const log = openSync(at('root/tmp/log'), 'a');
  kept.hide();
  assert.deepEqual(
    places.filter((path) => existsSync(at(path))),
    ['root/context', 'root/context/image.tar', 'root'],
  );
  assert.ok(existsSync(at('elsewhere/digest')));
  writeSync(log, 'two\n');
  closeSync(log);
  rmSync(at('root/tmp'), { recursive: true });
  tree(folder, { 'root/out/layout/of-the-image': '' });
  kept.hide();
  kept.giveBack();
  kept.giveBack();
  assert.equal(readFileSync(at('root/tmp/log'), 'utf8'), 'one\ntwo\n');
  assert.equal(readFileSync(at('root/out/layout/digest'), 'utf8'), 'in it');
  assert.ok(!existsSync(at('root/out/layout/of-the-image')));
  kept.hide();
  assert.ok(!existsSync(at('root/out/layout')));
  kept.giveBack();
  assert.ok(existsSync(at('root/out/layout/index.json')));
});
