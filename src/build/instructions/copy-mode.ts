// `--chmod` of COPY and ADD: an octal number, or chmod(1)'s symbolic words with a umask of 0.
import { BuilderError } from '../../errors.ts';

/** A parsed `--chmod`. */
export interface ModeChange {
  /** The mode that created parents get too; undefined for a symbolic change. */
  readonly octal?: number;
  /** The permission bits (07777) that come out of those of a source. */
  readonly apply: (mode: number, isDirectory: boolean) => number;
}

type Step = (mode: number, isDirectory: boolean) => number;

const classBits: Readonly<Record<string, number>> = { u: 0o4700, g: 0o2070, o: 0o1007, a: 0o7777 };
const shifts: Readonly<Record<string, number>> = { u: 6, g: 3, o: 0 };

/** Reads `755`, `0644`, `u=rwX,go=rX`, `+x`, `g=u`. @throws BuilderError ERR_DOCKERFILE naming the value */
export function parseModeChange(text: string): ModeChange {
  if (/^[0-7]+$/.test(text)) {
    const octal = Number.parseInt(text, 8);
    if (octal > 0o7777) throw badMode(text);
    return { octal, apply: () => octal };
  }
  const steps = text.split(',').flatMap((clause) => parseClause(clause, text));
  return { apply: (mode, isDirectory) => steps.reduce((bits, step) => step(bits, isDirectory), mode & 0o7777) };
}

function parseClause(clause: string, text: string): Step[] {
  const match = /^([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)$/.exec(clause);
  if (match === null) throw badMode(text);
  const who = match[1] === '' || match[1] === undefined ? 'a' : match[1];
  const affected = who.split('').reduce((bits, each) => bits | (classBits[each] ?? 0), 0);
  return [...(match[2] ?? '').matchAll(/([-+=])([^-+=]*)/g)].map(([, operator = '', permissions = '']) =>
    parseStep(operator, permissions, affected),
  );
}

function parseStep(operator: string, permissions: string, affected: number): Step {
  return (mode, isDirectory) => {
    const wanted = wantedBits(permissions, mode, isDirectory) & affected;
    if (operator === '+') return mode | wanted;
    if (operator === '-') return mode & ~wanted;
    // As GNU chmod: `=` leaves set-user-ID and set-group-ID of a directory alone.
    const cleared = isDirectory ? affected & ~0o6000 : affected;
    return (mode & ~cleared) | wanted;
  };
}

function wantedBits(permissions: string, mode: number, isDirectory: boolean): number {
  const copied = shifts[permissions];
  if (copied !== undefined) return ((mode >> copied) & 7) * 0o111;
  let bits = 0;
  for (const permission of permissions) {
    if (permission === 'r') bits |= 0o444;
    if (permission === 'w') bits |= 0o222;
    if (permission === 'x' || (permission === 'X' && (isDirectory || (mode & 0o111) !== 0))) bits |= 0o111;
    if (permission === 's') bits |= 0o6000;
    if (permission === 't') bits |= 0o1000;
  }
  return bits;
}

function badMode(text: string): BuilderError {
  const message = `Cannot apply --chmod='${text}': it is neither an octal mode from 0 to 07777 nor a symbolic one`;
  return new BuilderError('ERR_DOCKERFILE', message, { hint: 'For example 755, 0644, u=rwX,go=rX or +x.' });
}
