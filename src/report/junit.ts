// A build as JUnit XML, which most CI systems show: a suite for each stage, a case for each step.
import type { BuildRecord, StepRecord } from './build-record.ts';
import { describeEnd } from './describe.ts';
import { colourless, harmless } from './text.ts';

/** The whole file. A failure outside of any step is a case of its own. */
export function junitReport(record: BuildRecord): string {
  const { finished, failedStep, started } = record;
  const failure = finished?.failure;
  const suites = record.stages.map(({ name, base, steps }) => {
    const cases = steps.map((each) => testCase(each, each === failedStep ? failure : undefined, name || base));
    return suite(name || base, cases, { failures: failedStep !== undefined && steps.includes(failedStep) ? 1 : 0, ms: timeOf(steps) });
  });
  if (failure !== undefined && failedStep === undefined) {
    const file = started === undefined ? '' : ` file="${attribute(started.dockerfile)}"`;
    suites.push(
      suite('build', [`<testcase classname="build" name="build"${file} time="0">${failureElement(failure)}</testcase>`], {
        failures: 1,
        ms: 0,
      }),
    );
  }
  const tests = record.steps.length + (failure !== undefined && failedStep === undefined ? 1 : 0);
  const head = `<testsuites name="yadokari" tests="${tests}" failures="${failure === undefined ? 0 : 1}" time="${seconds(finished?.durationMs ?? 0)}">`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n${head}\n${suites.join('')}</testsuites>\n`;
}

function suite(name: string, cases: readonly string[], { failures, ms }: { readonly failures: number; readonly ms: number }): string {
  const attributes = `name="${attribute(name)}" tests="${cases.length}" failures="${failures}" errors="0" skipped="0" time="${seconds(ms)}"`;
  return `  <testsuite ${attributes}>\n${cases.map((each) => `    ${each}\n`).join('')}  </testsuite>\n`;
}

function testCase({ step, end, output, outputLines }: StepRecord, failure: string | undefined, stage: string): string {
  const place = `file="${attribute(step.dockerfile)}" line="${step.range.start.line}"`;
  const name = `${step.number}/${step.total} ${step.text}`;
  const left = outputLines > output.length ? [`(${outputLines - output.length} lines before these)`] : [];
  const said = [...(end === undefined ? [] : [describeEnd(end)]), ...left, ...output].join('\n');
  const out = said === '' ? '' : `<system-out>${text(said)}</system-out>`;
  return `<testcase classname="${attribute(stage)}" name="${attribute(name)}" ${place} time="${seconds(end?.durationMs ?? 0)}">${failure === undefined ? '' : failureElement(failure)}${out}</testcase>`;
}

function failureElement(message: string): string {
  return `<failure message="${attribute(message)}">${text(message)}</failure>`;
}

function timeOf(steps: readonly StepRecord[]): number {
  return steps.reduce((sum, { end }) => sum + (end?.durationMs ?? 0), 0);
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3);
}

/** What XML 1.0 has no place for is left out, escaped or not. */
function text(value: string): string {
  return colourless(harmless(value))
    .toWellFormed()
    .replace(/[\ufffe\uffff]/g, '')
    .replace(/[&<>"']/g, (sign) => `&#${sign.codePointAt(0)};`);
}

function attribute(value: string): string {
  return text(value).replace(/[\n\t]/g, (sign) => `&#${sign.codePointAt(0)};`);
}
