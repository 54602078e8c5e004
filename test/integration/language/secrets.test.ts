// Secrets from the environment reach a build in the sandbox, whose own environment is nearly empty.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { sandboxBuilds, sandboxMissing, type SandboxBuilds } from '../../support/sandbox-build.ts';

describe('--secret from a variable', { skip: sandboxMissing, timeout: 120_000 }, () => {
  let builds: SandboxBuilds;
  before(() => {
    builds = sandboxBuilds();
  });
  after(() => builds.remove());

  for (const secret of [
    'id=tok,env=MY_TOKEN',
    'id=tok,type=env,src=MY_TOKEN',
    'id=tok,type=env,env=MY_TOKEN',
    'type=env,id=MY_TOKEN',
    'id=MY_TOKEN',
  ]) {
    test(secret, async () => {
      const id = secret.includes('id=tok') ? 'tok' : 'MY_TOKEN';
      const dockerfile = `FROM base\nRUN --mount=type=secret,id=${id},required test "$(cat /run/secrets/${id})" = value\n`;
      const { status, output } = await builds.build(dockerfile, [`--secret=${secret}`], { env: { MY_TOKEN: 'value' } });
      assert.equal(status, 0, output);
    });
  }
});
