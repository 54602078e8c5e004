// What stands on results from the cache is what would stand on executed ones, for all that layers may hold; and what must not be kept
// or taken is not.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import type { BuildPorts } from '../../../src/build/ports.ts';
import type { BuildEvent } from '../../../src/events.ts';
import type { CachePlace } from '../../../src/outputs/entry-place.ts';
import { type RootBuild, buildInRoot } from '../../support/build-in-root.ts';

const whyNot = process.getuid?.() === 0 ? false : 'needs root for chroot and owners';
const epoch = { SOURCE_DATE_EPOCH: '1600000000' };

interface Build {
  readonly files?: Readonly<Record<string, string>>;
  readonly ports?: Partial<BuildPorts>;
  readonly arrange?: (context: string) => void;
}

describe('results from the layer cache', { skip: whyNot, timeout: 300_000 }, () => {
  let folder = '';
  let places = 0;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'yadokari-cache-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));
  const newPlace = (): CachePlace => ({ kind: 'layout', folder: join(folder, String(++places)) });

  async function build(dockerfile: string, place: CachePlace | undefined, { files, ports, arrange }: Build = {}): Promise<RootBuild> {
    const cache = { ttlMs: 3_600_000, copyLayers: true, runLayers: true };
    return await buildInRoot(dockerfile, {
      files: files ?? { a: 'a', 'd/b': 'b' },
      ...(ports === undefined ? {} : { ports }),
      ...(arrange === undefined ? {} : { arrange }),
      request: {
        buildArgs: new Map(Object.entries(epoch)),
        ...(place === undefined ? {} : { cache: { ...cache, from: [place], to: place } }),
      },
    });
  }

  const recalled = ({ events }: { readonly events: readonly BuildEvent[] }): readonly string[] =>
    events.flatMap((event) => (event.kind === 'step.finished' && event.recalled !== undefined ? [event.step.text] : []));

  const cases: readonly { readonly name: string; readonly dockerfile: string }[] = [
    { name: 'files that were deleted', dockerfile: 'FROM base\nRUN mkdir /x && echo 1 > /x/a && echo 2 > /x/b\nRUN rm /x/a\n' },
    {
      name: 'a folder that was made anew',
      dockerfile: 'FROM base\nRUN mkdir /x && echo 1 > /x/a\nRUN rm -r /x && mkdir /x && echo 2 > /x/b\n',
    },
    { name: 'a RUN that changes nothing', dockerfile: 'FROM base\nRUN true\nRUN echo 1 > /a\n' },
    {
      name: 'two stages that are alike',
      dockerfile:
        'FROM base AS one\nRUN echo 1 > /a\nFROM base AS two\nRUN echo 1 > /a\nFROM base\nCOPY --from=one /a /a\nCOPY --from=two /a /b\n',
    },
    { name: 'links and modes', dockerfile: 'FROM base\nRUN echo 1 > /a && ln /a /b && ln -s a /c && chmod 4711 /a\nRUN chown 5:6 /b\n' },
    { name: 'a linked copy', dockerfile: 'FROM base\nRUN echo 1 > /a\nCOPY --link d /a/\n' },
    {
      name: 'a stage that stands on another, and an ADD',
      dockerfile: 'FROM base AS one\nRUN echo 1 > /a\nFROM one\nWORKDIR /w\nADD d .\nRUN cat /a b > c\n',
    },
    { name: 'triggers of a stage', dockerfile: 'FROM base AS one\nONBUILD COPY a /a\nONBUILD RUN cat /a > /b\nFROM one\nRUN cat /b\n' },
    {
      name: 'a mount from a stage',
      dockerfile: 'FROM base AS one\nRUN echo 1 > /a\nFROM base\nRUN --mount=from=one,target=/one cat /one/a > /b\n',
    },
    {
      name: 'a user that a RUN made',
      dockerfile: 'FROM base\nRUN mkdir -p /etc && echo u:x:7:8::/: >> /etc/passwd\nUSER u\nWORKDIR /w\nCOPY --chown=u a .\n',
    },
  ];
  for (const { name, dockerfile } of cases) {
    test(`${name}: the same digest from the cache, and below a further RUN`, async () => {
      const place = newPlace();
      const further = `${dockerfile}USER 0\nRUN for p in /x /x/* /a /b /c /w /w/*; do stat -c '%n %a %u:%g %h %s %F' $p; cat $p; done > /list 2>&1; true\n`;
      const plain = await build(dockerfile, undefined);
      const plainFurther = await build(further, undefined);
      assert.deepEqual([plain.error, plainFurther.error], [undefined, undefined]);
      assert.equal((await build(dockerfile, place)).digest, plain.digest);
      const second = await build(dockerfile, place);
      assert.deepEqual([second.digest, second.layersRead], [plain.digest, 0]);
      const third = await build(further, place);
      assert.equal(third.digest, plainFurther.digest);
      assert.ok(recalled(third).length > 0);
    });
  }

  test('what ADD downloads is asked for each time; what stands on it is found while it is the same', async () => {
    const place = newPlace();
    const dockerfile = 'FROM base\nADD https://h.example/f /f\nRUN cat /f > /g\n';
    let asked = 0;
    const withContent = async (content: string): Promise<RootBuild> => {
      const download: BuildPorts['download'] = async () => {
        asked++;
        const body = Readable.from([Buffer.from(content)], { objectMode: false });
        const nothing = { lastModified: undefined, etag: undefined, sizeBytes: undefined };
        return await Promise.resolve({ status: 200, ...nothing, body });
      };
      return await build(dockerfile, place, { ports: { download } });
    };
    const first = await withContent('1');
    assert.equal(first.error, undefined);
    assert.deepEqual(recalled(await withContent('1')), ['RUN cat /f > /g']);
    assert.deepEqual(recalled(await withContent('2')), []);
    assert.equal(asked, 3);
  });

  test('a build that fails keeps what it had finished', async () => {
    const place = newPlace();
    const failed = await build('FROM base\nRUN echo 1 > /a\nRUN exit 3\n', place);
    assert.ok(failed.error instanceof Error);
    assert.deepEqual(recalled(await build('FROM base\nRUN echo 1 > /a\nRUN exit 0\n', place)), ['RUN echo 1 > /a']);
  });

  test('a file that changes between the look at it and its COPY is not kept under what it was', async () => {
    const place = newPlace();
    const dockerfile = 'FROM base\nRUN echo 1 > /a\nCOPY a /b\nRUN cat /b > /c\n';
    let context = '';
    const events: BuildEvent[] = [];
    const emit = (event: BuildEvent): void => {
      events.push(event);
      if (event.kind === 'step.finished' && event.step.text.startsWith('RUN echo')) writeFileSync(join(context, 'a'), 'changed');
    };
    const first = await build(dockerfile, place, { ports: { emit }, arrange: (given) => (context = given) });
    assert.equal(first.error, undefined);
    assert.ok(events.some((event) => event.kind === 'warning' && event.code === 'cache-changed'));
    const second = await build(dockerfile, place);
    assert.deepEqual(recalled(second), ['RUN echo 1 > /a']);
    assert.equal(second.digest, (await build(dockerfile, undefined)).digest);
  });
});
