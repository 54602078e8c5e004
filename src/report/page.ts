// A build as one HTML page: no script, nothing from elsewhere. What strangers wrote is text in it.
import type { BuildRecord, StepRecord } from './build-record.ts';
import { stepPlace } from './describe.ts';
import { html, percent } from './html.ts';
import { contentsSections } from './page-contents.ts';
import { pageStyle } from './page-style.ts';
import { shortened } from './text.ts';
import type { Lane, Timeline } from './timeline.ts';
import { formatBytes, formatDuration } from './units.ts';

const mostLanes = 1000;

export function buildPage(record: BuildRecord, timeline: Timeline): string {
  const { started, finished } = record;
  const name = started?.destinations[0] ?? started?.dockerfile ?? 'build';
  const story = [summary(record), lanes(record, timeline), usage(timeline), costs(record, timeline)];
  const sections = [...story, ...contentsSections(record), warnings(record)];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${html(finished?.failure === undefined ? 'Built' : 'Not built')}: ${html(name)}</title>
<style>${pageStyle}</style>
</head>
<body>
<main>
${sections.filter((each) => each !== '').join('\n')}
</main>
</body>
</html>
`;
}

function summary({ started, finished, failedStep, steps, written }: BuildRecord): string {
  const failure = finished?.failure;
  const recalled = steps.filter(({ end }) => end?.recalled !== undefined).length;
  const facts = [
    finished === undefined ? 'not ended' : formatDuration(finished.durationMs),
    `${steps.length} steps`,
    `${recalled} from the cache`,
    started?.platform ?? '',
  ].filter((fact) => fact !== '');
  const names = written.length > 0 ? written : (started?.destinations ?? []);
  const output = failedStep === undefined || failedStep.output.length === 0 ? '' : `<pre>${html(failedStep.output.join('\n'))}</pre>`;
  return `<header><h1>${failure === undefined ? 'Image built' : 'Image not built'}</h1>
<p>${facts.map(html).join(' · ')}</p>
<ul>${names.map((each) => `<li><code>${html(each)}</code></li>`).join('')}</ul>
${failure === undefined ? '' : `<p class="failure">${html(failure)}</p>`}${output}</header>`;
}

function lanes(record: BuildRecord, timeline: Timeline): string {
  const { from = 0, to } = timeline;
  const total = Math.max(1, to - from);
  const row = (lane: Lane): string => {
    const end = record.steps.find(({ step }) => step.overall.number === lane.step?.overall.number)?.end;
    const bars = lane.spans
      .filter((span) => span.to > span.from)
      .map((span) => {
        const place = `left:${percent((span.from - from) / total)};width:${percent((span.to - span.from) / total)}`;
        return `<i class="${span.phase}" style="${place}" title="${span.phase} ${formatDuration(span.to - span.from)}"></i>`;
      });
    const isFailed = lane.step !== undefined && lane.step.overall.number === record.failedStep?.step.overall.number;
    const size = end?.layer?.sizeBytes ?? end?.recalled?.sizeBytes;
    const marks = [
      isFailed ? '<b class="failed">failed</b>' : '',
      end?.recalled === undefined ? '' : '<b class="cached">cached</b>',
      size === undefined ? '' : formatBytes(size),
    ];
    const place = lane.step === undefined ? '' : `<small>${html(stepPlace(lane.step))}</small> `;
    return `<tr><td>${place}<code>${html(shortened(lane.title, 120))}</code></td><td class="bars"><div>${bars.join('')}</div></td><td>${formatDuration(durationOf(lane))}</td><td>${marks.filter((mark) => mark !== '').join(' ')}</td></tr>`;
  };
  const phases = [...new Set(timeline.lanes.flatMap(({ spans }) => spans.filter((span) => span.to > span.from).map(({ phase }) => phase)))];
  const legend = phases.map((phase) => `<span><i class="${phase}"></i>${phase}</span>`).join('');
  const rows = timeline.lanes.slice(0, mostLanes).map(row).join('\n');
  return `<section><h2>Timeline</h2><p class="legend">${legend}</p>
<table><thead><tr><th>what</th><th>when, in ${formatDuration(total)}</th><th>time</th><th>layer</th></tr></thead><tbody>
${rows}
</tbody></table></section>`;
}

function usage({ from = 0, to, usage: samples }: Timeline): string {
  if (samples.length < 2) return '';
  const rates = samples.slice(1).map((sample, number) => {
    const before = samples[number] ?? sample;
    return { at: sample.at, value: Math.max(0, sample.cpuMs - before.cpuMs) / Math.max(1, sample.at - before.at) };
  });
  const memory = samples.map(({ at, memoryBytes }) => ({ at, value: memoryBytes }));
  const chart = (
    title: string,
    points: readonly { readonly at: number; readonly value: number }[],
    say: (value: number) => string,
  ): string => {
    const most = points.reduce((high, { value }) => Math.max(high, value), 0);
    const x = (at: number): string => (((at - from) / Math.max(1, to - from)) * 1000).toFixed(1);
    const line = points.map(({ at, value }) => `${x(at)},${(100 - (most === 0 ? 0 : value / most) * 96).toFixed(1)}`);
    const area = `${x(points[0]?.at ?? from)},100 ${line.join(' ')} ${x(points.at(-1)?.at ?? to)},100`;
    return `<figure><figcaption>${title}, at most ${say(most)}</figcaption><svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-label="${title}"><polygon points="${area}"/></svg></figure>`;
  };
  return `<section><h2>CPU and memory</h2>${chart('processors', rates, (value) => value.toFixed(1))}${chart('memory', memory, formatBytes)}</section>`;
}

/** The Dockerfile, and what each instruction cost beside its first line. */
function costs({ started, steps }: BuildRecord, timeline: Timeline): string {
  if (started === undefined) return '';
  // A step that failed has no end; it took its time all the same.
  const msOf = ({ step, end }: StepRecord): number =>
    end?.durationMs ?? durationOf(timeline.lanes.find((lane) => lane.step?.overall.number === step.overall.number));
  const most = steps.reduce((high, each) => Math.max(high, msOf(each)), 1);
  const byLine = new Map<number, StepRecord[]>();
  for (const each of steps.filter(({ step }) => step.dockerfile === started.dockerfile)) {
    const { line } = each.step.range.start;
    byLine.set(line, [...(byLine.get(line) ?? []), each]);
  }
  const rows = started.text
    .replace(/\r?\n$/, '')
    .split(/\r?\n/)
    .map((text, index) => {
      const here = byLine.get(index + 1) ?? [];
      const ms = here.reduce((sum, each) => sum + msOf(each), 0);
      const bytes = here.reduce((sum, { end }) => sum + (end?.layer?.sizeBytes ?? end?.recalled?.sizeBytes ?? 0), 0);
      const bar = here.length === 0 ? '' : `<div><i class="running" style="left:0;width:${percent(Math.min(1, ms / most))}"></i></div>`;
      const cells = [here.length === 0 ? '' : formatDuration(ms), bytes === 0 ? '' : formatBytes(bytes)];
      return `<tr><td class="number">${index + 1}</td><td><code>${html(text)}</code></td><td class="bars">${bar}</td><td>${cells.join('</td><td>')}</td></tr>`;
    });
  return `<section><h2>${html(started.dockerfile)}</h2><table><thead><tr><th></th><th>line</th><th></th><th>time</th><th>layer</th></tr></thead><tbody>
${rows.join('\n')}
</tbody></table></section>`;
}

function warnings({ warnings: all }: BuildRecord): string {
  if (all.length === 0) return '';
  const items = all.map(({ message, range }) => `<li>${html(message)}${range === undefined ? '' : ` (line ${range.start.line})`}</li>`);
  return `<section><h2>Warnings</h2><ul>${items.join('')}</ul></section>`;
}

function durationOf(lane: Lane | undefined): number {
  return (lane?.spans.at(-1)?.to ?? 0) - (lane?.spans[0]?.from ?? 0);
}
