// Attacks from inside a RUN, each in a build of its own. A RUN is root in the same container, so this is about what the
// builder itself must not lend it: its memory, its open files, its trust in what stands on the disk.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Scene, type SceneBuild, type SceneResult, treeOf, stackTrace } from '../support/scene.ts';

const canary = 'canary-51966-crab';

let scene: Scene;

before(async () => {
  scene = await Scene.start();
});

after(() => scene?.stop());

async function attack(steps: readonly string[], more: Partial<SceneBuild> = {}): Promise<SceneResult> {
  const dockerfile = ['FROM @REG@/base', ...steps].join('\n');
  return scene.build({ dockerfile: `${dockerfile}\n`, env: { BUILDER_CANARY: canary }, ...more }, { timeoutMs: 180_000 });
}

function oneClearLine(result: SceneResult): void {
  assert.notEqual(result.status, 0, result.output);
  assert.equal(result.image, undefined, 'an image was pushed');
  assert.ok(!stackTrace.test(result.output), `a stack trace: ${result.output}`);
}

test("reading the builder's environment, memory, files and program from /proc finds every door shut", async () => {
  const probe = [
    'n=0; for p in /proc/[0-9]*; do [ "${p#/proc/}" -lt $$ ] || continue; n=$((n+1));',
    '(: < $p/mem) 2>/dev/null && echo "OPEN $p/mem"; for f in environ maps auxv syscall; do head -c 100 $p/$f >/dev/null 2>&1 && echo "OPEN $p/$f"; done;',
    // the names of open files may be listed by root, but they lead nowhere
    'for f in $p/fd/*; do readlink $f >/dev/null 2>&1 && echo "OPEN $f"; (: < $f) 2>/dev/null && echo "OPEN $f"; done;',
    'readlink $p/exe >/dev/null 2>&1 && echo "OPEN $p/exe"; ls $p/root/ >/dev/null 2>&1 && echo "OPEN $p/root";',
    'tr "\\0" "\\n" < $p/environ 2>/dev/null; done; echo "probed $n"',
  ].join(' ');
  const result = await attack([`RUN ${probe}`]);
  assert.equal(result.status, 0, result.output);
  assert.match(result.output, /\| ?probed [1-9]/);
  assert.doesNotMatch(result.output, /\| ?OPEN /);
  assert.ok(!result.output.includes(canary), 'the environment of the builder came out');
});

test("the builder's environment does not reach a RUN", async () => {
  const result = await attack(['RUN env > /env && ! grep -r BUILDER_CANARY /env']);
  assert.equal(result.status, 0, result.output);
  assert.ok(!result.output.includes(canary));
});

test('SIGUSR1 opens no inspector in the builder', async () => {
  const ports = "cat /proc/net/tcp /proc/net/tcp6 | awk '$4 == \"0A\" { print $2 }' | grep -c ':240D$'";
  const result = await attack([
    `RUN a=$(${ports}); for i in 1 2 3; do for p in /proc/[0-9]*; do [ "\${p#/proc/}" -lt $$ ] && kill -USR1 \${p#/proc/}; done; sleep 1; done; b=$(${ports}); echo "listeners $a $b"; [ "$a" = "$b" ]`,
  ]);
  assert.equal(result.status, 0, result.output);
  assert.match(result.output, /\| ?listeners \d+ \d+/);
});

test("writing into the builder's own files does not go unseen", async () => {
  const result = await attack([
    `RUN find /kaniko/ -type f | while read f; do (echo evil >> "$f") 2>/dev/null && echo "WROTE $f"; done; true`,
    'RUN true',
  ]);
  if (/\| ?WROTE /.test(result.output)) {
    oneClearLine(result);
    assert.match(result.output, /error: .*\/kaniko/);
  } else assert.equal(result.status, 0, result.output);
});

test("moving the builder's folder away does not put it into the image", async () => {
  const result = await attack(['RUN mv /kaniko /elsewhere || true', 'RUN true']);
  if (result.status === 0) {
    const paths = [...treeOf(result).keys()];
    assert.deepEqual(
      paths.filter((path) => path.startsWith('/elsewhere')),
      [],
    );
  } else oneClearLine(result);
});

test('daemons in sessions of their own are dead before the next layer', async () => {
  const fork = '#!/bin/sh\n[ $(date +%s) -gt $1 ] && { echo late > /late-chain; exit; }\nsetsid sh /fork.sh $1 > /dev/null 2>&1 &\n';
  const result = await attack(
    [
      'COPY fork.sh /fork.sh',
      `RUN (setsid sh -c "trap '' TERM HUP INT; sleep 3; echo late > /late" > /dev/null 2>&1 &); sh /fork.sh $(($(date +%s)+4)) & echo started > /started`,
      'RUN sleep 7; ps > /processes; cat /processes',
    ],
    { files: { 'fork.sh': fork } },
  );
  assert.equal(result.status, 0, result.output);
  const tree = treeOf(result);
  assert.ok(tree.has('/started'));
  assert.ok(!tree.has('/late') && !tree.has('/late-chain'), 'a daemon changed a later layer');
});

test('a daemon that keeps the output open does not hold the build', async () => {
  const result = await attack(['RUN setsid sleep 100 & echo started']);
  assert.equal(result.status, 0, result.output);
  assert.ok(result.durationMs < 60_000, `it took ${result.durationMs} ms`);
});

for (const row of [
  { name: 'WORKDIR', steps: ['RUN ln -s /kaniko/app /w', 'WORKDIR /w/planted', 'WORKDIR /'], lands: '/kaniko/app/planted' },
  { name: 'COPY', steps: ['RUN ln -s /kaniko /w', 'COPY f /w/executor'], lands: '/kaniko/executor' },
  { name: 'COPY through ..', steps: ['RUN mkdir -p /a && ln -s ../../kaniko /a/w', 'COPY f /a/w/app/f'], lands: '/kaniko/app/f' },
]) {
  test(`a symlink into the builder's folder leads ${row.name} to what the image has there, never to the builder`, async () => {
    const look = `RUN test ! -e ${row.lands} || head -1 ${row.lands}`;
    const result = await attack([...row.steps, look], { files: { f: 'evil' } });
    assert.ok(treeOf(result).has(row.lands));
    assert.ok(!/\| ?evil/.test(result.output), result.output);
    assert.match(result.output, /RUN can't see the image's \/kaniko:/);
  });
}

test('a RUN whose working folder would be one of the builder has none, and says so', async () => {
  const result = await attack(['RUN ln -s /kaniko/app /w', 'WORKDIR /w/planted', 'RUN true']);
  oneClearLine(result);
  assert.match(result.output, /error: Cannot run in \/w\/planted: \/kaniko\/app\/planted is this container's here/);
});

for (const target of ['/dev/zero', '/proc/1/environ', '/proc/kmsg', '/fifo']) {
  test(`/etc/passwd as a link to ${target} neither hangs nor leaks`, async () => {
    const result = await attack([`RUN mkfifo /fifo; rm /etc/passwd && ln -s ${target} /etc/passwd`, 'USER app', 'RUN true']);
    oneClearLine(result);
    assert.ok(!result.output.includes(canary));
    assert.ok(result.durationMs < 60_000, `it took ${result.durationMs} ms`);
  });
}

test('poisoned name resolution, loader and TLS settings do not reach the builder', async () => {
  const { port } = new URL(`http://${scene.registry.host}`);
  const result = await attack(
    [
      "RUN echo 'hosts: evil' > /etc/nsswitch.conf; echo /evil.so > /etc/ld.so.preload; mkdir -p /lib /etc/ssl; echo evil > /evil.so; cp /evil.so /lib/libnss_evil.so.2; cp /evil.so /lib/libnss_files.so.2; echo 'openssl_conf = evil' > /etc/ssl/openssl.cnf; echo evil > /etc/gai.conf",
      'RUN true',
    ],
    { pushTo: `localhost:${port}`, repository: 'poisoned' },
  );
  assert.equal(result.status, 0, result.output);
  assert.ok(await scene.hasTag('poisoned'));
});

test('escape sequences and control characters of a RUN do not reach the log', async () => {
  const result = await attack([`RUN printf 'before\\033[2J\\033]0;evil\\007\\bafter\\n'`]);
  assert.equal(result.status, 0, result.output);
  assert.match(result.output, /before/);
  const lines = result.output.split('\n').filter((line) => /\| .*before/.test(line));
  // eslint-disable-next-line no-control-regex -- control characters are what this is about
  assert.ok(lines.length > 0 && lines.every((line) => !/[\u0000-\u0008\u000b-\u001f\u007f]/.test(line)), JSON.stringify(lines));
});

test('a RUN starts with three open files, no inherited capabilities and default signals', async () => {
  const result = await attack(['RUN ls /proc/self/fd | wc -l; grep -E "^(CapInh|CapAmb|SigBlk|SigIgn)" /proc/self/status; umask']);
  assert.equal(result.status, 0, result.output);
  // ls itself opens the folder
  assert.match(result.output, /\| ?4$/m);
  for (const field of ['CapInh', 'CapAmb', 'SigBlk', 'SigIgn']) assert.match(result.output, new RegExp(`${field}:\\s+0+$`, 'm'));
  assert.match(result.output, /\| ?0022$/m);
});

test('a RUN that eats all memory is killed alone, and the message says so', async () => {
  const result = await attack(['RUN tail /dev/zero'], { memory: '300m' });
  oneClearLine(result);
  assert.match(result.output, /memory/i);
  assert.match(result.output, /tail \/dev\/zero/);
});
