// --ignore-path and --ignore-var-run, as pipelines of kaniko have them.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type RegistryImage } from '../support/registry-image.ts';
import { Scene, treeOf } from '../support/scene.ts';

let scene: Scene;
before(async () => {
  scene = await Scene.start();
});
after(async () => {
  await scene.stop();
});

/** The steps of the build that have no layer; there is no empty one. */
function stepsWithoutLayer(image: RegistryImage | undefined): readonly string[] {
  const { history = [], rootfs } = JSON.parse(JSON.stringify(image?.config)) as {
    readonly history?: readonly { readonly created_by?: string; readonly empty_layer?: boolean }[];
    readonly rootfs: { readonly diff_ids: readonly string[] };
  };
  const layers = history.filter((entry) => entry.empty_layer !== true);
  assert.equal(layers.length, rootfs.diff_ids.length);
  assert.ok(!rootfs.diff_ids.some((id) => id.startsWith('sha256:5f70bf18')), 'an empty layer');
  return history.flatMap(({ created_by: text = '', empty_layer: isEmpty }) => (isEmpty === true ? [text] : [])).slice(1);
}

const dockerfile = `FROM @REG@/base
COPY f /opt/left/out/f
RUN mkdir -p /opt/left /tmp && echo 1 > /opt/left/x && chmod 700 /opt/left
COPY f g /tmp/
RUN echo 1 > /tmp/x
WORKDIR /tmp/work
RUN true
RUN echo kept > /kept; cat /opt/left/x /tmp/x
COPY f /opt/f
`;

test('what is only below an ignored path makes no layer, and a build from the cache is the same', async () => {
  const run = async (repository: string, ...args: readonly string[]) =>
    await scene.build({
      dockerfile: dockerfile.replace('FROM @REG@/base\n', 'FROM @REG@/base\nARG SOURCE_DATE_EPOCH=1600000000\nRUN mkdir -p /opt\n'),
      files: { f: 'f', g: 'g' },
      repository,
      args: ['--ignore-path=/opt/left', '--ignore-path', '/tmp/*', '--build-arg=SOURCE_DATE_EPOCH=1600000000', ...args],
    });
  const plain = await run('ignored/plain');
  const tree = treeOf(plain);
  assert.deepEqual(
    [...tree.keys()].filter((path) => /left|^\/tmp\/.|^\/kept|^\/opt\/f/.test(path)),
    ['/kept', '/opt/f'],
  );
  assert.equal(tree.get('/kept')?.size, 5);
  assert.deepEqual(
    stepsWithoutLayer(plain.image).map((text) => text.replace(/^RUN .*? -c /, 'RUN ').slice(0, 20)),
    [
      'ARG SOURCE_DATE_EPOC',
      'RUN mkdir -p /opt # ',
      'COPY f /opt/left/out',
      'RUN mkdir -p /opt/le',
      'COPY f g /tmp/ # bui',
      'RUN echo 1 > /tmp/x ',
      'WORKDIR /tmp/work',
      'RUN true # buildkit',
    ],
  );
  assert.match(plain.output, /warning: \/opt\/left.* is left out of the image/);
  const cached = ['--cache', '--cache-copy-layers'];
  const [first, second] = [await run('ignored/cached', ...cached), await run('ignored/cached', ...cached)];
  assert.deepEqual([first.image?.digest, second.image?.digest], [plain.image?.digest, plain.image?.digest], second.output);
  assert.equal(second.output.match(/ from the cache, /g)?.length, 9, second.output);
  const single = await run('ignored/single', '--single-snapshot');
  assert.deepEqual([...treeOf(single)], [...tree]);
});

test('a single snapshot of nothing but ignored paths is no layer', async () => {
  const result = await scene.build({
    dockerfile: 'FROM @REG@/base\nCOPY f /left/f\nRUN echo 1 > /left/x || true\n',
    files: { f: 'f' },
    args: ['--ignore-path=/left', '--single-snapshot'],
  });
  assert.equal(treeOf(result).has('/left'), false);
  assert.equal(stepsWithoutLayer(result.image).length, 2);
});

for (const { flag, isKept } of [
  { flag: [], isKept: true },
  { flag: ['--ignore-var-run=false'], isKept: true },
  { flag: ['--ignore-var-run'], isKept: false },
  { flag: ['--whitelist-var-run=true'], isKept: false },
])
  test(`/var/run is ${isKept ? '' : 'not '}in the image with ${flag[0] ?? 'no flag'}`, async () => {
    const result = await scene.build({
      dockerfile:
        'FROM scratch\nCOPY --from=@REG@/base /bin /bin\nRUN mkdir -p /var/run/app && echo 1 > /var/run/app/pid\nCOPY f /var/run/f\nRUN cat /var/run/app/pid\n',
      files: { f: 'f' },
      args: flag,
    });
    const tree = treeOf(result);
    assert.deepEqual(['/var/run/app/pid', '/var/run/f'].filter((path) => tree.has(path)).length, isKept ? 2 : 0, result.output);
  });

test('a pattern that is none is told before anything is pulled', async () => {
  const result = await scene.build({ dockerfile: 'FROM @REG@/base\n', args: ['--ignore-path=/a/[b'] });
  assert.equal(result.status, 1);
  assert.match(result.output, /Cannot use --ignore-path=\/a\/\[b: "\[b" is no pattern/);
  assert.doesNotMatch(result.output, /FROM/);
});
