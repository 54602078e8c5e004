// In gVisor (GKE Sandbox): a kernel of its own, whose file system gives files other times by itself.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { builderCommand, builderImage } from '../support/builder.ts';
import { run } from '../support/command.ts';
import { readRegistryImage } from '../support/registry-image.ts';
import { Scene, treeOf } from '../support/scene.ts';

let scene: Scene;
let runtime: string;
const options = { skip: missing() ?? false, timeout: 600_000 };

before(async () => {
  if (options.skip !== false) return;
  scene = await Scene.start();
  runtime = join(await scene.folder(), 'runsc');
  writeFileSync(runtime, '#!/bin/sh\nexec runsc --platform=ptrace --network=host --ignore-cgroups "$@"\n');
  chmodSync(runtime, 0o755);
});

after(() => scene?.stop());

function missing(): string | undefined {
  try {
    execFileSync('runsc', ['--version'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'runsc (Debian package runsc) is not installed';
  }
}

async function buildUnder(gvisor: boolean, dockerfile: string, files: Readonly<Record<string, string>>) {
  const context = await scene.folder({ ...files, Dockerfile: dockerfile.replaceAll('@REG@', scene.registry.host) });
  const repository = gvisor ? 'out/there' : 'out/here';
  const args = [`--destination=${scene.registry.host}/${repository}:latest`, '--insecure', '--insecure-pull'];
  const command = builderCommand({ image: await builderImage(), context, args });
  const result = await run(gvisor ? command.map((word) => (word === 'runc' ? runtime : word)) : command);
  assert.equal(result.status, 0, result.output);
  const image = await readRegistryImage(scene.registry.host, repository, 'latest');
  return { ...result, destination: '', image };
}

test('a build in gVisor gives the layers that it gives elsewhere', options, async () => {
  const dockerfile = `FROM @REG@/base
COPY data /data
RUN mkdir -p /many && i=0 && while [ $i -lt 1500 ]; do echo $i > /many/$i; i=$((i+1)); done
RUN ls -lR / > /dev/null; echo one > /one
RUN ls -lR / > /dev/null; cp -p /data/text /t; echo jello > /data/text; touch -r /t /data/text; rm /t
RUN chmod -R u+rX /data /many; ln /one /two; chmod 600 /one
`;
  const files = { 'data/text': 'hello\n', 'data/deep/other': 'other\n' };
  const [here, there] = [await buildUnder(false, dockerfile, files), await buildUnder(true, dockerfile, files)];
  const layersOf = (result: typeof here) => result.image?.layers.map((members) => members.map(({ name }) => name).sort());
  assert.deepEqual(layersOf(there), layersOf(here));
  const shapeOf = (result: typeof here) =>
    [...treeOf(result)].map(([path, node]) => JSON.stringify([path, node], (key, value: unknown) => (key === 'mtime' ? undefined : value)));
  assert.deepEqual(shapeOf(there), shapeOf(here));
});
