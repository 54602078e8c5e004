// A whole build of a Debian image with five RUNs, from an empty machine to the registry: our container against buildah.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { builderCommand, builderImage } from '../support/builder.ts';
import { must } from '../support/command.ts';
import { debianBase } from '../support/debian-base.ts';
import { startDockerRegistry } from '../support/docker-registry.ts';
import { compare, type Ratio } from './ratio.ts';

const dockerfile = (base: string) => `FROM ${base}
RUN useradd --create-home crab
RUN mkdir -p /opt/app && for i in $(seq 2000); do echo "line $i" > /opt/app/file$i; done
RUN cp -a /usr/share /opt/share
RUN chown -R crab:crab /opt/app
RUN rm -rf /opt/share/doc && echo done > /opt/done
CMD ["true"]
`;

/** Seconds of wall clock, ours to `buildah bud --isolation=chroot` and push. */
export async function benchBuild(rounds: number, folder: string): Promise<Ratio> {
  const work = await mkdtemp(join(folder, 'build-'));
  const registry = await startDockerRegistry();
  try {
    const image = await builderImage();
    await writeFile(join(work, 'Dockerfile'), dockerfile(await debianBase(registry.host)));
    const storage = ['--root', join(work, 'storage'), '--runroot', join(work, 'run')];
    // every round pushes to a repository that holds nothing yet
    let count = 0;
    const destination = () => `${registry.host}/bench/${++count}:latest`;
    return await compare({ name: 'build and push Debian with five RUNs', reference: 'buildah', aim: 0.8 }, rounds, {
      ours: {
        run: async () => {
          await must(builderCommand({ image, context: work, args: [`--destination=${destination()}`, '--insecure', '--insecure-pull'] }));
        },
      },
      theirs: {
        // a pod starts with nothing, so buildah starts with an empty store
        prepare: async () => {
          await must(['buildah', ...storage, 'rmi', '--all', '--force']);
        },
        run: async () => {
          const name = destination();
          const options = ['--isolation=chroot', '--layers', '--tls-verify=false', '--ulimit=nofile=20000:20000', `--tag=${name}`];
          await must(['buildah', ...storage, 'bud', ...options, `--file=${work}/Dockerfile`, work]);
          await must(['buildah', ...storage, 'push', '--tls-verify=false', name]);
        },
      },
    });
  } finally {
    await registry.stop();
    await rm(work, { recursive: true, force: true });
  }
}
