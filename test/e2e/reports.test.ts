// What a build leaves behind about itself, in a pod: opened before the image's root, whole also where the build fails.
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { BuildEvent } from '../../src/events.ts';
import { parseEvent } from '../../src/report/event-json.ts';
import { Scene, treeOf } from '../support/scene.ts';

let scene: Scene;

before(async () => void (scene = await Scene.start()), { timeout: 600_000 });
after(() => scene?.stop());

function eventsIn(file: string): readonly BuildEvent[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.includes('"kind"'))
    .map((line) => {
      const event = parseEvent(JSON.parse(line));
      assert.ok(event !== undefined, line);
      return event;
    });
}

test('--events-file gets every event, though the image and a RUN put other things in its place', async () => {
  const folder = await scene.folder({ 'old.json': 'what stood there\n'.repeat(99) });
  const result = await scene.build({
    dockerfile:
      'FROM @REG@/base AS one\nRUN mkdir -p /reports && ln -sf /etc/passwd /reports/events.json\nFROM one\nRUN echo out; ls -la /reports >&2\n',
    args: ['--events-file=/reports/old.json'],
    volumes: [`${folder}:/reports`],
  });
  assert.equal(result.status, 0, result.output);
  const events = eventsIn(join(folder, 'old.json')).filter(({ kind }) => kind !== 'sample');
  assert.equal(events[0]?.kind, 'build.started');
  const last = events.at(-1);
  assert.equal(last?.kind === 'build.finished' && last.digest, result.image?.digest);
  assert.ok(events.some((event) => event.kind === 'output' && event.line === 'out'));
});

test('--events-file of a build that fails ends with the failure, its time and the lines that people get', async () => {
  const folder = await scene.folder();
  const result = await scene.build({
    dockerfile: 'FROM @REG@/base\nRUN exit 3\n',
    args: ['--events-file=/reports/sub/events.json'],
    volumes: [`${folder}:/reports`],
  });
  assert.equal(result.status, 3, result.output);
  const file = join(folder, 'sub/events.json');
  const warned = eventsIn(file).filter((event) => event.kind === 'warning' && event.code.startsWith('run-mount'));
  assert.deepEqual(warned, [], 'what the builder writes there is no RUN’s');
  const finished = eventsIn(file).findLast(({ kind }) => kind === 'build.finished');
  assert.ok(finished?.kind === 'build.finished' && /exit code 3|code 3/.test(finished.failure ?? ''), JSON.stringify(finished));
  assert.match(readFileSync(file, 'utf8').trimEnd().split('\n').at(-1) ?? '', /^\{"level":"error",/);
});

test('--events-file in the own root of the container is in no layer', async () => {
  const result = await scene.build({
    dockerfile: 'FROM @REG@/base\nRUN echo x > /x\n',
    args: ['--events-file=/tmp/events.json'],
  });
  assert.equal(result.status, 0, result.output);
  assert.ok(![...treeOf(result).keys()].some((path) => path.includes('events.json')));
});

test('--events-file that can not be written fails before the build', async () => {
  const result = await scene.build({ dockerfile: 'FROM @REG@/base\n', args: ['--events-file=/proc/events.json'] });
  assert.equal(result.status, 1);
  assert.match(result.output, /error: Cannot write --events-file \/proc\/events\.json: no such file or directory/);
  assert.doesNotMatch(result.output, /FROM /);
});

test('in GitHub Actions the job gets a summary and outputs, and other files are written beside them', async () => {
  const folder = await scene.folder({ summary: 'before\n', output: 'a=b\n', 'image.env': 'OLD=1\n' });
  const result = await scene.build({
    dockerfile: 'FROM @REG@/base\nRUN echo x > /x\n',
    args: ['--junit-file=/files/junit.xml', '--dotenv-file=/files/image.env'],
    volumes: [`${folder}:/files`],
    env: { GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: '/files/summary', GITHUB_OUTPUT: '/files/output' },
  });
  assert.equal(result.status, 0, result.output);
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
  const digest = result.image?.digest ?? '';
  const image = `${result.destination.replace(/:latest$/, '')}@${digest}`;
  assert.equal(read('output'), `a=b\ndigest=${digest}\nimage=${image}\n`);
  assert.equal(read('image.env'), `IMAGE_DIGEST=${digest}\nIMAGE=${image}\n`);
  assert.match(read('summary'), /^before\n### Image built in /);
  assert.match(read('junit.xml'), /^<testsuites name="yadokari" tests="1" failures="0"/m);
});

test('--report is one page with what each step took, and is there also where the build fails', async () => {
  const folder = await scene.folder();
  const result = await scene.build({
    dockerfile:
      'FROM @REG@/base\nRUN sleep 3; echo "<script>alert(1)</script>"; head -c 300000 /dev/urandom > /big\nCOPY f /f\nRUN sleep 2; exit 4\n',
    files: { f: 'f' },
    args: ['--report=/files/build.html', '--events-file=/files/events.json'],
    volumes: [`${folder}:/files`],
  });
  assert.equal(result.status, 4, result.output);
  const page = readFileSync(join(folder, 'build.html'), 'utf8');
  assert.match(page, /<h1>Image not built<\/h1>/);
  assert.doesNotMatch(page, /<script|https?:\/\/(?!127|localhost)[^<"]*"/);
  assert.match(page, /<i class="running" style="left:[\d.]+%;width:[1-9][\d.]*%" title="running [3-9]\.\ds">/);
  assert.match(page, /<h2>Layers as far as the build got<\/h2>\n<\w+ class="layer">/);
  assert.match(page, /<td>[2-9]\.\ds<\/td><td><b class="failed">failed<\/b><\/td>/);
  const kinds = eventsIn(join(folder, 'events.json')).map(({ kind }) => kind);
  assert.ok(kinds.filter((kind) => kind === 'sample').length >= 3, 'samples');
  if (process.env['KEEP_REPORT'] !== undefined)
    for (const name of ['build.html', 'events.json']) copyFileSync(join(folder, name), join(process.env['KEEP_REPORT'], name));
});

test('the image of a build is told with its waste, report makes the same page of the events, and inspect shows it of the registry', async () => {
  const folder = await scene.folder();
  const result = await scene.build({
    dockerfile: `FROM @REG@/base
RUN mkdir -p /var/lib/apt/lists && head -c 300000 /dev/urandom > /var/lib/apt/lists/all && head -c 200000 /dev/urandom > /manual
RUN rm /manual
RUN head -c 100000 /dev/urandom > /tool
RUN chmod 700 /tool
`,
    repository: 'told/waste',
    args: ['--report=/files/build.html', '--events-file=/files/events.json'],
    volumes: [`${folder}:/files`],
  });
  assert.equal(result.status, 0, result.output);
  const contents = eventsIn(join(folder, 'events.json')).find((event) => event.kind === 'image.contents');
  assert.ok(contents?.kind === 'image.contents');
  assert.equal(contents.baseLayers, 1);
  assert.equal(contents.layers.length, 5);
  const again = await scene.run({ args: ['report', '/files/events.json', '-o', '/files/again.html'], volumes: [`${folder}:/files`] });
  assert.equal(again.status, 0, again.output);
  const page = readFileSync(join(folder, 'build.html'), 'utf8');
  assert.equal(readFileSync(join(folder, 'again.html'), 'utf8'), page);
  assert.match(page, /RUN rm \/manual \(line 3\) removes 200 kB \(1 file: \/manual\)/);
  const image = `docker://${scene.registry.host}/told/waste`;
  const tree = await scene.run({ args: ['inspect', '--tree', '--waste', '--tls-verify=false', image] });
  assert.equal(tree.status, 0, tree.output);
  for (const line of [
    /^layer 1 \(base\) {2}[0-9a-f]{12} {2}/m,
    /^ {3}300 kB {2}.*var\/$/m,
    /stores 100 kB \(1 file: \/tool\) of RUN head -c 100000 .* again\n +try: change them in the RUN that makes them/,
    /leaves 300 kB in \/var\/lib\/apt\/lists\n +try: rm -rf/,
  ])
    assert.match(tree.output, line);
  const gate = await scene.run({ args: ['inspect', '--highest-wasted-bytes=250kB', '--tls-verify=false', image] });
  assert.equal(gate.status, 1);
  assert.match(gate.output, /error: 300 kB are wasted, and --highest-wasted-bytes is 250 kB/);
});
