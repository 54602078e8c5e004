// Compares a written image with what a case expects: the run config, and every path that differs from the base image.
import { isDeepStrictEqual } from 'node:util';
import { type FlatNode, hardLinks } from '../support/flatten.ts';
import { asList, asObject, isObject, type ParsedObject } from '../support/parsed.ts';
import type { RegistryImage } from '../support/registry-image.ts';
import type { ConformanceCase, Expected } from './case.ts';

type Tree = ReadonlyMap<string, FlatNode>;

/** What of a case says which paths and members are compared. */
type Judged = Pick<ConformanceCase, 'compareMtime' | 'compareLinks' | 'ignorePaths' | 'contextAt'>;

const configKeys = 'User ExposedPorts Env Entrypoint Cmd Volumes WorkingDir Labels StopSignal Healthcheck Shell OnBuild'.split(' ');

// what an engine or a builder puts there itself
const leftOut = ['/proc', '/sys', '/dev', '/run/secrets'];
const leftOutFiles = ['/', '/etc/hosts', '/etc/resolv.conf', '/etc/hostname', '/etc/mtab'];

// what the base images' own history says
const baseSteps = ['ADD rootfs.tar / # conformance base', 'CMD ["sh"]'];

const comparableBefore = Date.UTC(2024, 0) / 1000;

/** One line for each way in which the image is not what the case expects. */
export function compareImage(image: RegistryImage, base: Tree, test: ConformanceCase, expected: Expected): readonly string[] {
  const config = isObject(image.config['config']) ? image.config['config'] : {};
  const found = expected.scratch ? onScratch(image.flattened.tree, base, test, expected) : differences(image.flattened.tree, base, test);
  return [
    ...(expected.config === undefined ? [] : compareConfig(config, expected.config)),
    ...compareChanged(found.changed, expected.changed, test),
    ...compareRemoved(found.removed, expected.removed),
    ...compareMembers('config', image.config, expected.document),
    ...(expected.history === undefined ? [] : compareHistory(image.config, expected.history)),
    ...(expected.annotations === undefined ? [] : compareMembers('manifest', image.manifest, { annotations: expected.annotations })),
    ...image.problems,
  ];
}

// The image does not build on the base, and the expectation leaves out what happens to be the same there.
function onScratch(tree: Tree, base: Tree, test: ConformanceCase, expected: Expected): ReturnType<typeof differences> {
  const { changed } = differences(tree, new Map(), test);
  const fromBase = differences(tree, base, test).changed;
  const isAsked = ([path]: readonly [string, ParsedObject]): boolean => path in fromBase || path in expected.changed;
  return { changed: Object.fromEntries(Object.entries(changed).filter(isAsked)), removed: [] };
}

/** The paths of `tree` that differ from `base`, as an expected result describes them, and those that are gone. */
export function differences(
  tree: Tree,
  base: Tree,
  test: Judged,
): { readonly changed: Readonly<Record<string, ParsedObject>>; readonly removed: readonly string[] } {
  const before = describe(base, test);
  const after = describe(tree, test);
  const changed = [...after].filter(([path, now]) => {
    const was = before.get(path);
    return was === undefined || compareRecord(now, was, test).length > 0;
  });
  return { changed: Object.fromEntries(changed), removed: [...before.keys()].filter((path) => !after.has(path)).toSorted() };
}

function describe(tree: Tree, test: Judged): Map<string, ParsedObject> {
  const links = test.compareLinks ? hardLinks(tree) : new Map<string, readonly string[]>();
  const records = new Map<string, ParsedObject>();
  for (const [path, node] of tree) {
    if (leftOutFiles.includes(path) || test.ignorePaths.includes(path)) continue;
    if ([...leftOut, test.contextAt].some((folder) => path === folder || path.startsWith(`${folder}/`))) continue;
    const names = links.get(path);
    records.set(path, {
      type: node.type,
      mode: node.mode.toString(8).padStart(4, '0'),
      uid: node.uid,
      gid: node.gid,
      ...(node.type === 'file' ? { size: node.size, sha256: node.sha256 } : {}),
      ...(node.type === 'file' && test.compareMtime ? { mtime: node.mtime } : {}),
      ...(node.type === 'symlink' ? { target: node.target } : {}),
      ...(node.device === '' ? {} : { device: node.device }),
      ...(node.type !== 'dir' && node.xattrs.size > 0 ? { xattrs: Object.fromEntries(node.xattrs) } : {}),
      ...(names === undefined ? {} : { links: names }),
    });
  }
  return records;
}

/** The names of the members in which two records differ. */
function compareRecord(a: ParsedObject, b: ParsedObject, test: Pick<ConformanceCase, 'compareMtime' | 'compareLinks'>): readonly string[] {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].filter((key) => {
    if (key === 'mtime') return test.compareMtime && mtimesDiffer(a[key], b[key]);
    if (key === 'links' && !test.compareLinks) return false;
    return !isDeepStrictEqual(a[key], b[key]);
  });
}

function mtimesDiffer(a: unknown, b: unknown): boolean {
  if (typeof a !== 'number' || typeof b !== 'number') return false;
  return a !== b && Math.min(a, b) < comparableBefore;
}

function compareConfig(found: ParsedObject, expected: ParsedObject): readonly string[] {
  const lines: string[] = [];
  for (const key of configKeys) {
    const [was, want] = [filled(found[key]), filled(expected[key])];
    if (!isDeepStrictEqual(was, want)) lines.push(`config.${key} is ${show(was)}, expected ${show(want)}`);
  }
  return lines;
}

function compareChanged(
  found: Readonly<Record<string, ParsedObject>>,
  expected: Expected['changed'],
  test: ConformanceCase,
): readonly string[] {
  const lines: string[] = [];
  for (const path of [...new Set([...Object.keys(found), ...Object.keys(expected)])].toSorted()) {
    if (test.ignorePaths.includes(path)) continue;
    const [was, want] = [found[path], expected[path]];
    if (want === undefined) lines.push(`${show(path)} should not differ from the base: ${show(was)}`);
    else if (was === undefined) lines.push(`${show(path)} is as in the base or missing, expected ${show(want)}`);
    else
      for (const key of compareRecord(was, want, test))
        lines.push(`${show(path)}: ${key} is ${show(was[key])}, expected ${show(want[key])}`);
  }
  return lines;
}

function compareRemoved(found: readonly string[], expected: readonly string[]): readonly string[] {
  return [
    ...found.filter((path) => !expected.includes(path)).map((path) => `${show(path)} is gone`),
    ...expected.filter((path) => !found.includes(path)).map((path) => `${show(path)} should be gone`),
  ];
}

/** The members that `expected` names, each as it says; null is one that is not there. */
function compareMembers(what: string, found: ParsedObject, expected: ParsedObject): readonly string[] {
  return Object.entries(expected).flatMap(([key, want]) =>
    isDeepStrictEqual(filled(found[key]), filled(want)) ? [] : [`${what}: ${key} is ${show(found[key])}, expected ${show(want)}`],
  );
}

function compareHistory(config: ParsedObject, expected: readonly ParsedObject[]): readonly string[] {
  const entries = asList(config['history']).map((entry) => asObject(entry, 'a history entry'));
  const own = entries.filter((entry) => !(typeof entry['created_by'] === 'string' && baseSteps.includes(entry['created_by'])));
  if (own.length !== expected.length) return [`history has ${own.length} new entries, expected ${expected.length}: ${show(own)}`];
  return expected.flatMap((want, index) => {
    const entry = own[index] ?? {};
    return compareMembers(
      `history entry ${index + 1}`,
      { ...entry, empty_layer: entry['empty_layer'] === true },
      { empty_layer: false, ...want },
    );
  });
}

/** Undefined for a value that says nothing. */
function filled(value: unknown): unknown {
  if (value === null || value === '' || value === undefined) return undefined;
  if (Array.isArray(value)) return value.length === 0 ? undefined : value;
  return isObject(value) && Object.keys(asObject(value)).length === 0 ? undefined : value;
}

function show(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}
