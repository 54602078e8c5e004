import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { findContainerFiles } from '../../../src/surroundings/container-files.ts';

describe('findContainerFiles()', () => {
  let root = '';
  beforeEach(() => {
    root = mkdtempSync('/tmp/yadokari-files-');
    for (const name of ['kaniko', 'builds', 'etc', 'empty']) mkdirSync(join(root, name));
    for (const path of ['builds/job', 'etc/passwd', 'kaniko/executor']) writeFileSync(join(root, path), '');
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const find = () => findContainerFiles(root, join(root, 'kaniko'), new Set(['etc']));
  const leaveFile = (path: string): void => {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), '');
  };

  test('finds what no image has, and leaves out empty folders and names that images share', () => {
    assert.deepEqual([...find().names].sort(), ['builds', 'kaniko']);
  });

  test('takes nothing of an earlier build for a resident', () => {
    const first = find();
    leaveFile('app/of-the-image');
    first.leave();
    assert.deepEqual([...find().names].sort(), ['builds', 'kaniko']);
  });

  test('takes what somebody made between two builds for a resident', () => {
    const first = find();
    leaveFile('app/of-the-image');
    first.leave();
    leaveFile('artifacts/of-the-job');
    assert.deepEqual([...find().names].sort(), ['artifacts', 'builds', 'kaniko']);
  });

  test('remembers where builds wrote their results, as long as they are there', () => {
    const written = [join(root, 'image.tar'), join(root, 'etc/digest')];
    const write = (places: readonly string[]) => findContainerFiles(root, join(root, 'kaniko'), new Set(['etc']), { written: places });
    const first = write(written);
    leaveFile('image.tar');
    leaveFile('etc/digest');
    first.leave();
    assert.deepEqual([...write([]).names].sort(), ['builds', 'kaniko']);
    assert.deepEqual(write([]).kept, written);
    rmSync(join(root, 'image.tar'));
    assert.deepEqual(write([]).kept, [join(root, 'etc/digest')]);
  });

  test('keeps what a job put into /tmp and /root, before the first build and between two, and nothing of an image there', () => {
    const look = () => findContainerFiles(root, join(root, 'kaniko'), new Set(['etc', 'tmp', 'root', 'var']));
    for (const path of ['tmp/notes', 'root/.docker/config.json']) leaveFile(path);
    const first = look();
    assert.deepEqual([...first.kept].sort(), [join(root, 'root/.docker'), join(root, 'tmp/notes')]);
    assert.deepEqual([...first.names].sort(), ['builds', 'kaniko']);
    leaveFile('tmp/of-the-image');
    first.leave();
    leaveFile('tmp/later');
    assert.deepEqual([...look().kept].sort(), [join(root, 'root/.docker'), join(root, 'tmp/later'), join(root, 'tmp/notes')]);
  });

  test('takes nothing for a resident that appeared in a build that was killed', () => {
    find();
    leaveFile('app/of-the-image');
    assert.deepEqual([...find().names].sort(), ['builds', 'kaniko']);
  });

  test('forgets what it knows of another container with the same builder folder', () => {
    find();
    const other = mkdtempSync('/tmp/yadokari-files-');
    try {
      mkdirSync(join(other, 'data'));
      writeFileSync(join(other, 'data/file'), '');
      assert.deepEqual(findContainerFiles(other, join(root, 'kaniko'), new Set()).names, ['data']);
    } finally {
      rmSync(other, { recursive: true });
    }
  });

  test('names a folder that can not be used', () => {
    assert.throws(() => findContainerFiles(root, join(root, 'builds/job'), new Set()), {
      code: 'ERR_ROOTFS',
      message: /as the builder's folder/,
    });
  });
});
