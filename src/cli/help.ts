// The text of `--help`, made from the table of flags.
import { type EmptyValue, emptyValueOf, type FlagSpec } from './flags.ts';

/** The text of `--help`. */
export function helpText(program: string, table: readonly FlagSpec[]): string {
  const shown = table.filter((spec) => spec.about !== '');
  const left = (spec: FlagSpec): string => {
    const short = spec.short === undefined ? '    ' : `-${spec.short}, `;
    return `  ${short}--${spec.name}${spec.kind === 'boolean' ? '' : ` ${spec.value ?? 'VALUE'}`}`;
  };
  const width = Math.min(46, Math.max(...shown.map((spec) => left(spec).length)) + 2);
  const lines = shown.map((spec) => {
    const start = left(spec);
    return start.length + 2 > width ? `${start}\n${' '.repeat(width)}${spec.about}` : `${start.padEnd(width)}${spec.about}`;
  });
  return [
    `Usage: ${program} [build] [flags]          build an image from a Dockerfile`,
    `       ${program} check [flags]            check a Dockerfile without building it`,
    `       ${program} version`,
    '',
    'Flags:',
    ...lines,
    '',
    ...describeEmpty(shown),
    '',
    "Other flags of kaniko's executor are accepted where they change nothing, and refused by name where they would.",
    '',
  ].join('\n');
}

/** Most empty values say nothing, and these do. */
function describeEmpty(shown: readonly FlagSpec[]): readonly string[] {
  const names = (meaning: EmptyValue): string =>
    shown
      .filter((spec) => spec.kind !== 'boolean' && emptyValueOf(spec) === meaning)
      .map((spec) => `--${spec.name}`)
      .join(', ');
  return [
    'An empty value (--target "$STAGE" of a variable that is not set) is as good as no flag.',
    `It is an empty list for ${names('none')}, and a mistake for ${names('refused')}.`,
  ];
}
