import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildImage } from '../../../src/build/build.ts';
import { watchContexts } from '../../../src/surroundings/context-watch.ts';
import type { BuildPorts } from '../../../src/build/ports.ts';
import { watchMounts } from '../../../src/surroundings/mount-watch.ts';
import { guardLaunch, isForUsToRemove } from '../../../src/surroundings/guarded-launch.ts';
import { bytesFromText } from '../../../src/bytes.ts';
import { parseDockerfile } from '../../../src/dockerfile/parse.ts';
import { BuilderError } from '../../../src/errors.ts';
import { diskView } from '../../../src/files/disk-view.ts';
import type { LaunchResult } from '../../../src/linux/launch.ts';
import { type Mount, parseMounts } from '../../../src/linux/mounts.ts';
import { plainRequest } from '../../support/build-in-root.ts';

const signal = new AbortController().signal;
const request = { ...plainRequest, borrowsContext: false };

describe('what stands around a RUN', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync('/var/tmp/yadokari-guard-');
    writeFileSync(join(folder, 'token'), 'secret');
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const build = async (launch: () => Promise<LaunchResult>, verifySeal: () => void, pushed: () => void): Promise<unknown> => {
    const rootPath = join(folder, 'root');
    mkdirSync(rootPath);
    const guard = {
      secretFiles: [{ path: join(folder, 'token'), instead: 'it otherwise', isRead: true }],
      folders: [],
      watch: watchContexts([], { rootPath, builderFolder: folder, emit: () => undefined }),
      mounts: watchMounts([], [], { rootPath, known: [], emit: () => undefined }),
      step: () => undefined,
      verifySeal,
      emit: () => undefined,
    };
    const never = async (): Promise<never> => await Promise.reject(new BuilderError('ERR_INTERNAL', 'not expected'));
    const ports: BuildPorts = {
      registry: {
        pullImage: never,
        findImage: never,
        resolve: never,
        pushLayer: never,
        pushGrowing: never,
        download: never,
        exchange: never,
        openSource: never,
        findOwn: never,
        listTags: never,
        deleteImage: never,
        openSink: () => {
          throw new BuilderError('ERR_INTERNAL', 'not expected');
        },
        checkLogin: async () => await Promise.resolve(),
        checkPush: async () => await Promise.resolve(),
        pushImage: async () => {
          pushed();
          return await Promise.resolve([]);
        },
        close: async () => await Promise.resolve(),
      },
      download: never,
      resolveImage: never,
      context: { files: diskView(bytesFromText(folder)), label: 'context', keepsOwners: false },
      namedFolders: new Map(),
      launch: guardLaunch(launch, guard),
      verifySeal,
      secrets: new Map(),
      ssh: new Map(),
      protectedPaths: [],
      now: () => 0,
      emit: () => undefined,
      signal,
    };
    const text = 'FROM scratch\nRUN ["one"]\nRUN ["two"]\n';
    return await buildImage(
      parseDockerfile(Buffer.from(text), 'Dockerfile'),
      { ...request, builderFolder: join(folder, 'own'), rootPath },
      ports,
    );
  };

  test('the seal is looked at after every RUN and once more before the push, and secrets are away meanwhile', async () => {
    const story: string[] = [];
    const launch = async (): Promise<LaunchResult> => {
      story.push(existsSync(join(folder, 'token')) ? 'RUN sees the token' : 'RUN');
      return await Promise.resolve({ exitCode: 0 });
    };
    await build(
      launch,
      () => void story.push('seal'),
      () => void story.push('push'),
    );
    assert.deepEqual(story, ['RUN', 'seal', 'RUN', 'seal', 'seal', 'push']);
    assert.equal(readFileSync(join(folder, 'token'), 'utf8'), 'secret');
  });

  test('a file with secrets is only removed where it is lost with us anyway', () => {
    const file = realpathSync(join(folder, 'token'));
    const table = (line: string): readonly Mount[] => [
      ...parseMounts(bytesFromText('1 1 0:1 / / rw - overlay none rw')),
      ...parseMounts(bytesFromText(line)),
    ];
    const mounted = `2 1 0:2 / ${realpathSync(folder)} rw - ext4 /dev/x rw`;
    assert.equal(isForUsToRemove(file, table('2 1 0:2 / /elsewhere rw - ext4 /dev/x rw')), true, "the container's own root");
    assert.equal(isForUsToRemove(file, table(mounted)), false, 'a folder of somebody else');
    assert.equal(isForUsToRemove(join(folder, 'absent'), table(mounted)), true, 'nothing there');
  });
});
