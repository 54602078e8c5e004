// What a pod's securityContext takes away that the builder can't do without, told as the line of the manifest to change.
import { accessSync, constants } from 'node:fs';
import { BuilderError, CommandError, systemCode } from '../../errors.ts';
import { Capability, hasCapability } from '../../linux/capabilities.ts';
import { idHintVariable } from '../../sandbox/ids.ts';
import type { Environment } from '../settings.ts';

/** What this process may do here. */
export interface Powers {
  readonly userId: number;
  readonly isRootReadOnly: boolean;
  /** Those of the seven capabilities that it has not, by their names in a manifest. */
  readonly missing: readonly string[];
}

const needed: Readonly<Record<string, number>> = {
  CHOWN: Capability.chown,
  DAC_OVERRIDE: Capability.dacOverride,
  FOWNER: Capability.fowner,
  FSETID: Capability.fsetid,
  SETUID: Capability.setuid,
  SETGID: Capability.setgid,
  SETFCAP: Capability.setfcap,
};

/** The powers of this very process. */
export function readPowers(): Powers {
  const missing = Object.entries(needed).flatMap(([name, number]) => (hasCapability(number) ? [] : [name]));
  return { userId: process.geteuid?.() ?? 0, isRootReadOnly: isReadOnlyRoot(), missing };
}

/** @throws ERR_UNSUPPORTED before anything was touched, where no image at all can be built */
export function refuseUnfitPod({ userId, isRootReadOnly }: Powers): void {
  if (userId !== 0) {
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot build as user ${userId}: the files of an image belong to root and to many others`, {
      hint: "securityContext.runAsUser: 0 (without runAsNonRoot) in the pod's manifest; hostUsers: false makes that root nobody on the node",
    });
  }
  if (isRootReadOnly) {
    throw new BuilderError('ERR_UNSUPPORTED', 'Cannot build: the root file system is read-only, and images are unpacked onto it', {
      hint: "securityContext.readOnlyRootFilesystem: false in the pod's manifest",
    });
  }
}

/** What to try where the system refused something for lack of a capability; undefined for every other failure. */
export function capabilityHint(failure: unknown, { missing }: Powers): string | undefined {
  if (missing.length === 0) return undefined;
  const line = `securityContext.capabilities.add: [${missing.join(', ')}] in the pod's manifest`;
  if (failure instanceof CommandError) return `${line}, where the command was refused something: they are missing here`;
  return isRefusal(failure, ['EPERM', 'EACCES']) ? `${line}; they are missing here` : undefined;
}

/** The same in a sandbox that has no ids but its user's own; it goes before any other hint. */
export function idHint(failure: unknown, env: Environment): string | undefined {
  const hint = env[idHintVariable];
  if (hint === undefined) return undefined;
  if (failure instanceof CommandError) return `${hint}; where the command was refused a user or an owner: there are no others here`;
  const isOfIds = isRefusal(failure, ['EPERM', 'EINVAL']) || (failure instanceof Error && /: E(?:PERM|INVAL):/.test(failure.message));
  return isOfIds ? hint : undefined;
}

function isRefusal(failure: unknown, codes: readonly string[]): boolean {
  for (let error = failure; error instanceof Error; error = error.cause) if (codes.includes(systemCode(error) ?? '')) return true;
  return false;
}

function isReadOnlyRoot(): boolean {
  try {
    accessSync('/', constants.W_OK);
    return false;
  } catch (error) {
    return systemCode(error) === 'EROFS';
  }
}
