// A registry that cuts, corrupts, refuses and stalls: a build ends with the right image, or with one clear line and no tag.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Fault, startFaultyProxy } from '../support/faulty-proxy.ts';
import { Scene, stackTrace } from '../support/scene.ts';

let scene: Scene;

before(async () => {
  scene = await Scene.start();
});

after(() => scene?.stop());

const dockerfile = 'FROM @PROXY@/base\nRUN echo made > /made\n';
const isBlob = (path: string) => path.includes('/blobs/sha256:');
const isUpload = (path: string) => path.includes('/blobs/uploads/');

/** A fault for the first `times` requests that match. */
function first(times: number, matches: (method: string, path: string) => boolean, fault: Fault) {
  let left = times;
  return (method: string, path: string) => (matches(method, path) && left-- > 0 ? fault : undefined);
}

async function buildThrough(choose: (method: string, path: string) => Fault | undefined, repository: string) {
  const proxy = await startFaultyProxy(scene.registry.host, choose);
  try {
    const text = dockerfile.replaceAll('@PROXY@', proxy.address);
    return await scene.build({ dockerfile: text, repository, pushTo: proxy.address }, { timeoutMs: 240_000 });
  } finally {
    await proxy.stop();
  }
}

const survivable: readonly { readonly name: string; readonly choose: () => (method: string, path: string) => Fault | undefined }[] = [
  {
    name: 'a blob that is cut in the middle is fetched again',
    choose: () => first(1, (method, path) => method === 'GET' && isBlob(path), { kind: 'cut', afterBytes: 200 }),
  },
  {
    name: 'a blob that is cut twice after its first bytes is fetched again',
    choose: () => first(2, (method, path) => method === 'GET' && isBlob(path), { kind: 'cut', afterBytes: 1 }),
  },
  {
    name: 'a blob that is corrupt once is fetched again',
    choose: () => first(1, (method, path) => method === 'GET' && isBlob(path), { kind: 'corrupt' }),
  },
  {
    name: 'every blob may be corrupt the first time it is fetched',
    choose: () => {
      const seen = new Set<string>();
      return (method, path) => {
        if (method !== 'GET' || !isBlob(path) || seen.has(path)) return undefined;
        seen.add(path);
        return { kind: 'corrupt' };
      };
    },
  },
  {
    name: 'a 503 at the start of an upload is tried again',
    choose: () => first(1, (method, path) => method === 'POST' && isUpload(path), { kind: 'answer', status: 503 }),
  },
  {
    name: 'a 429 is waited for as long as it asks',
    choose: () =>
      first(1, (method, path) => method === 'GET' && path.includes('/manifests/'), {
        kind: 'answer',
        status: 429,
        headers: { 'retry-after': '1' },
      }),
  },
  {
    name: 'a 502 for the manifest is tried again',
    choose: () => first(1, (method, path) => method === 'PUT' && path.includes('/manifests/'), { kind: 'answer', status: 502 }),
  },
];

for (const [index, row] of survivable.entries()) {
  test(row.name, async () => {
    const repository = `survives/${index}`;
    const result = await buildThrough(row.choose(), repository);
    assert.equal(result.status, 0, result.output);
    assert.equal(await scene.hasTag(repository), true);
  });
}

const fatal: readonly {
  readonly name: string;
  readonly choose: (method: string, path: string) => Fault | undefined;
  readonly says: RegExp;
}[] = [
  {
    name: 'a blob that is corrupt for ever is never unpacked, and its digest is named',
    choose: (method, path) => (method === 'GET' && isBlob(path) ? { kind: 'corrupt' } : undefined),
    says: /sha256:[0-9a-f]{12}/,
  },
  {
    name: 'a registry that refuses every upload is named with its status',
    choose: (method, path) => (method === 'POST' && isUpload(path) ? { kind: 'answer', status: 403 } : undefined),
    says: /403/,
  },
  {
    name: 'a registry that refuses the manifest leaves no tag',
    choose: (method, path) => (method === 'PUT' && path.includes('/manifests/') ? { kind: 'answer', status: 400 } : undefined),
    says: /400/,
  },
];

for (const [index, row] of fatal.entries()) {
  test(row.name, async () => {
    const repository = `fails/${index}`;
    const result = await buildThrough(row.choose, repository);
    assert.notEqual(result.status, 0);
    assert.match(result.output, row.says);
    assert.ok(!stackTrace.test(result.output), `a stack trace: ${result.output}`);
    assert.equal(await scene.hasTag(repository), false);
  });
}
