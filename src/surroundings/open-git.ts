// Repositories of one build: its settings, over its connections.
import { join } from 'node:path';
import type { Materials } from '../attest/materials.ts';
import type { Emit } from '../events.ts';
import type { RegistryClient } from '../registry/client.ts';
import { type Names, lookupWith } from '../registry/names.ts';
import { type GitAccess, prepareGit, readFlag } from './git-access.ts';
import type { BuildRequest } from '../build/request.ts';

export interface GitSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly names: Names;
  readonly materials?: Materials | undefined;
  readonly emit: Emit;
  readonly client: RegistryClient;
  /** Clients that believe any certificate, for `--git insecure-skip-tls`. */
  readonly openUnverified: () => { readonly pull: RegistryClient; readonly push: RegistryClient };
}

/** Close it when the build is over. @throws ERR_USAGE for keys that can't be read and settings that can't be */
export function openGit(
  request: Pick<BuildRequest, 'git' | 'buildArgs' | 'ssh' | 'builderFolder'>,
  secrets: ReadonlyMap<string, Buffer>,
  { env, names, materials, emit, client, openUnverified }: GitSurroundings,
): GitAccess {
  const own = readFlag(request.git, 'insecure-skip-tls', false) ? openUnverified() : undefined;
  const { exchange } = own?.pull ?? client;
  const { buildArgs, ssh } = request;
  const privateFolder = join(request.builderFolder, 'contexts');
  const access = prepareGit({ env, buildArgs, secrets, ssh, exchange, lookup: lookupWith(names), privateFolder, materials, emit });
  return {
    ...access,
    close: async () => {
      await access.close();
      await own?.pull.close();
      await own?.push.close();
    },
  };
}
