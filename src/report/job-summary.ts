// A build as Markdown, for the page of a job (GitHub's $GITHUB_STEP_SUMMARY), and as variables for the jobs after it.
import { given } from '../given.ts';
import type { BuildRecord, StepRecord } from './build-record.ts';
import { stepPlace } from './describe.ts';
import { colourless, harmless, shortened } from './text.ts';
import { formatBytes, formatDuration } from './units.ts';

/** GitHub takes 1 MiB of all steps of a job together. */
const mostRows = 500;
const mostText = 120;
const mostOutput = 8000;
const mostDockerfile = 64 * 1024;

export function jobSummary(record: BuildRecord): string {
  const { started, finished, failedStep, steps, written, warnings } = record;
  const failure = finished?.failure;
  const took = finished === undefined ? '' : ` in ${formatDuration(finished.durationMs)}`;
  const recalled = steps.filter(({ end }) => end?.recalled !== undefined).length;
  const cached = recalled === 0 ? '' : `, ${recalled} of ${steps.length} steps from the cache`;
  const lines = [
    `### ${failure === undefined ? 'Image built' : 'Image not built'}${took}${cached}`,
    '',
    ...(failure === undefined ? written.map((name) => `- ${code(name)}`) : [`**${escaped(shortened(failure, 1000))}**`]),
    ...(failure === undefined && written.length === 0 && finished?.digest !== undefined ? [`- ${code(finished.digest)}`] : []),
    '',
  ];
  if (failedStep !== undefined && failedStep.output.length > 0) lines.push(pre(failedStep.output.join('\n').slice(-mostOutput)), '');
  if (steps.length > 0)
    lines.push('| | step | time | layer |', '|---|---|---:|---:|', ...steps.slice(0, mostRows).map((each) => row(each, failedStep)), '');
  if (steps.length > mostRows) lines.push(`${steps.length - mostRows} steps more.`, '');
  for (const { message, range } of warnings.slice(0, 50)) {
    lines.push(`- ⚠ ${escaped(shortened(message, 500))}${range === undefined ? '' : ` (line ${range.start.line})`}`);
  }
  if (started !== undefined && started.text.length <= mostDockerfile)
    lines.push(
      '',
      `<details><summary>${escaped(started.dockerfile)} for ${escaped(started.platform)}</summary>`,
      '',
      pre(started.text),
      '',
      '</details>',
    );
  return `${lines.join('\n')}\n\n`;
}

/** What the jobs after this one want to know; nothing of a build that failed. */
export function resultVariables(record: BuildRecord): { readonly digest: string; readonly image?: string } | undefined {
  const { finished, image } = record;
  if (finished?.digest === undefined) return undefined;
  return { digest: finished.digest, ...given({ image }) };
}

function row(each: StepRecord, failed: StepRecord | undefined): string {
  const { step, end } = each;
  const mark = each === failed ? '✘' : end?.recalled === undefined ? '' : 'cached';
  const size = end?.layer?.sizeBytes ?? end?.recalled?.sizeBytes;
  const cells = [
    mark,
    `${stepPlace(step)} ${code(shortened(step.text, mostText))}`,
    end === undefined ? '' : formatDuration(end.durationMs),
  ];
  return `| ${[...cells, size === undefined ? '' : formatBytes(size)].join(' | ')} |`;
}

/** Text that is neither Markdown nor HTML; in one line. */
function escaped(text: string): string {
  return colourless(harmless(text))
    .replace(/[&<>"'|\\`*_[\]#@~$:!-]/g, (sign) => `&#${sign.codePointAt(0)};`)
    .replace(/\s+/g, ' ');
}

function code(text: string): string {
  return `<code>${escaped(text)}</code>`;
}

function pre(text: string): string {
  // An empty line would end the block.
  const lines = colourless(harmless(text)).replace(/[&<>"'`*_[\]@$~\\|-]/g, (sign) => `&#${sign.codePointAt(0)};`);
  return `<pre>${lines.trimEnd().replaceAll('\n', '&#10;')}</pre>`;
}
