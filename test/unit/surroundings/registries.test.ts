import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parseFlags } from '../../../src/cli/flags.ts';
import { makeRegistryRequest } from '../../../src/cli/requests/registry-request.ts';
import { Settings } from '../../../src/cli/settings.ts';
import { buildFlags } from '../../../src/cli/tables/build.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { anonymous } from '../../../src/registry/credentials.ts';
import { namesFromTable } from '../../../src/registry/names.ts';
import { openRegistries, trustCertificates } from '../../../src/surroundings/registries.ts';
import { listen } from '../../support/listen.ts';

const { signal } = new AbortController();
const server = createServer((question, answer) => answer.end(question.url === '/v2/' ? '{}' : '{"name":"a","tags":["1"]}'));
let port = 0;

before(async () => {
  port = await listen(server);
});
after(() => server.close());

async function tagsAt(host: string): Promise<readonly string[]> {
  const request = makeRegistryRequest(new Settings(parseFlags([], buildFlags), buildFlags, {}), {}, '/');
  const names = namesFromTable(new Map([[host, [{ address: '127.0.0.1', family: 4 }]]]));
  const { pull, push } = openRegistries(request, { env: {}, names, credentials: anonymous, emit: () => undefined });
  try {
    return await pull.listTags(parseReference(`${host}:${port}/a`), signal);
  } finally {
    await Promise.all([pull.close(), push.close()]);
  }
}

for (const host of ['registry.ci.svc.cluster.local', 'nas.local'])
  test(`${host} is spoken to without TLS where it has none, as kaniko does unasked`, async () => {
    assert.deepEqual(await tagsAt(host), ['1']);
  });

for (const host of ['registry.test', 'local.registry.test', 'xlocal'])
  test(`${host} is not spoken to without TLS unless somebody allows it`, async () => {
    await assert.rejects(tagsAt(host), { code: 'ERR_REGISTRY', message: /it does not speak TLS/ });
  });

test('a folder of certificates that can not be read is told, and the others count', () => {
  const folder = mkdtempSync(join(tmpdir(), 'yadokari-certificates-'));
  const loop = join(folder, 'loop');
  symlinkSync(loop, loop);
  const said: string[] = [];
  trustCertificates({ SSL_CERT_DIR: `${loop}:${folder}/none` }, (event) => said.push('message' in event ? (event.message ?? '') : ''));
  rmSync(folder, { recursive: true });
  assert.deepEqual(said, [`Cannot read the certificates of ${loop}: too many symbolic links encountered`]);
});
