import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readProfiles } from '../../../src/cloud/aws/profile.ts';
import { namedPlace } from '../../../src/cloud/held-file.ts';
import { temporaryFolder } from '../../support/tree.ts';

test("a token file that an AWS profile names is looked for where the sandbox shows the machine's files", (context) => {
  const path = join(temporaryFolder(context), 'config');
  writeFileSync(path, '[default]\nrole_arn = r\nweb_identity_token_file = /run/token\n');
  const tokenIn = (env: Readonly<Record<string, string>>): string | undefined =>
    readProfiles({ AWS_CONFIG_FILE: path, ...env })
      .find('default')
      ?.get('web_identity_token_file');
  assert.equal(tokenIn({}), '/run/token');
  assert.equal(tokenIn({ YADOKARI_HOST_FILES: '/kaniko/host' }), '/kaniko/host/run/token');
  assert.equal(namedPlace('/run/token', {}), '/run/token');
});
