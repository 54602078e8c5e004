// The same Dockerfile through our builder and through buildah, on a real distribution: the trees must be the same.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { differences } from '../conformance/compare.ts';
import { must, run } from '../support/command.ts';
import { debianBase } from '../support/debian-base.ts';
import { readRegistryImage } from '../support/registry-image.ts';
import { Scene, treeOf } from '../support/scene.ts';

const dockerfile = `
FROM @REG@/debian:bookworm AS one
RUN useradd --create-home --shell /bin/sh crab && groupadd --gid 7000 shells && usermod -aG shells crab
RUN cp -a /usr/share /opt/share && find /opt/share -name '*.gz' -delete && chmod -R g+w /opt/share/doc
RUN mkdir /links && cd /links && for i in 1 2 3 4; do echo $i > f$i; ln f$i h$i; ln -s f$i s$i; done && ln s1 hard-to-symlink
RUN rm /links/h1 && mv /links/h2 /links/moved && rm -rf /opt/share/locale /usr/share/doc && mkdir /usr/share/doc && touch /usr/share/doc/new
RUN mv /opt/share/perl5 /opt/perl5; ln -s /opt/perl5 /opt/share/perl5; rm /bin/ls && cp /bin/cat /bin/ls && chmod 2755 /bin/ls
RUN dd if=/dev/zero of=/zeros bs=1M count=20 status=none && tar -C /etc --exclude=hostname --exclude=hosts --exclude=resolv.conf --exclude=mtab -cf - . | tar -C /srv -xf -
FROM @REG@/debian:bookworm
COPY --from=one /opt /opt
COPY --from=one /links /links
COPY --from=one --chown=daemon:7 /srv /srv
RUN chown -R games /links && rm -r /opt/share/man
`;

let scene: Scene;

before(
  async () => {
    scene = await Scene.start();
    await debianBase(scene.registry.host);
  },
  { timeout: 600_000 },
);

after(() => scene?.stop());

for (const target of ['one', undefined]) {
  test(
    `buildah makes the same tree of ${target === undefined ? 'copies between stages' : 'seven RUNs'}`,
    { timeout: 900_000 },
    async () => {
      const flag = target === undefined ? [] : [`--target=${target}`];
      const ours = await scene.build({ dockerfile, pod: 'kubernetes', args: flag });
      const tree = treeOf(ours);
      const context = await scene.folder({ Dockerfile: dockerfile.replaceAll('@REG@', scene.registry.host) });
      const name = `${scene.registry.host}/theirs/${target ?? 'last'}`;
      const options = ['--isolation=chroot', '--layers', '--tls-verify=false', '--ulimit=nofile=20000:20000', `--tag=${name}`, ...flag];
      try {
        await must(['buildah', 'bud', ...options, context]);
        await must(['buildah', 'push', '--tls-verify=false', name]);
      } finally {
        await run(['buildah', 'rmi', name]);
      }
      const theirs = await readRegistryImage(scene.registry.host, `theirs/${target ?? 'last'}`, 'latest');
      assert.ok(theirs !== undefined);
      // buildah's COPY makes copies of hard links, where BuildKit's and ours keep them
      const found = differences(tree, theirs.flattened.tree, {
        compareMtime: false,
        contextAt: '/workspace',
        compareLinks: target !== undefined,
        ignorePaths: [],
      });
      assert.deepEqual(found, { changed: {}, removed: [] });
      assert.deepEqual(ours.image?.problems, []);
    },
  );
}
