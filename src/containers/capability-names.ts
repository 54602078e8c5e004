// Capabilities by their names, for `--cap-add` and `--cap-drop`. capabilities(7), linux/capability.h.
import { BuilderError } from '../errors.ts';
import { Capability } from '../linux/capabilities.ts';

/** By number, without `CAP_`. */
const names =
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'.split(
    ' ',
  );

/** What a container runtime leaves to root: inside nothing can mount, trace the outside or change the machine. */
const usual: ReadonlySet<number> = new Set(Object.values(Capability).filter((number) => number !== Capability.sysAdmin));

/** Numbers of what root keeps: the usual ones, without those dropped, with those added; `all` stands for all. @throws ERR_USAGE */
export function chosenCapabilities(added: readonly string[], dropped: readonly string[]): readonly number[] {
  const drops = dropped.flatMap((name) => numbersOf('--cap-drop', name));
  const adds = added.flatMap((name) => numbersOf('--cap-add', name));
  return [...new Set([...[...usual].filter((number) => !drops.includes(number)), ...adds])];
}

function numbersOf(flag: string, word: string): readonly number[] {
  const name = word.toUpperCase().replace(/^CAP_/, '');
  if (name === 'ALL') return names.map((_, number) => number);
  const number = names.indexOf(name);
  if (number !== -1) return [number];
  throw new BuilderError('ERR_USAGE', `Cannot use ${flag} ${word}: there is no capability of that name`);
}
