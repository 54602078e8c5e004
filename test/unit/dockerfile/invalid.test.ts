// Every folder of fixtures/dockerfile/invalid holds a Dockerfile and the exact block a user sees for it.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { DockerfileError } from '../../../src/errors.ts';
import { formatDockerfileError } from '../../../src/dockerfile/message.ts';
import { parseDockerfile } from '../../../src/dockerfile/parse.ts';
import { planStages } from '../../../src/dockerfile/stages.ts';

const folder = new URL('../../fixtures/dockerfile/invalid/', import.meta.url);
const cases = readdirSync(folder).toSorted();
const platform = { os: 'linux', architecture: 'amd64' };
const updates = process.execArgv.includes('--test-update-snapshots');

function messageFor(source: Buffer): string {
  try {
    planStages(parseDockerfile(source, 'Dockerfile'), { buildArgs: new Map(), targetPlatform: platform, buildPlatform: platform });
  } catch (error) {
    assert.ok(error instanceof DockerfileError, `not a DockerfileError: ${String(error)}`);
    return `${formatDockerfileError(error, source.toString('utf8'), 'Dockerfile')}\n`;
  }
  return 'no error at all\n';
}

test('there are at least 60 wrong Dockerfiles', () => {
  assert.ok(cases.length >= 60, `${cases.length} cases`);
});

for (const name of cases) {
  test(`the wrong Dockerfile ${name} is refused with its exact message`, () => {
    const message = messageFor(readFileSync(new URL(`${name}/Dockerfile`, folder)));
    const expected = new URL(`${name}/error.txt`, folder);
    if (updates && !existsSync(expected)) writeFileSync(expected, message);
    assert.equal(message, readFileSync(expected, 'utf8'));
  });
}
