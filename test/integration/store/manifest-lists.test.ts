// `yadokari manifest …` as a script made for buildah calls it, with a real registry; skopeo judges what was pushed.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestOf } from '../../../src/oci/digest.ts';
import { type CommandResult, must } from '../../support/command.ts';
import { commandScene } from '../../support/command-scene.ts';
import { pushParts } from '../../support/image-writer.ts';

const scene = commandScene(['skopeo'], pushParts);
const { skip, yadokari } = scene;
const ended = async (...args: readonly string[]): Promise<CommandResult> => await scene.run(args);

interface Entry {
  readonly digest: string;
  readonly platform: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

async function entries(list: string): Promise<readonly Entry[]> {
  const { manifests } = JSON.parse(await yadokari('manifest', 'inspect', list)) as { readonly manifests: readonly Entry[] };
  return manifests;
}

test('an index grows in the store by create, add, annotate and remove, and is pushed with its images', { skip }, async () => {
  assert.equal((await ended('manifest', 'exists', 'list')).status, 1);
  assert.match(await yadokari('manifest', 'create', 'list'), /^[0-9a-f]{64}\n$/);
  await yadokari('manifest', 'exists', 'list');
  const again = await ended('manifest', 'create', 'list');
  assert.match(again.stderr, /^error: Cannot create the index localhost\/list:latest: there is one already\n {2}try: --amend/);
  assert.equal(again.status, 125);
  // One by its place, one that the store has already; both say that they are for amd64.
  const added = await yadokari('manifest', 'add', '--tls-verify=false', 'list', `docker://${scene.registry.host}/parts/amd:latest`);
  const [, amd = ''] = /^[0-9a-f]{64}: (sha256:[0-9a-f]{64})\n$/.exec(added) ?? [];
  await yadokari('pull', '-q', '--tls-verify=false', `${scene.registry.host}/parts/arm`);
  const arm = /: (.*)\n/.exec(await yadokari('manifest', 'add', 'list', `${scene.registry.host}/parts/arm`))?.[1] ?? '';
  const twice = await ended('manifest', 'push', '--tls-verify=false', 'list', `docker://${scene.registry.host}/made/app:1`);
  assert.match(twice.stderr, new RegExp(`^error: Cannot make the index: ${amd} and ${arm} are both for linux/amd64\n`));
  await yadokari('manifest', 'annotate', '--arch=arm64', '--variant=v8', '--annotation=a=b', 'list', arm);
  await yadokari('manifest', 'annotate', '--index', '--annotation=of=index', 'list');
  assert.deepEqual(
    (await entries('list')).map(({ digest, platform, annotations }) => [digest, platform, annotations]),
    [
      [amd, { architecture: 'amd64', os: 'linux' }, undefined],
      [arm, { architecture: 'arm64', os: 'linux', variant: 'v8' }, { a: 'b' }],
    ],
  );
  await yadokari(
    'manifest',
    'push',
    '--all',
    '--tls-verify=false',
    '--digestfile=digest',
    'list',
    `docker://${scene.registry.host}/made/app:1`,
  );
  const place = `docker://${scene.registry.host}/made/app:1`;
  const raw = await must(['skopeo', 'inspect', '--raw', '--tls-verify=false', place]);
  assert.match(raw, /"annotations":\{"of":"index"\}/);
  assert.equal(digestOf(raw), await must(['cat', join(scene.folder, 'digest')]));
  await must(['skopeo', 'copy', '--all', '--quiet', '--src-tls-verify=false', place, `dir:${join(scene.folder, 'copied')}`]);
  await yadokari('manifest', 'remove', 'list', amd);
  assert.deepEqual(
    (await entries('list')).map(({ digest }) => digest),
    [arm],
  );
  assert.match((await ended('manifest', 'remove', 'list', amd)).stderr, /^error: Cannot change the index .*: it names no image sha256:/);
  // Of what an index was before nothing is left behind.
  assert.equal((await yadokari('images', '--filter=dangling=true', '-q')).trim(), '');
  await yadokari('manifest', 'rm', 'list');
  assert.equal((await ended('manifest', 'exists', 'list')).status, 1);
  assert.match(
    (await ended('manifest', 'rm', `${scene.registry.host}/parts/arm`)).stderr,
    /^error: Cannot use .*: it is an image, and no index\n/,
  );
});

test('indexes that several commands change at once lose nothing', { skip }, async () => {
  await yadokari('manifest', 'create', 'many');
  await Promise.all(
    ['arm64', 's390x'].map(async (arch) => {
      const container = (await yadokari('from', '--name', arch, 'scratch')).trim();
      await yadokari('config', '--arch', arch, container);
      await yadokari('commit', '--rm', '--manifest', 'many', container);
    }),
  );
  const platforms = (await entries('many')).map(({ platform }) => platform['architecture']);
  assert.deepEqual(
    platforms.toSorted((a = '', b = '') => (a < b ? -1 : 1)),
    ['arm64', 's390x'],
  );
  await yadokari('manifest', 'push', '--rm', 'many', 'oci-archive:many.tar');
  assert.equal((await ended('manifest', 'exists', 'many')).status, 1);
});

test('build --manifest makes an index, and puts an image in place of the one for the same platform', { skip }, async () => {
  await writeFile(join(scene.folder, 'Dockerfile'), 'FROM scratch\nARG L=1\nLABEL l=$L\n');
  await yadokari('build', '-q', '--manifest=built', '.');
  const [first] = await entries('built');
  await yadokari('build', '-q', '--manifest=built', '--platform=linux/amd64,linux/s390x', '--build-arg=L=2', '.');
  const both = await entries('built');
  assert.deepEqual(
    both.map(({ platform }) => platform['architecture']),
    ['amd64', 's390x'],
  );
  assert.notEqual(both[0]?.digest, first?.digest);
});
