import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BuildPorts } from '../../../src/build/ports.ts';
import { openPushCheck } from '../../../src/build/push-check.ts';
import type { BuildEvent } from '../../../src/events.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { plainRequest } from '../../support/build-in-root.ts';

/** What is told of a push to these names, and which repositories are asked. */
async function check(...names: readonly string[]): Promise<{ readonly warnings: readonly string[]; readonly asked: readonly string[] }> {
  const events: BuildEvent[] = [];
  const asked: string[] = [];
  const registry: Pick<BuildPorts['registry'], 'checkPush'> = {
    checkPush: async ({ repository }) => await Promise.resolve(void asked.push(repository)),
  };
  const request = {
    ...plainRequest,
    builderFolder: '/kaniko',
    rootPath: '/',
    output: { ...plainRequest.output, noPush: false, skipPushPermissionCheck: false, destinations: names.map(parseReference) },
  };
  const { signal } = new AbortController();
  const ports = { registry, emit: (event: BuildEvent) => void events.push(event), signal } as BuildPorts; // all that it uses
  await using pushes = openPushCheck(request, ports);
  await pushes.done();
  return { warnings: events.flatMap((event) => (event.kind === 'warning' ? [event.message] : [])), asked };
}

test('openPushCheck() asks once for each repository, and warns of a name that many do not take', async () => {
  const long = `${'a'.repeat(124)}/${'b'.repeat(124)}`;
  assert.deepEqual(await check('reg.io/app:1', 'reg.io/app:2', `r.io/${long}`), { warnings: [], asked: ['app', long] });
  const { warnings } = await check(`reg.io/${long}`);
  assert.deepEqual(warnings, [`reg.io/${long} has 256 letters: many registries and clients take 255`]);
});
