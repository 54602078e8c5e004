// Each case is built as a user would build it, read back from the registry, and compared with what BuildKit made of it.
// CONFORMANCE_SUBJECT=buildah puts the judge itself to the test; CONFORMANCE_FLAGS are given to every build of ours. In pods (TEST_ENGINE=pods) only the cases about pods are built.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { lstat, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { must } from '../support/command.ts';
import type { FlatNode } from '../support/flatten.ts';
import type { ParsedObject } from '../support/parsed.ts';
import { chosenEngine } from '../support/engine.ts';
import { type HttpFiles, serveFiles } from '../support/http-files.ts';
import { type RunningRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { readRegistryImage } from '../support/registry-image.ts';
import { type ConformanceCase, type Expected, readCases } from './case.ts';
import { compareImage } from './compare.ts';
import { knownToDiffer } from './known-to-differ.ts';
import { chooseSubject, type Subject } from './subject.ts';

const folder = import.meta.dirname;
const moreFlags = (process.env['CONFORMANCE_FLAGS'] ?? '').split(' ').filter((flag) => flag !== '');
const lastModified = 'Tue, 03 Feb 2015 04:05:06 GMT';
const all = readCases(folder);
assert.equal(all.filter(isKnownToDiffer).length, knownToDiffer.size, 'known-to-differ.ts names a case that does not exist');
const cases = all.filter((one) => chosenEngine() === 'podman' || one.group === 'pods');
const differing = cases.filter(isKnownToDiffer).length;

let registry: RunningRegistry;
let web: HttpFiles;
let subject: Subject;
let base: ReadonlyMap<string, FlatNode>;
let matching = 0;

before(async () => {
  subject = await chooseSubject(process.env['CONFORMANCE_SUBJECT'] ?? 'yadokari');
  [registry, web] = await Promise.all([startDockerRegistry(), serveFiles(lastModified)]);
  for (const tag of ['base', 'onbuild', 'entry', 'linked']) {
    const to = `docker://${registry.host}/conformance/${tag}:latest`;
    await must(['skopeo', 'copy', '--quiet', '--dest-tls-verify=false', `oci:${folder}/base:${tag}`, to]);
  }
  const image = await readRegistryImage(registry.host, 'conformance/base', 'latest');
  assert.ok(image !== undefined, 'the base image did not reach the registry');
  base = image.flattened.tree;
});

after(async () => {
  await Promise.all([registry?.stop(), web?.stop(), subject?.stop()]);
  process.stdout.write(`conformance: ${matching} of ${cases.length} cases match, ${differing} are known to differ\n`);
});

describe('conformance', { concurrency: 2 }, () => {
  for (const one of cases) {
    test(`${one.name}: ${one.about}`, async () => {
      const problems = await judge(one);
      if (isKnownToDiffer(one)) {
        assert.notEqual(problems.length, 0, 'it matches: take it out of known-to-differ.ts');
        return;
      }
      assert.deepEqual(problems, [], problems.join('\n'));
      matching++;
    });
  }
});

function isKnownToDiffer(one: ConformanceCase): boolean {
  return knownToDiffer.has(one.name);
}

async function judge(one: ConformanceCase): Promise<readonly string[]> {
  const repository = `out/${one.name}`;
  const context = await mkdtemp(join(tmpdir(), 'yadokari-context-'));
  try {
    const dockerfile = await prepare(one, context);
    const listing = await listContext(context);
    const result = await subject.build({
      context,
      contextAt: one.contextAt,
      contextIsWritable: one.contextIsWritable,
      mounts: one.mounts,
      dockerfile: one.dockerfileName,
      destination: `${registry.host}/${repository}:latest`,
      args: one.args,
      target: one.target,
      secrets: one.secrets,
      flags: [...moreFlags, ...one.flags.map((flag) => flag.replaceAll('@REG@', registry.host))],
    });
    const image = await readRegistryImage(registry.host, repository, 'latest');
    const problems: string[] = [];
    if (one.expected === undefined) {
      if (result.status === 0) problems.push('the build succeeded, it should fail');
      if (image !== undefined) problems.push('an image was written');
    } else {
      if (result.status !== 0) problems.push(`the build ended with exit status ${result.status}`);
      else if (image === undefined) problems.push('no image was written');
      else problems.push(...compareImage(image, base, one, expectedHere(one, one.expected, dockerfile)));
    }
    for (const pattern of one.mentions)
      if (!pattern.test(result.output)) problems.push(`the output mentions nothing like ${String(pattern)}`);
    const left = await listContext(context);
    if (!isDeepStrictEqual(left, listing)) problems.push('the build changed its context');
    return problems.length === 0 ? [] : [...problems, `output: ${result.output.slice(-3000)}`];
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

/** Fills the context; gives the Dockerfile's text. */
async function prepare(one: ConformanceCase, context: string): Promise<string> {
  if (one.setup !== '') await must(['sh', '-c', `umask 022\n${one.setup}`], { cwd: context, env: { TZ: 'UTC' } });
  for (const [path, body] of Object.entries(one.http)) web.add(`/${one.name}/${path}`, body);
  const text = one.dockerfile
    .replaceAll('@REG@', registry.host)
    .replaceAll('@HTTP@', `${web.origin}/${one.name}`)
    .replaceAll('@UNIQ@', randomBytes(6).toString('hex'));
  await writeFile(join(context, one.dockerfileName), text);
  return text;
}

/** Everything in a context, by path: type, mode and owner, inode, what it holds. */
async function listContext(context: string): Promise<ReadonlyMap<string, string>> {
  const paths = await readdir(context, { recursive: true });
  return new Map(
    await Promise.all(
      paths.map(async (path): Promise<[string, string]> => {
        const file = join(context, path);
        const stats = await lstat(file);
        const content = stats.isFile() ? await readFile(file, 'base64') : stats.isSymbolicLink() ? await readlink(file) : '';
        return [path, [stats.mode.toString(8), stats.uid, stats.gid, stats.ino, stats.mtimeMs, content].join(' ')];
      }),
    ),
  );
}

/** A Dockerfile that is copied into the image names our registry, and not the one of the recording. */
function expectedHere(one: ConformanceCase, expected: Expected, dockerfile: string): Expected {
  const recorded = createHash('sha256').update(one.dockerfile.replaceAll('@REG@', 'localhost:5000')).digest('hex');
  const here = { size: Buffer.byteLength(dockerfile), sha256: createHash('sha256').update(dockerfile).digest('hex') };
  const changed = Object.entries(expected.changed).map(([path, value]): [string, ParsedObject] => [
    path,
    value['sha256'] === recorded ? { ...value, ...here } : value,
  ]);
  return { ...expected, changed: Object.fromEntries(changed) };
}
