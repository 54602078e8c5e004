// `yadokari report`: the page of a build from its events file.
import { createReadStream, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { BuilderError, inWords, orElse, systemCode } from '../../errors.ts';
import { BuildRecord } from '../../report/build-record.ts';
import { parseEvent } from '../../report/event-json.ts';
import { buildPage } from '../../report/page.ts';
import { Timeline } from '../../report/timeline.ts';
import { type CommandInput, onlyOperand } from '../command.ts';

/** Lines that are no events of ours are passed over; a file without any is a mistake. */
export async function runReportCommand({ positionals, settings, stdout, signal }: CommandInput): Promise<void> {
  const path = onlyOperand(positionals, 'make a report', 'events files', 'yadokari report EVENTS -o build.html');
  const record = new BuildRecord();
  const timeline = new Timeline();
  try {
    for await (const line of createInterface({ input: createReadStream(path, { signal }), crlfDelay: Infinity })) {
      const { event, at } = readLine(line) ?? {};
      if (event === undefined || at === undefined) continue;
      record.add(event);
      timeline.add(event, at);
    }
  } catch (error) {
    if (signal.aborted || systemCode(error) === undefined) throw error;
    throw new BuilderError('ERR_USAGE', `Cannot read ${path}: ${systemCode(error)}`, { cause: error });
  }
  if (record.started === undefined && record.finished === undefined)
    throw new BuilderError('ERR_USAGE', `Cannot make a report of ${path}: no event of a build is in it`, {
      hint: 'build with --events-file',
    });
  const page = buildPage(record, timeline);
  const output = settings.text('output');
  if (output === undefined) stdout.write(page);
  else writePage(output, page);
}

function readLine(line: string): { readonly event: ReturnType<typeof parseEvent>; readonly at: number } | undefined {
  try {
    const value: unknown = JSON.parse(line);
    const time = typeof value === 'object' && value !== null && 'time' in value ? Date.parse(String(value.time)) : NaN;
    return Number.isNaN(time) ? undefined : { event: parseEvent(value), at: time };
  } catch {
    return undefined;
  }
}

function writePage(path: string, page: string): void {
  orElse(() => writeFileSync(path, page), inWords('ERR_USAGE', `Cannot write --output ${path}`));
}
