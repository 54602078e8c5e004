// Pods are deleted: a signal ends a build within seconds, in whatever phase, with one line that says where it was.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { canSend, type RunningContainer } from '../support/engine.ts';
import { type Fault, startFaultyProxy } from '../support/faulty-proxy.ts';
import { Scene } from '../support/scene.ts';

let scene: Scene;

before(async () => {
  scene = await Scene.start();
});

after(() => scene?.stop());

interface Moment {
  readonly name: string;
  readonly dockerfile: string;
  /** The signal is sent when the output matches. */
  readonly when: RegExp;
  /** What the last line has to say. */
  readonly says: RegExp;
  /** Makes that moment last. */
  readonly choose?: (method: string, path: string) => Fault | undefined;
}

const simple = 'FROM @PROXY@/base\nRUN echo made > /made\n';

const moments: readonly Moment[] = [
  {
    name: 'while pulling the base image',
    dockerfile: simple,
    when: /GET stalls/,
    says: /pulling|unpacking/,
    choose: (method, path) => (method === 'GET' && path.includes('/blobs/') ? { kind: 'stall', afterBytes: 100 } : undefined),
  },
  {
    name: 'while a RUN sleeps',
    dockerfile: 'FROM @PROXY@/base\nRUN echo now-asleep; sleep 600\n',
    when: /^.*\| ?now-asleep/m,
    says: /while running step 1\/1 \(RUN/,
  },
  {
    name: 'while a RUN ignores signals',
    dockerfile: `FROM @PROXY@/base\nRUN trap '' TERM INT HUP; echo now-deaf; while :; do sleep 600; done\n`,
    when: /^.*\| ?now-deaf/m,
    says: /while running step 1\/1 \(RUN/,
  },
  {
    name: 'while taking a snapshot',
    dockerfile: 'FROM @PROXY@/base\nRUN mkdir /many && cd /many && for i in $(seq 60000); do : > $i; done; echo now-snapshot\n',
    when: /^.*\| ?now-snapshot/m,
    says: /snapshotting|running|RUN/,
  },
  {
    name: 'while uploading a layer',
    dockerfile: simple,
    when: /(?:PATCH|PUT) stalls/,
    says: /while \w+/,
    choose: (method, path) =>
      method !== 'POST' && method !== 'HEAD' && path.includes('/uploads/') ? { kind: 'stall', afterBytes: 0 } : undefined,
  },
  {
    name: 'while the manifest is on its way',
    dockerfile: simple,
    when: /PUT stalls/,
    says: /push/,
    choose: (method, path) => (method === 'PUT' && path.includes('/manifests/') ? { kind: 'stall', afterBytes: 0 } : undefined),
  },
];

const signals = (
  [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const
).filter(([signal]) => canSend(signal));

for (const [index, moment] of moments.entries()) {
  for (const [signal, status] of signals) {
    test(`${signal} ${moment.name} ends the build with ${status} within seconds`, async () => {
      const repository = `signals/${index}-${status}`;
      const ended = await interrupt(moment, signal, repository);
      assert.equal(ended.status, status, ended.output);
      assert.ok(ended.afterMs < 15_000, `it took ${Math.round(ended.afterMs)} ms`);
      const lines = ended.output.split('\n').filter((line) => line.includes(signal));
      assert.equal(lines.length, 1, `not one line about ${signal}: ${ended.output}`);
      assert.match(lines.join(''), moment.says);
      assert.equal(await scene.hasTag(repository), false, 'a tag was written');
    });
  }
}

async function interrupt(moment: Moment, signal: 'SIGTERM' | 'SIGINT', repository: string) {
  let seen = '';
  let sentAt = 0;
  let sending: Promise<unknown> = Promise.resolve();
  const started = Promise.withResolvers<RunningContainer>();
  const look = (text: string) => {
    seen += text;
    if (sentAt !== 0 || !moment.when.test(seen)) return;
    sentAt = performance.now();
    sending = started.promise.then((container) => container.kill(signal));
  };
  const proxy = await startFaultyProxy(scene.registry.host, (method, path) => {
    const fault = moment.choose?.(method, path);
    // the moment comes a little after the request, when the builder waits for the answer
    if (fault !== undefined) setTimeout(() => look(`${method} stalls\n`), 300);
    return fault;
  });
  try {
    const dockerfile = moment.dockerfile.replaceAll('@PROXY@', proxy.address);
    const build = await scene.start(
      { dockerfile, pushTo: proxy.address, repository, args: ['--skip-push-permission-check'] },
      { onOutput: look, timeoutMs: 120_000 },
    );
    started.resolve(build);
    const result = await build.ended;
    assert.notEqual(sentAt, 0, `the moment never came: ${result.output}`);
    await sending;
    return { status: result.status, output: result.output, afterMs: performance.now() - sentAt };
  } finally {
    await proxy.stop();
  }
}
