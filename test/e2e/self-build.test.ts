// The builder builds itself from its Containerfile, and what comes of it builds.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { must } from '../support/command.ts';
import { debianBase } from '../support/debian-base.ts';
import { chosenEngine } from '../support/engine.ts';
import { podman } from '../support/podman.ts';
import { readRegistryImage } from '../support/registry-image.ts';
import { Scene } from '../support/scene.ts';

const repository = resolve(import.meta.dirname, '../..');

let scene: Scene;

before(
  async () => {
    scene = await Scene.start();
    await debianBase(scene.registry.host);
  },
  { timeout: 600_000 },
);

after(() => scene?.stop());

/** This machine's own certificate authorities, which a proxy before the package registries may need. */
function localAuthorities(): Record<string, string> {
  const folder = '/usr/local/share/ca-certificates';
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.crt')) : [];
  return Object.fromEntries(names.map((name) => [`ca/${name}`, readFileSync(join(folder, name), 'utf8')]));
}

test('the image of the Containerfile, built by the builder, builds an image', { timeout: 1_200_000 }, async () => {
  const base = await scene.build({
    dockerfile: 'FROM @REG@/debian:bookworm\nCOPY ca /usr/local/share/ca-certificates/\n',
    files: { 'ca/README': 'certificate authorities of the machine that runs the tests', ...localAuthorities() },
    repository: 'machine-base',
  });
  assert.equal(base.status, 0, base.output);

  const name = `${scene.registry.host}/yadokari:self`;
  const self = await scene.run(
    {
      volumes: [`${repository}:/workspace:ro`],
      args: [
        '--dockerfile=Containerfile',
        `--destination=${name}`,
        `--build-arg=BASE=${scene.registry.host}/machine-base`,
        '--insecure',
        '--insecure-pull',
      ],
    },
    { timeoutMs: 900_000 },
  );
  assert.equal(self.status, 0, self.output.slice(-6000));
  const image = await readRegistryImage(scene.registry.host, 'yadokari', 'self');
  assert.deepEqual(image?.problems, []);

  // podman makes an image's name of the path, so it has to be lower case
  const layout = join(repository, 'build/self-image');
  await rm(layout, { recursive: true, force: true });
  await must(['skopeo', 'copy', '-q', '--src-tls-verify=false', `docker://${name}`, `oci:${layout}:self`]);
  const loaded = await scene.engine.load(layout, 'self');
  try {
    const built = await scene.build({ dockerfile: 'FROM @REG@/base\nRUN echo from-self > /made\n', image: loaded });
    assert.equal(built.status, 0, built.output);
    assert.equal(built.image?.flattened.tree.get('/made')?.size, 10);
  } finally {
    if (chosenEngine() === 'podman') await podman(['rmi', '-f', loaded]);
    await rm(layout, { recursive: true, force: true });
  }
});
