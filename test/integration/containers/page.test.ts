// docs/without-dockerfile.md: every command of the page, in its order, as the shell has it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { openContainerBench, whyNoContainers } from '../../support/working-containers.ts';

const page = readFileSync(join(import.meta.dirname, '../../../docs/without-dockerfile.md'), 'utf8');
const blocks = [...page.matchAll(/^```sh((?: \w+)*)\n(.*?)^```$/gms)].map(([, needs = '', text = '']) => ({
  needs: needs.split(' ').filter((word) => word !== ''),
  text,
}));
const root = join(import.meta.dirname, '../../..');

for (const caller of ['root', 'user'] as const) {
  const skip = whyNoContainers(caller);
  const bench = skip === false ? await openContainerBench(caller) : undefined;
  suite(`the page about containers, by ${caller === 'root' ? 'root' : 'an ordinary user'}`, { skip }, () => {
    if (bench === undefined) return;
    after(() => bench[Symbol.dispose]());
    test('its commands work one after the other, and the last one shows what was written by hand', () => {
      const { folder, argv, env } = bench;
      // The caller's shell, too: what it makes is his.
      const asCaller = argv().slice(0, argv().indexOf('--') + 1);
      const words = argv()
        .slice(asCaller.length)
        .map((word) => `'${word}'`)
        .join(' ');
      mkdirSync(join(folder, 'path'));
      writeFileSync(join(folder, 'path/yadokari'), `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o755 });
      // Tests start containers as the machine lets them.
      const own = `--root ${folder}/podman --runroot ${folder}/podman-run --storage-driver vfs`;
      const podman = `exec /usr/bin/podman ${own} --runtime runc run --network=host --ulimit nofile=20000:20000 --ulimit nproc=5000:5000 "$@"`;
      writeFileSync(join(folder, 'path/podman'), `#!/bin/sh\nshift\n${podman}\n`, { mode: 0o755 });
      symlinkSync(join(root, 'build'), join(folder, 'build'));
      const has = new Set<string>([caller, ...(existsSync(join(root, 'build/image')) ? ['builder'] : [])]);
      if (existsSync('/usr/bin/podman')) has.add('podman');
      const text = blocks.flatMap((block) => (block.needs.every((need) => has.has(need)) ? [block.text] : [])).join('');
      const asked = {
        cwd: folder,
        encoding: 'utf8',
        env: { ...env, PATH: `${folder}/path:${env['PATH'] ?? ''}` },
        timeout: 200_000,
      } as const;
      const { status, stdout, stderr } = spawnSync('env', [...asCaller, 'sh', '-euxc', text], asked);
      assert.equal(status, 0, stderr);
      assert.match(stdout, /\nbye\n$/);
      assert.match(stdout, /localhost\/site +latest/);
      if (blocks.some(({ needs }) => needs.length === 3 && needs.every((need) => has.has(need))))
        assert.match(stdout, /^from two containers deep$/m);
    });
  });
}
