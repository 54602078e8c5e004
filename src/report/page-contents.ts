// The image in the page of a build: its layers as trees that fold without a script, and its waste.
import type { ImageContents } from '../events.ts';
import type { BuildRecord } from './build-record.ts';
import { type SizeNode, sizeTree } from './contents-text.ts';
import { html, percent } from './html.ts';
import { shortened } from './text.ts';
import { formatBytes, formatCount } from './units.ts';
import { type LayerMaker, findWaste, instructionOf, sumWaste } from './waste.ts';

const depth = 7;

/** One section for each platform, and its waste. */
export function contentsSections({ contents, steps, finished }: BuildRecord): readonly string[] {
  return contents.map((each) => {
    const makers = makersOf(each, steps);
    const name = contents.length === 1 ? '' : ` for ${html(each.platform)}`;
    const howFar = finished?.failure === undefined ? '' : ' as far as the build got';
    return `<section><h2>Layers${name}${howFar}</h2>\n${layerTrees(each, makers)}\n${waste(each, makers)}</section>`;
  });
}

/** The steps that made the layers, by their digests; two steps may make the same one. */
function makersOf({ layers, baseLayers }: ImageContents, steps: BuildRecord['steps']): readonly LayerMaker[] {
  const left = [...steps];
  return layers.map(({ digest, createdBy }, number) => {
    const at = number < baseLayers ? -1 : left.findIndex(({ end }) => (end?.layer ?? end?.recalled)?.digest === digest);
    const [found] = at === -1 ? [] : left.splice(at, 1);
    return found === undefined ? { text: instructionOf(createdBy) } : { text: found.step.text, line: found.step.range.start.line };
  });
}

function layerTrees(contents: ImageContents, makers: readonly LayerMaker[]): string {
  const most = contents.layers.reduce((high, { sizeBytes }) => Math.max(high, sizeBytes), 1);
  const rows = contents.layers.map(({ digest, sizeBytes, contents: held }, number) => {
    const maker = makers[number] ?? { text: '' };
    const place = number < contents.baseLayers ? 'base' : maker.line === undefined ? '' : `line ${maker.line}`;
    const size = held === undefined ? 'not read here' : `${formatBytes(held.bytes)} in ${formatCount(held.files, 'file')}`;
    const head = `<span class="head"><small>${html(`${number + 1} ${place}`.trim())}</small><code title="${html(digest)}">${html(shortened(maker.text, 120))}</code><span class="bar"><i class="running" style="width:${percent(sizeBytes / most)}"></i></span><span class="size">${formatBytes(sizeBytes)}</span><small>${size}</small></span>`;
    if (held === undefined || held.files === 0) return `<div class="layer">${head}</div>`;
    const isOpen = number >= contents.baseLayers && sizeBytes >= most / 4;
    return `<details class="layer"${isOpen ? ' open' : ''}><summary>${head}</summary>${branch(sizeTree(held, depth))}</details>`;
  });
  return rows.join('\n');
}

function branch({ bytes, parts, restBytes, restFiles }: SizeNode): string {
  const rest =
    restFiles > 0 && parts.length > 0
      ? `<li><span class="size">${formatBytes(restBytes)}</span> <small>… ${formatCount(restFiles, 'file')}</small></li>`
      : '';
  const items = parts.map((node) => {
    const line = `<span class="size">${formatBytes(node.bytes)}</span> <code>${html(node.name)}</code>${node.name.endsWith('/') ? ` <small>${formatCount(node.files, 'file')}</small>` : ''}`;
    return node.parts.length === 0
      ? `<li>${line}</li>`
      : `<li><details${node.bytes * 2 >= bytes ? ' open' : ''}><summary>${line}</summary>${branch(node)}</details></li>`;
  });
  return `<ul class="tree">${items.join('')}${rest}</ul>`;
}

function waste(contents: ImageContents, makers: readonly LayerMaker[]): string {
  const { efficiency, wastedBytes, userWastedBytes } = sumWaste(contents);
  const findings = findWaste(contents, (layer) => makers[layer] ?? { text: '' });
  const sums = `${(efficiency * 100).toFixed(1)} % efficient · ${formatBytes(wastedBytes)} wasted, of that ${formatBytes(userWastedBytes)} above the base`;
  const rows = findings.map(
    ({ bytes, what, fix, line }) =>
      `<tr><td>${formatBytes(bytes)}</td><td>${html(what)}<br><small>${html(fix)}</small></td><td>${line === undefined ? '' : `line ${line}`}</td></tr>`,
  );
  const table =
    rows.length === 0
      ? ''
      : `<table class="waste"><thead><tr><th>size</th><th>what, and what to do</th><th></th></tr></thead><tbody>\n${rows.join('\n')}\n</tbody></table>`;
  return `<h2>Waste</h2><p class="soft">${sums}</p>${table}`;
}
