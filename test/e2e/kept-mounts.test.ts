// --cache-mounts as its users have it: pods that have nothing in common but a registry, or a volume for an OCI layout or for a cache itself.
import assert from 'node:assert/strict';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { must } from '../support/command.ts';
import { Scene, type SceneResult, treeOf } from '../support/scene.ts';

let scene: Scene;
before(async () => {
  scene = await Scene.start();
});
after(async () => {
  await scene.stop();
});

const args = ['--cache', '--cache-mounts'];
const install = (word: string): string =>
  `FROM @REG@/base\nRUN --mount=type=cache,target=/root/.npm cat /root/.npm/* 2> /dev/null; echo ${word} > /root/.npm/${word}\nRUN ls -A /root/.npm 2> /dev/null; true\n`;

/** What RUNs printed. */
const printed = ({ output }: SceneResult): readonly string[] => [...output.matchAll(/^ {2}\| (.*)$/gm)].map(([, line = '']) => line);

async function command(...words: readonly string[]): Promise<string> {
  const { status, output } = await (await scene.engine.start({ image: scene.builder, command: words })).ended;
  assert.equal(status, 0, output);
  return output;
}

test('a pod finds what the cache mounts of another one held; others see what it is, and prune takes it away', async () => {
  const repository = 'mounts/app';
  const first = await scene.build({ dockerfile: install('one'), repository, args });
  assert.match(first.output, /^the cache \/root\/\.npm is kept for other builds: /m);
  const second = await scene.build({ dockerfile: install('two'), repository, args });
  assert.deepEqual(printed(second), ['one'], second.output);
  assert.ok(!treeOf(second).has('/root/.npm'));
  const again = await scene.build({ dockerfile: install('two'), repository, args });
  assert.deepEqual([again.image?.digest, /cache \/root/.test(again.output)], [second.image?.digest, false], again.output);
  const cache = `${scene.registry.host}/${repository}/cache`;
  const list = await command('cache', 'list', cache);
  const [, tag = ''] = /^(mount-[0-9a-f]+) .* mount {4}\/root\/\.npm$/m.exec(list) ?? assert.fail(list);
  const tags = await (await fetch(`http://${scene.registry.host}/v2/${repository}/cache/tags/list`)).text();
  const [whole = ''] = new RegExp(`${tag}[0-9a-f]*`).exec(tags) ?? [];
  const shown = await must(['skopeo', 'inspect', '--tls-verify=false', `docker://${cache}:${whole}`]);
  assert.match(shown, /"dev\.yadokari\.cache\.mount": "\/root\/\.npm"/);
  await command('cache', 'prune', cache);
  assert.deepEqual(printed(await scene.build({ dockerfile: install('three'), repository, args })), ['one', 'two']);
  await command('cache', 'prune', '--max-size=0', cache);
  const pruned = await scene.build({ dockerfile: install('four'), repository, args });
  assert.deepEqual([pruned.status, printed(pruned)], [0, []], pruned.output);
});

test('the repository can be a folder on a volume, and caches on a volume of their own go on being used', async () => {
  const [layout, caches] = [await scene.folder(), await scene.folder()];
  const build = async (word: string, ...volumes: readonly string[]): Promise<SceneResult> =>
    await scene.build({
      dockerfile: install(word),
      volumes: [`${layout}:/layout`, ...volumes],
      args: [...args, '--cache-repo=oci:/layout'],
    });
  assert.deepEqual(printed(await build('one', `${caches}:/kaniko/caches`)), []);
  assert.ok((await readdir(layout)).some((name) => name.startsWith('mount-')));
  assert.deepEqual(printed(await build('two')), ['one']);
  assert.deepEqual(printed(await build('three', `${caches}:/kaniko/caches`)), ['one', 'two'], 'the other one is newer');
  assert.deepEqual(printed(await build('four')), ['one', 'three', 'two']);
});

test('a volume at a cache, or above it, is the cache: it keeps what it has, and neither image nor repository get any of it', async () => {
  const [home, go, shared] = [await scene.folder(), await scene.folder(), await scene.folder()];
  await writeFile(join(go, 'old'), 'old\n');
  await mkdir(join(shared, 'in'));
  await writeFile(join(shared, 'in/given'), 'given\n');
  const mounts = ['id=pip,target=/root/.cache/pip,mode=0700', 'target=/go,sharing=locked', 'target=/shared/in,ro', 'target=/own'];
  const caches = mounts.map((mount) => `--mount=type=cache,${mount}`).join(' ');
  const run = `RUN ${caches} cd /root/.cache/pip && cat /go/* /shared/in/given * ; ls -ld . && for d in . /go /own; do echo new > $d/$WORD; done`;
  const build = async (word: string, ...more: readonly string[]): Promise<SceneResult> =>
    await scene.build({
      dockerfile: `FROM @REG@/base\nENV WORD=${word}\n${run}\n`,
      repository: 'mounts/volumes',
      volumes: [`${home}:/root/.cache`, `${go}:/go`, `${shared}:/shared:ro`],
      args: [...args, ...more],
    });
  const first = await build('one');
  assert.equal(first.status, 0, first.output);
  assert.deepEqual(printed(first).slice(0, 2), ['old', 'given'], first.output);
  assert.match(first.output, /\| drwx------ /);
  for (const place of ['root/.cache', 'go', 'shared'])
    assert.equal(first.output.split(`/${place} is a volume, and so the cache itself`).length, 2, first.output);
  assert.match(first.output, /without effect for the cache at \/root\/\.cache\/pip, as it is the volume's: id=pip$/m);
  assert.doesNotMatch(first.output, /is mounted into this container/);
  assert.deepEqual(
    [...first.output.matchAll(/^the cache (\S+) is kept/gm)].map(([, id]) => id),
    ['/own'],
  );
  assert.deepEqual(
    [...treeOf(first).keys()].filter((path) => /pip|^\/go|^\/shared|one$/.test(path)),
    [],
  );
  assert.equal(await readFile(join(home, 'pip/one'), 'utf8'), 'new\n');
  const second = await build('two');
  assert.deepEqual([second.status, printed(second).slice(0, 4)], [0, ['old', 'new', 'given', 'new']], second.output);
  assert.deepEqual(
    [await readdir(go), await readdir(join(home, 'pip'))],
    [
      ['old', 'one', 'two'],
      ['one', 'two'],
    ],
  );
});

test('what a RUN puts in the place of a cache folder leads nowhere', async () => {
  const cache = 'cd /kaniko/caches/default && for f in *; do case $f in *.*) ;; *)';
  const hostile = [`${cache} rm -r $f && ln -s /kaniko/.docker $f;; esac; done`, 'cd /kaniko && mv caches x && ln -s / caches'];
  for (const [index, attack] of hostile.entries()) {
    const repository = `mounts/hostile${index}`;
    const result = await scene.build({
      dockerfile: `FROM @REG@/base\nRUN --mount=type=cache,target=/c echo > /c/f\nRUN ${attack}\n`,
      repository,
      args,
    });
    const tags = await (await fetch(`http://${scene.registry.host}/v2/${repository}/cache/tags/list`)).text();
    assert.ok(!tags.includes('mount-'), `${tags}\n${result.output}`);
  }
});
