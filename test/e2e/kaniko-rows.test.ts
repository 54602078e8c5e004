// What a pipeline of kaniko's says on its command line, to the builder's own image: what other tests do not drive from outside.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { builderLayout } from '../support/builder.ts';
import { Scene } from '../support/scene.ts';
import { listen } from '../support/listen.ts';

let scene: Scene;
let web: Server;
let origin = '';
let debug = '';
const files = new Map<string, string>();

before(async () => {
  scene = await Scene.start();
  debug = await scene.engine.load(builderLayout(), 'debug');
  web = createServer((request, response) => {
    const path = request.url ?? '';
    if (request.method !== 'PUT') {
      response.writeHead(files.has(path) ? 200 : 404).end(files.get(path));
      return;
    }
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      files.set(path, Buffer.concat(chunks).toString());
      response.writeHead(201).end();
    });
  });
  const port = await listen(web);
  origin = `http://127.0.0.1:${port}`;
});
after(async () => {
  await new Promise((resolve) => web?.close(resolve));
  await scene?.stop();
});

/** What a shell of the debug image prints. */
async function shell(script: string, volumes: readonly string[] = []): Promise<string> {
  const { ended } = await scene.engine.start({ image: debug, entrypoint: '/busybox/sh', command: ['-c', script], volumes });
  return (await ended).output;
}

test('a Dockerfile of the web, and digests and names to the web, to files and to BUILDER_OUTPUT, of one build', async () => {
  files.set('/Dockerfile', `FROM ${scene.registry.host}/base\nCOPY f /f\n`);
  const out = await scene.folder();
  const destinations = ['rows/a:1', 'rows/b:2'].map((name) => `${scene.registry.host}/${name}`);
  const { status, output } = await scene.run({
    context: await scene.folder({ f: 'f' }),
    args: [
      ...destinations.map((name) => `--destination=${name}`),
      '--insecure',
      '--insecure-pull',
      `--dockerfile=${origin}/Dockerfile`,
      `--digest-file=${origin}/digest`,
      `--image-name-with-digest-file=${origin}/names`,
      '--image-name-tag-with-digest-file=/out/tags',
    ],
    env: { BUILDER_OUTPUT: '/out' },
    volumes: [`${out}:/out`],
  });
  assert.equal(status, 0, output);
  const digest = files.get('/digest') ?? '';
  assert.match(digest, /^sha256:[0-9a-f]{64}$/);
  const bare = destinations.map((name) => name.replace(/:\d$/, ''));
  assert.equal(files.get('/names'), bare.map((name) => `${name}@${digest}\n`).join(''));
  assert.equal(await readFile(join(out, 'tags'), 'utf8'), destinations.map((name) => `${name}@${digest}\n`).join(''));
  assert.deepEqual(
    (await readFile(join(out, 'images'), 'utf8')).trimEnd().split('\n'),
    destinations.map((name) => JSON.stringify({ name, digest })),
  );
});

const refused: readonly { readonly flags: string; readonly says: RegExp }[] = [
  { flags: '--snapshot-mode=fast', says: /--snapshot-mode=fast: expected full, redo, time/ },
  { flags: '--cache --cache-ttl=5', says: /--cache-ttl=5: expected a duration/ },
  { flags: '--custom-platform foo', says: /platform "foo": no operating system and no architecture/ },
  { flags: '--digest-file=/proc/digest', says: /Cannot write --digest-file \/proc\/digest: \/proc can not be written/ },
  {
    flags: '--digest-file=/w/Dockerfile/digest',
    says: /Cannot write --digest-file \/w\/Dockerfile\/digest: \/w\/Dockerfile is not a directory/,
  },
  { flags: '-t app', says: /-t: there is no such flag\n +try: .*--destination IMAGE/ },
  { flags: '--tag app', says: /--tag: there is no such flag\n +try: .*--destination/ },
  { flags: '--file x', says: /--file: there is no such flag\n +try: .*--dockerfile/ },
  { flags: '--push', says: /--push: there is no such flag\n +try: .*--destination/ },
  { flags: '--compression=estargz', says: /Cannot honour --compression=estargz/ },
  { flags: '--registry-mirorr=x', says: /did you mean --registry-mirror\?/ },
];

test('a wrong command line ends with status 1 and what to try, before anything is pulled', async () => {
  const runs = refused.map(
    ({ flags }) => `executor --destination=${scene.registry.host}/never --insecure-pull ${flags} 2>&1; echo "status $?"; echo ----`,
  );
  const output = await shell(
    `mkdir -p /w && cd /w && echo FROM ${scene.registry.host}/base > Dockerfile\n${runs.map((run) => run.replace('executor', 'executor --context=/w')).join('\n')}`,
  );
  const parts = output.split('----\n');
  assert.equal(parts.length, refused.length + 1, output);
  for (const [index, { flags, says }] of refused.entries()) {
    const part = parts[index] ?? '';
    assert.match(part, says, flags);
    assert.match(part, /^status 1$/m, flags);
    assert.doesNotMatch(part, /FROM|pulled/, flags);
  }
  assert.equal(await scene.hasTag('never'), false);
});

test('the commands beside a build: version, completion, login, push, check, explain, cache, warmer', async () => {
  const host = scene.registry.host;
  const context = await scene.folder({ Dockerfile: `FROM ${host}/base\nRUN echo 1 > /one\n` });
  const commands = [
    'executor version',
    'for each in bash zsh fish; do yadokari completion $each | head -c 5 > /dev/null || exit 9; done; true',
    `echo secret | executor login ${host} -u me --password-stdin && grep -q ${host} $DOCKER_CONFIG/config.json && yadokari logout ${host}`,
    `yadokari build /ctx --oci-layout-path=/layout --tar-path=/image.tar --no-push --insecure-pull --destination=${host}/rows/pushed:1`,
    `executor push /layout -d ${host}/rows/pushed:layout --insecure --digest-file=/digest --image-name-tag-with-digest-file=/names && cat /digest /names`,
    `executor push /image.tar --destination ${host}/rows/pushed:tar --insecure --skip-push-permission-check`,
    'yadokari check /ctx',
    'yadokari explain /ctx --insecure-pull --no-push',
    `yadokari cache list oci:/no-cache && yadokari cache explain /ctx --insecure-pull --no-push --cache --cache-repo=oci:/no-cache`,
    `/kaniko/warmer --image=${host}/base --dockerfile=/ctx/Dockerfile --cache-dir=/bases --insecure-pull --cache-ttl=1h --force && ls /bases`,
  ];
  const output = await shell(commands.map((each) => `( ${each} ) 2>&1; echo "status $?"`).join('\n'), [`${context}:/ctx:ro`]);
  assert.deepEqual(
    output.match(/^status .*$/gm),
    commands.map(() => 'status 0'),
    output,
  );
  const tags = await (await fetch(`http://${host}/v2/rows/pushed/tags/list`)).text();
  assert.ok(
    ['layout', 'tar'].every((tag) => tags.includes(`"${tag}"`)),
    tags,
  );
});
