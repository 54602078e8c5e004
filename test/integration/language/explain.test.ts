// `yadokari explain`: the plan, and what the cache has of it.
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { run } from '../../support/command.ts';
import { sandboxBuilds, type SandboxBuilds, sandboxMissing } from '../../support/sandbox-build.ts';

describe('explain', { skip: sandboxMissing, timeout: 300_000 }, () => {
  let builds: SandboxBuilds;
  const checkout = join(import.meta.dirname, '../../..');
  before(() => {
    builds = sandboxBuilds();
  });
  after(() => builds.remove());

  test('says what a build would do and which steps the cache has, and builds nothing', async () => {
    const base = `--build-context=base=oci-layout://${join(checkout, 'test/conformance/base')}:base`;
    const cache = ['--cache', '--cache-copy-layers', '--cache-repo=oci:cache'];
    const explain = async () =>
      await run([join(checkout, 'bin/yadokari'), 'explain', base, '--no-check', ...cache, '.'], {
        cwd: builds.folder,
        env: { YADOKARI_ROOT: join(builds.folder, '../store') },
        timeoutMs: 120_000,
      });
    const dockerfile = 'FROM base\nRUN echo one > /one\nCOPY file /file\n';
    builds.write('file', 'first\n');
    builds.write('Dockerfile', dockerfile);
    const cold = await explain();
    assert.equal(cold.status, 0, cold.output);
    assert.match(cold.output, /stage 0: FROM context base .*, the image\n {2}RUN echo one/);
    assert.match(cold.output, /RUN echo one > \/one: not in the cache/);
    assert.ok(!existsSync(join(builds.folder, 'cache')) || readdirSync(join(builds.folder, 'cache')).length === 0);
    const built = await builds.build(dockerfile, cache);
    assert.equal(built.status, 0, built.output);
    builds.write('file', 'second\n');
    const warm = await explain();
    assert.match(warm.output, /RUN echo one > \/one: in the cache/);
    assert.match(warm.output, /COPY file \/file: not in the cache: .*file/);
  });
});
