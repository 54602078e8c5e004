// Which links of an image are in the way of what a pod mounts, and where paths of the image are on the disk then.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ByteString } from '../../../src/bytes.ts';
import { createProtection } from '../../../src/rootfs/protect.ts';
import { isSamePodMap, mapPod, plainPodMap } from '../../../src/tree/pod-map.ts';
import { type TreeLiteral, treeOf } from '../../support/tree-lines.ts';

const at = (path: string): ByteString => path as ByteString; // ASCII
const debian: TreeLiteral = { run: 'dir', 'run/lock': 'dir', var: 'dir', 'var/run': '-> /run', 'var/lock': '-> /run/lock', etc: 'dir' };
const token = 'var/run/secrets/kubernetes.io/serviceaccount';

interface Row {
  readonly title: string;
  readonly image: TreeLiteral;
  readonly covered: readonly string[];
  /** `held: link → target at free`. */
  readonly turned: readonly string[];
  /** Paths of the image, and where they are on the disk. */
  readonly places?: Readonly<Record<string, string>>;
}

const rows: readonly Row[] = [
  { title: 'nothing is covered', image: debian, covered: [], turned: [], places: { 'run/x': 'run/x', 'var/run': 'var/run' } },
  { title: 'the token is mounted where the image has directories', image: { var: 'dir', 'var/run': 'dir' }, covered: [token], turned: [] },
  { title: 'the token is mounted where the image has nothing', image: { etc: 'dir' }, covered: [token], turned: [] },
  {
    title: "the token is mounted below Debian's link",
    image: debian,
    covered: [token],
    turned: ['var/run: var/run → run at run'],
    places: {
      run: 'var/run',
      'run/sshd': 'var/run/sshd',
      'run/lock/x': 'var/run/lock/x',
      'var/run': 'run',
      'var/lock': 'var/lock',
      runs: 'runs',
      'run-x/y': 'run-x/y',
      etc: 'etc',
    },
  },
  {
    title: 'something is mounted below the target as well',
    image: debian,
    covered: [token, 'run/containerenv/x'],
    turned: ['var/run: var/run → run'],
    places: { 'run/sshd': 'run/sshd', 'var/run': 'var/run' },
  },
  {
    title: 'the target itself is mounted',
    image: debian,
    covered: [token, 'run'],
    turned: ['var/run: var/run → run'],
    places: { 'run/sshd': 'run/sshd' },
  },
  {
    title: 'the link leads nowhere',
    image: { var: 'dir', 'var/run': '-> ../run' },
    covered: [token],
    turned: ['var/run: var/run → run'],
    places: { 'run/x': 'run/x' },
  },
  { title: 'the link leads to a file', image: { var: 'dir', 'var/run': '-> f', 'var/f': 'file' }, covered: [token], turned: [] },
  { title: 'the link leads to the root', image: { var: 'dir', 'var/run': '-> /' }, covered: [token], turned: [] },
  { title: 'the link leads to what it stands in', image: { var: 'dir', 'var/run': '-> .' }, covered: [token], turned: [] },
  {
    title: 'a link leads to a link',
    image: { a: 'dir', b: '-> a', var: 'dir', 'var/run': '-> /b' },
    covered: [token],
    turned: ['var/run: var/run → a at a'],
    places: { 'a/x': 'var/run/x', b: 'b', 'var/run': 'a' },
  },
  {
    title: 'a driver file is mounted in a merged /lib',
    image: { lib: '-> usr/lib', usr: 'dir', 'usr/lib': 'dir', 'usr/lib/os': 'file' },
    covered: ['lib/firmware/gsp.bin'],
    turned: ['lib: lib → usr/lib at usr/lib'],
    places: { 'usr/lib/os': 'lib/os', lib: 'usr/lib', usr: 'usr' },
  },
  {
    title: 'two tokens are mounted below different links to different directories',
    image: { ...debian, srv: '-> etc' },
    covered: [token, 'srv/tls/crt'],
    turned: ['srv: srv → etc at etc', 'var/run: var/run → run at run'],
    places: { 'etc/passwd': 'srv/passwd', srv: 'etc', 'run/x': 'var/run/x' },
  },
  {
    title: 'turned links stand in each other',
    image: { a: 'dir', 'a/b': '-> /c', c: 'dir', 'c/d': '-> /e', e: 'dir' },
    covered: ['a/b/d/f'],
    turned: ['a/b: a/b → c at c', 'a/b/d: c/d → e at e'],
    places: { 'c/x': 'a/b/x', 'e/x': 'a/b/d/x', 'c/d': 'e', 'a/b': 'c' },
  },
];

for (const { title, image, covered, turned, places = {} } of rows) {
  test(`mapPod() where ${title}`, () => {
    const tree = treeOf(image);
    const map = mapPod(tree, createProtection(covered.map(at)));
    const shown = map.turned.map(
      ({ held, link, target, free }) => `${held}: ${link} → ${target}${free === undefined ? '' : ` at ${free}`}`,
    );
    assert.deepEqual(shown, turned);
    for (const [path, place] of Object.entries(places)) assert.equal(map.toDisk(at(path)), place, path);
    // A link that the disk has no place for is nowhere; what is in the held folder is its target's.
    const nowhere = new Set(map.turned.flatMap(({ link, free }) => (free === undefined ? [link] : [])));
    for (const [path] of tree.walk()) if (!nowhere.has(path)) assert.equal(map.toImage(map.toDisk(path)), path, `${path} there and back`);
    const disk = [...tree.walk()].map(([path]) => map.toDisk(path));
    assert.equal(new Set(disk).size, disk.length, 'no two paths have one place');
    assert.equal(isSamePodMap(map, mapPod(treeOf(image), createProtection(covered.map(at)))), true);
  });
}

test('mapPod() records at the target what is written to a held folder whose link leads to one that is held too', () => {
  const map = mapPod(treeOf(debian), createProtection([token, 'run/containerenv/x'].map(at)));
  assert.equal(map.toImage(at('var/run/sshd')), 'run/sshd');
  assert.equal(map.toImage(at('run/sshd')), 'run/sshd');
});

test('isSamePodMap() tells maps apart', () => {
  const map = mapPod(treeOf(debian), createProtection([at(token)]));
  assert.equal(isSamePodMap(map, plainPodMap), false);
  assert.equal(isSamePodMap(plainPodMap, mapPod(treeOf({}), createProtection([at(token)]))), true);
});
