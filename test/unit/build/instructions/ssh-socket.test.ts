import assert from 'node:assert/strict';
import { mkdir, mkdtempDisposable, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openAgentSocket } from '../../../../src/build/instructions/ssh-socket.ts';
import { bytesFromText } from '../../../../src/bytes.ts';

test('openAgentSocket() leaves nobody listening where its socket can not be put in place', async () => {
  await using place = await mkdtempDisposable(join(tmpdir(), 'yadokari-agent-'));
  const path = join(place.path, 'agent');
  await mkdir(path);
  await assert.rejects(openAgentSocket(bytesFromText(path), '/nowhere'), { code: 'EISDIR' });
  assert.deepEqual(await readdir(place.path), ['agent']);
});
