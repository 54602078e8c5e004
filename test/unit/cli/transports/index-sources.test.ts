// What `index create` takes as names of images, and what it says to anything else.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFlags } from '../../../../src/cli/flags.ts';
import { indexSources } from '../../../../src/cli/transports/index-sources.ts';
import { Settings } from '../../../../src/cli/settings.ts';
import { indexGroups } from '../../../../src/cli/tables/index-create.ts';
import { formatPlatform } from '../../../../src/oci/platform.ts';

const table = indexGroups.flatMap(({ flags }) => flags);

async function sourcesOf(...argv: readonly string[]): Promise<readonly string[]> {
  const parsed = parseFlags(argv, table);
  const settings = new Settings(parsed, table, {});
  const { sources, platforms } = await indexSources({ settings, positionals: parsed.positionals }, '/');
  const named = sources.map(({ place, platform }) => `${place.name}${platform === undefined ? '' : ` for ${formatPlatform(platform)}`}`);
  return [...named, ...platforms.map(formatPlatform)];
}

test('operands, --from, a list in JSON: all are sources, in this order, without the newline of a file of results', async () => {
  const list = '--from-json=[{"image": "r.example/c", "platform": "linux/arm64/v8"}, "oci:/layout:d\\n"]';
  assert.deepEqual(
    await sourcesOf('r.example/a:1\n', '--from', 'r.example/b,r.example/e', list, '--platform', 'r.example/b=s390x,linux/amd64'),
    [
      'docker://r.example/a:1',
      'docker://r.example/b:latest for linux/s390x',
      'docker://r.example/e:latest',
      'docker://r.example/c:latest for linux/arm64',
      'oci:/layout:d',
      'linux/amd64',
    ],
  );
});

const refused: readonly (readonly [argument: string, why: RegExp])[] = [
  ['--from-json=/none.json', /Cannot read --from-json \/none.json: no such file or directory/],
  ['--from-json=[', /Cannot use --from-json: Cannot read JSON/],
  ['--from-json=[1]', /item 1 is no name of an image/],
  ['--from-json=[{"image": "a", "platform": 1}]', /the platform of item 1 is no text/],
  ['--from-json=[]', /no image is named/],
  ['--platform=other=arm64', /Cannot use --platform other=…: no source has this name/],
  ['docker-archive:x.tar', /an image has no digest there/],
  ['app/B', /must be lower case/],
];
for (const [argument, why] of refused)
  test(`${argument} is refused: ${why.source}`, async () => {
    const others = argument.startsWith('--platform') ? ['app'] : [];
    await assert.rejects(sourcesOf(...others, argument), why);
  });
