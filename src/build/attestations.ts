// What a build states about its image: how it came to be.
import { basename } from 'node:path';
import type { Statement } from '../attest/statement.ts';
import { provenance } from '../attest/provenance.ts';
import type { Dockerfile } from '../dockerfile/instruction.ts';
import { hideCredentials } from '../errors.ts';
import { given } from '../given.ts';
import { formatPlatform } from '../oci/platform.ts';
import { type BuildPlan, mayRun } from './plan.ts';
import type { BuildPorts } from './ports.ts';
import type { BuildRequest } from './request.ts';

interface BuildStory {
  readonly dockerfile: Dockerfile;
  readonly request: BuildRequest;
  readonly plan: BuildPlan;
  readonly ports: Pick<BuildPorts, 'materials' | 'namedFolders' | 'now'>;
  /** Where it is there, the same build gives the same bytes, and says nothing of the clock. */
  readonly epoch?: number;
  readonly run: { readonly id: string; readonly startedMs: number };
}

/** To be called when all that the image is made of has been fetched. */
export function statementsOf({ dockerfile, request, plan, ports, epoch, run }: BuildStory): readonly Statement[] {
  const { provenance: wanted } = request;
  if (wanted === undefined) return [];
  const facts = {
    builderPlatform: formatPlatform(request.buildPlatform),
    ...(epoch === undefined ? { run: { ...run, finishedMs: ports.now() } } : {}),
    dockerfile: { path: shownPath(dockerfile.name), text: hideCredentials(dockerfile.text) },
    ...given({ source: ports.materials?.source }),
    args: argsOf(request),
    secrets: request.secrets.map(({ id }) => id),
    ssh: [...request.ssh.keys()],
    materials: ports.materials?.list() ?? [],
    hasNamedFolders: ports.namedFolders.size > 0,
    isHermetic: !mayRun(plan),
  };
  return [provenance(facts, wanted)];
}

/** Where this machine keeps its files is nobody's business. */
function shownPath(name: string): string {
  return /^(?:\/|\.\.)/.test(name) ? basename(name) : name;
}

/** As BuildKit's frontend is asked. */
function argsOf({ buildArgs, labels, targets, contextSubPath }: BuildRequest): ReadonlyMap<string, string> {
  return new Map([
    ...[...buildArgs].map(([name, value]) => [`build-arg:${name}`, value] as const),
    ...[...labels].map(([name, value]) => [`label:${name}`, value] as const),
    ...(contextSubPath === undefined ? [] : [['contextsubdir', contextSubPath] as const]),
    ...(targets.length === 0 ? [] : [['target', targets.join(',')] as const]),
  ]);
}
