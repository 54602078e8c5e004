// The builder in somebody else's image, where people of kaniko put it: `COPY --from=… /kaniko /kaniko`. Nothing else of its own
// image is there: no link, no environment, no empty root, and often a shell script that calls it.
import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { builderLayout } from '../support/builder.ts';
import { must } from '../support/command.ts';
import { debianBase } from '../support/debian-base.ts';
import { chosenEngine } from '../support/engine.ts';
import { pushLayout } from '../support/image-writer.ts';
import { podman, podmanCommand } from '../support/podman.ts';
import { readRegistryImage } from '../support/registry-image.ts';
import { Scene, treeOf } from '../support/scene.ts';

const copyBuilder = 'COPY --from=@REG@/yadokari /kaniko /kaniko\nCOPY tool /usr/bin/job-tool\nENTRYPOINT ["/kaniko/executor"]\n';
const files = { tool: '#!/bin/sh\necho the tool of the job\n' };
/** What `mkdir -p /var/run/app` makes, with or without a link at /var/run, and what is copied there. */
const ofTheBuild = /^\/(?:var|(?:var\/)?run(?:\/app(?:\/first)?)?)$/;
const tokenFolder = '/var/run/secrets/kubernetes.io/serviceaccount';

describe("a builder that was copied into somebody's image", { timeout: 900_000 }, () => {
  // podman makes an image's name of the path, so it has to be lower case
  const layouts = `/var/tmp/yadokari-copied-${process.pid}`;
  const images: string[] = [];
  let scene: Scene;

  before(
    async () => {
      scene = await Scene.start();
      await pushLayout(builderLayout(), 'latest', `${scene.registry.host}/yadokari:latest`);
      await pushLayout(`${import.meta.dirname}/../conformance/base`, 'linked', `${scene.registry.host}/linked:latest`);
      await debianBase(scene.registry.host);
    },
    { timeout: 600_000 },
  );
  after(async () => {
    if (chosenEngine() === 'podman') for (const image of images) await podman(['rmi', '-f', image]);
    rmSync(layouts, { recursive: true, force: true });
    await scene?.stop();
  });

  /** The image in the registry, known to the engine. */
  const load = async (name: string): Promise<string> => {
    const layout = join(layouts, String(images.length));
    mkdirSync(layouts, { recursive: true });
    await must(['skopeo', 'copy', '--quiet', '--src-tls-verify=false', `docker://${name}`, `oci:${layout}:latest`]);
    const image = await scene.engine.load(layout, 'latest');
    images.push(image);
    return image;
  };

  const withOurs = async (base: string): Promise<string> => {
    const made = await scene.build({ dockerfile: `FROM @REG@/${base}\n${copyBuilder}`, files });
    assert.deepEqual(made.image?.problems, [], made.output);
    assert.equal(treeOf(made).get('/kaniko/executor')?.mode, 0o755);
    return made.destination;
  };

  const withPodman = async (base: string): Promise<string> => {
    const { host } = scene.registry;
    const folder = await scene.folder({ ...files, Dockerfile: `FROM ${host}/${base}\n${copyBuilder.replaceAll('@REG@', host)}` });
    const name = `${host}/by-podman:latest`;
    await must(podmanCommand(['build', '--tls-verify=false', '-q', '-t', name, folder]), {
      timeoutMs: 300_000,
    });
    await must(podmanCommand(['push', '-q', '--tls-verify=false', name]));
    await must(podmanCommand(['rmi', '-f', name]));
    return name;
  };

  for (const { base, other, maker, make } of [
    { base: 'linked', other: 'debian:bookworm', maker: 'by the builder itself', make: withOurs },
    { base: 'debian:bookworm', other: 'linked', maker: 'by podman', make: withPodman },
    { base: 'base', other: 'debian:bookworm', maker: 'by podman', make: withPodman }, // it has no /var/run: the engine makes a folder
  ]) {
    test(`builds in ${base}, put there ${maker}: twice in a job's shell, and nothing of the job gets into the images`, async () => {
      const image = await load(await make(base));
      const { host } = scene.registry;
      const context = await scene.folder({
        first: `FROM ${host}/${base}\nRUN test ! -e /usr/bin/job-tool && mkdir -p /var/run/app && touch /made\nCOPY first /var/run/app/\n`,
        second: `FROM ${host}/${other}\nRUN test ! -e /made && mkdir -p /var/run/app && touch /made-too\n`,
      });
      const build = (name: string): string =>
        `/kaniko/executor --context /workspace --dockerfile ${name} --destination ${host}/copied/${name} --insecure --insecure-pull`;
      const job = ['set -e', 'job-tool', build('first'), 'echo between', build('second'), 'echo the shell goes on'].join('\n');
      const token = await scene.folder({ token: 'of the service account' });
      const volumes = [`${context}:/workspace:ro`, ...(chosenEngine() === 'podman' ? [`${token}:${tokenFolder}:ro`] : [])];
      const { ended } = await scene.engine.start({ image, entrypoint: '/bin/sh', command: ['-c', job], volumes, workdir: '/' });
      const { status, output } = await ended;
      assert.equal(status, 0, output);
      assert.match(output, /^the tool of the job$[^]*^between$[^]*^the shell goes on$/m);

      for (const [name, below, made] of [
        ['first', base, '/made'],
        ['second', other, '/made-too'],
      ] as const) {
        const [repository = '', tag = 'latest'] = below.split(':');
        const before = await readRegistryImage(host, repository, tag);
        const built = await readRegistryImage(host, `copied/${name}`, 'latest');
        assert.deepEqual(built?.problems, []);
        const tree = built?.flattened.tree ?? new Map();
        assert.ok(tree.has(made));
        const added = [...tree.keys()].filter((path) => before?.flattened.tree.has(path) !== true);
        assert.deepEqual(
          added.filter((path) => path !== made && !ofTheBuild.test(path)),
          [],
        );
        const run = before?.flattened.tree.get('/var/run');
        if (run !== undefined) assert.deepEqual([tree.get('/var/run')?.type, tree.get('/var/run')?.target], [run.type, run.target]);
        assert.equal(tree.get(`${run === undefined ? '/var' : ''}/run/app`)?.type, 'dir');
      }
    });
  }

  test('an image with a builder in it is built on: RUN sees the one that builds, which is said, and the image keeps its own', async () => {
    const result = await scene.build({
      dockerfile: `FROM @REG@/base\nRUN true\n${copyBuilder}RUN test ! -e /kaniko/of-the-image && echo kept > /kept\nCOPY tool /kaniko/of-the-image\nRUN test ! -e /kaniko/of-the-image\nFROM @REG@/base\nCOPY --from=0 /kaniko/of-the-image /found\nCOPY --from=0 /kept /kaniko/LICENSE /\n`,
      files,
    });
    assert.deepEqual(result.image?.problems, [], result.output);
    assert.equal(treeOf(result).get('/found')?.size, files.tool.length);
    assert.ok((treeOf(result).get('/LICENSE')?.size ?? 0) > 1000);
    assert.equal(result.output.match(/RUN can't see the image's \/kaniko:/g)?.length, 1, result.output);
  });
});
