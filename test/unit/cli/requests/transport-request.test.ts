import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFlags } from '../../../../src/cli/flags.ts';
import { copyOptionsOf } from '../../../../src/cli/requests/transport-request.ts';
import { Settings } from '../../../../src/cli/settings.ts';
import { copyGroups } from '../../../../src/cli/tables/transports.ts';

const flags = copyGroups.flatMap((group) => group.flags);
const levelOf = (argv: string): number | undefined => copyOptionsOf(new Settings(parseFlags(argv.split(' '), flags), flags, {})).level;

test('a copy is refused for a level that its compression has not, before anything is read', () => {
  assert.throws(() => levelOf('--compress-level=10'), /Cannot use --compress-level=10: gzip has levels 0 to 9/);
  assert.throws(() => levelOf('--dest-compress --dest-compress-level=99'), /gzip has levels 0 to 9/);
  assert.throws(() => levelOf('--compress-format=zstd --compress-level=0'), /zstd has levels 1 to 19/);
  assert.throws(() => levelOf('--dest-decompress --compress-level=5'), /plain layers have no level/);
  assert.deepEqual(['--compress-level=0', '--compress-format=zstd --compress-level=19', '--compress-level=-1'].map(levelOf), [
    0,
    19,
    undefined,
  ]);
});
