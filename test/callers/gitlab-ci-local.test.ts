// A GitLab job as gitlab-ci-local runs it: the real one, with podman as its engine. It brings the project to a volume and its own script
// into the container's root, starts the shell that it finds, and goes on in the container after the build.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { builderLayout } from '../support/builder.ts';
import { must, run } from '../support/command.ts';
import { startDockerRegistry } from '../support/docker-registry.ts';
import { pushLayout } from '../support/image-writer.ts';
import { podmanCommand } from '../support/podman.ts';
import { readRegistryImage } from '../support/registry-image.ts';

const program = resolve(import.meta.dirname, '../../node_modules/gitlab-ci-local/dist/index.js');
const missing = [program, '/usr/bin/podman', '/usr/bin/rsync', '/bin/busybox', '/usr/bin/docker-registry'].find(
  (path) => !existsSync(path),
);
const names = { builder: 'localhost/yadokari-gitlab-ci-local:debug', helper: 'localhost/yadokari-gitlab-ci-local-helper:latest' };

/** As gitlab-ci-local calls it: an engine without more options than docker has. */
const podman = `#!/bin/sh
case $1 in
  create) shift; set -- create --ulimit nofile=20000:20000 --ulimit nproc=5000:5000 "$@" ;;
esac
exec /usr/bin/podman --runtime runc --cgroup-manager cgroupfs "$@"
`;

test(
  'GitLab: a job builds twice in gitlab-ci-local, with its login by echo, folded sections and after_script',
  {
    skip: missing === undefined ? false : `${missing} is not there`,
    timeout: 300_000,
  },
  async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'yadokari-gitlab-'));
    const [bin, project] = [join(folder.path, 'bin'), join(folder.path, 'project')];
    const registry = await startDockerRegistry();
    try {
      await pushLayout(resolve(import.meta.dirname, '../conformance/base'), 'base', `${registry.host}/base:latest`);
      await mkdir(bin);
      await writeFile(join(bin, 'podman'), podman);
      await chmod(join(bin, 'podman'), 0o755);
      await loadImages(folder.path);
      await makeProject(project, registry.host);
      const flags = ['--network', 'host', '--pull-policy', 'if-not-present', '--helper-image', names.helper];
      const variables = [`CI_REGISTRY=${registry.host}`, 'GITLAB_CI=true'].flatMap((variable) => ['--variable', variable]);
      const words = ['--container-executable', 'podman', ...flags, '--ignore-predefined-vars', 'CI_REGISTRY', ...variables, 'build'];
      const { status, output } = await run([process.execPath, program, ...words], {
        cwd: project,
        env: { ...process.env, PATH: `${bin}:${process.env['PATH'] ?? ''}` },
      });
      assert.equal(status, 0, output);
      const [first, second] = await Promise.all(['1', '2'].map((tag) => readRegistryImage(registry.host, 'gitlab', tag)));
      assert.deepEqual([...(first?.problems ?? ['none']), ...(second?.problems ?? ['none'])], []);
      assert.equal(second?.flattened.tree.get('/read')?.size, 'hello\n'.length);
      assert.match(output, new RegExp(`after_script ${second?.digest} hello`));
      // oxlint-disable-next-line no-control-regex -- what GitLab folds by
      assert.match(output, /step_2 took \d+ms/); // it knows GitLab's sections, and shows them so
      assert.equal(await readFile(join(project, 'hello'), 'utf8'), 'hello\n');
    } finally {
      await run(podmanCommand(['untag', names.builder]));
      await run(podmanCommand(['untag', names.helper]));
      await registry.stop();
    }
  },
);

/** The builder by a name, and what stands for the image that brings files into volumes: it wants a shell called bash. */
async function loadImages(folder: string): Promise<void> {
  const id = await must(podmanCommand(['pull', '-q', `oci:${builderLayout()}:debug`]));
  await must(podmanCommand(['tag', id.trim(), names.builder]));
  const root = join(folder, 'helper');
  await mkdir(join(root, 'bin'), { recursive: true });
  await mkdir(join(root, 'tmp'));
  await must(['cp', '/bin/busybox', join(root, 'bin')]);
  await must(['/bin/sh', '-c', `for name in $(/bin/busybox --list); do [ -e ${root}/bin/$name ] || ln -s busybox ${root}/bin/$name; done`]);
  await writeFile(join(root, 'bin/bash'), '#!/bin/sh\nexec /bin/sh "$@"\n');
  await chmod(join(root, 'bin/bash'), 0o755);
  await must(['tar', '-C', root, '-cf', `${root}.tar`, '.']);
  await must(podmanCommand(['import', '-q', '--change', 'ENV PATH=/bin', `${root}.tar`, names.helper]));
}

async function makeProject(project: string, registry: string): Promise<void> {
  const build = (tag: string): string =>
    `/kaniko/executor --context "$CI_PROJECT_DIR" --dockerfile "$CI_PROJECT_DIR/Dockerfile" --destination "$CI_REGISTRY/gitlab:${tag}" --digest-file image.digest --insecure --insecure-pull`;
  const login = `echo "{\\"auths\\":{\\"$CI_REGISTRY\\":{\\"username\\":\\"me\\",\\"password\\":\\"pw\\"}}}" > /kaniko/.docker/config.json`;
  const job = {
    image: { name: names.builder, entrypoint: [''] },
    script: ['mkdir -p /kaniko/.docker', login, build('1'), build('2')],
    after_script: ['echo "after_script $(cat image.digest) $(ls hello)"'],
  };
  await mkdir(project);
  await writeFile(join(project, '.gitlab-ci.yml'), stringify({ build: job }));
  await writeFile(join(project, 'Dockerfile'), `FROM ${registry}/base\nCOPY hello /hello\nRUN cat /hello > /read\n`);
  await writeFile(join(project, 'hello'), 'hello\n');
  const git = async (...words: readonly string[]): Promise<unknown> => await must(['git', '-C', project, ...words]);
  await git('init', '-q', '-b', 'main');
  await git('add', '-A');
  await git('-c', 'user.name=crab', '-c', 'user.email=crab@example.com', 'commit', '-qm', 'All of it');
  await git('remote', 'add', 'origin', 'https://gitlab.example/group/project.git');
}
