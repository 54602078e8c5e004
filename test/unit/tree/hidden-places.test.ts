import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesFromText } from '../../../src/bytes.ts';
import { createProtection } from '../../../src/rootfs/protect.ts';
import { ImageTree } from '../../../src/tree/image-tree.ts';
import type { TreeNode } from '../../../src/tree/node.ts';
import { hiddenPlaces, mapPod } from '../../../src/tree/pod-map.ts';

const metadata = { mode: 0o755, uid: 0, gid: 0, mtime: { seconds: 0, nanoseconds: 0 }, xattrs: new Map() };
const directory: TreeNode = { ...metadata, type: 'directory', size: 0 };
const file: TreeNode = { ...metadata, type: 'file', size: 3 };
const emptyFile: TreeNode = { ...file, size: 0 };
const linkTo = (target: string): TreeNode => ({ ...metadata, type: 'symlink', size: 0, linkTarget: bytesFromText(target) });

function hidden(nodes: Readonly<Record<string, TreeNode>>, foreign: readonly string[]): readonly string[] {
  const tree = new ImageTree();
  for (const [path, node] of Object.entries(nodes)) tree.put(bytesFromText(path), node);
  const protection = createProtection(foreign.map(bytesFromText));
  return hiddenPlaces(tree, mapPod(tree, protection), protection);
}

for (const { name, nodes, foreign, expected } of [
  { name: 'a folder with something in it', nodes: { kaniko: directory, 'kaniko/f': file }, foreign: ['kaniko'], expected: ['kaniko'] },
  { name: 'an empty folder', nodes: { data: directory }, foreign: ['data'], expected: [] },
  { name: 'a file', nodes: { data: directory, 'data/f': file }, foreign: ['data/f'], expected: ['data/f'] },
  { name: 'an empty file', nodes: { data: directory, 'data/f': emptyFile }, foreign: ['data/f'], expected: [] },
  { name: 'a link', nodes: { yadokari: linkTo('elsewhere') }, foreign: ['yadokari'], expected: ['yadokari'] },
  { name: 'nothing of the image', nodes: { etc: directory }, foreign: ['kaniko', 'etc/f'], expected: [] },
  {
    name: 'what every engine has of its own',
    nodes: {
      etc: directory,
      'etc/hosts': file,
      dev: directory,
      'dev/null': file,
      run: directory,
      'run/secrets': directory,
      'run/secrets/f': file,
    },
    foreign: ['etc/hosts', 'dev', 'run/secrets'],
    expected: [],
  },
  {
    name: 'a folder that a link of the image leads to',
    nodes: { run: directory, 'run/app': directory, 'run/app/f': file, var: directory, 'var/run': linkTo('/run') },
    foreign: ['var/run/app'],
    expected: ['var/run/app'],
  },
]) {
  test(`hiddenPlaces() ${expected.length === 0 ? 'is silent of' : 'names'} ${name}`, () => {
    assert.deepEqual(hidden(nodes, foreign), expected);
  });
}
