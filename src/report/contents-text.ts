// An image's layers as a tree of folders with their sizes, and its waste, in lines of text.
import type { ImageContents, LayerContents } from '../events.ts';
import { harmless, shortened } from './text.ts';
import { formatBytes, formatCount } from './units.ts';
import { findWaste, instructionOf, sumWaste } from './waste.ts';

/** One node of a layer's tree: its path's last name, what it weighs, and what is in it. */
export interface SizeNode {
  readonly name: string;
  readonly bytes: number;
  readonly files: number;
  readonly parts: readonly SizeNode[];
  /** What in it is too small to be told one by one. */
  readonly restBytes: number;
  readonly restFiles: number;
}

/** The tree that a layer's list of folders stands for. `depth` is how many folders deep. */
export function sizeTree({ folders, files, bytes }: Pick<LayerContents, 'folders' | 'files' | 'bytes'>, depth: number): SizeNode {
  let position = 0;
  const read = (path: string, own: { readonly files: number; readonly bytes: number }, level: number): SizeNode => {
    const parts: SizeNode[] = [];
    for (let next = folders[position]; next?.path.startsWith(path) === true; next = folders[position]) {
      position++;
      const part = next.path.endsWith('/') ? read(next.path, next, level + 1) : leaf(next.path.slice(path.length), next);
      parts.push({ ...part, name: next.path.slice(path.length) });
    }
    const shown = level < depth ? parts : [];
    const told = { bytes: shown.reduce((sum, part) => sum + part.bytes, 0), files: shown.reduce((sum, part) => sum + part.files, 0) };
    return { name: path, ...sizesOf(own), parts: shown, restBytes: own.bytes - told.bytes, restFiles: own.files - told.files };
  };
  return read('', { files, bytes }, 0);
}

function sizesOf({ bytes, files }: { readonly bytes: number; readonly files: number }): { readonly bytes: number; readonly files: number } {
  return { bytes, files };
}

function leaf(name: string, own: { readonly bytes: number; readonly files: number }): SizeNode {
  return { name, ...sizesOf(own), parts: [], restBytes: 0, restFiles: 0 };
}

/** Each layer with its instruction, then its folders, the largest first. */
export function contentsLines(
  contents: ImageContents,
  { depth, columns }: { readonly depth: number; readonly columns: number },
): readonly string[] {
  return contents.layers.flatMap(({ digest, sizeBytes, createdBy, contents: held }, number) => {
    const base = number < contents.baseLayers ? ' (base)' : '';
    const size = held === undefined ? 'not read' : `${formatBytes(held.bytes)} in ${formatCount(held.files, 'file')}`;
    const head = `layer ${number + 1}${base}  ${digest.slice(7, 19)}  ${formatBytes(sizeBytes)} → ${size}`;
    const made = `  ${shortened(harmless(instructionOf(createdBy)), Math.max(20, columns - 2))}`;
    return [head, made, ...(held === undefined ? [] : branchLines(sizeTree(held, depth), ''))];
  });
}

function branchLines({ parts, restBytes, restFiles }: SizeNode, indent: string): readonly string[] {
  const rest =
    restFiles > 0 && parts.length > 0 ? [{ name: `… ${formatCount(restFiles, 'file')}`, bytes: restBytes, node: undefined }] : [];
  const rows = [...parts.map((node) => ({ name: harmless(node.name), bytes: node.bytes, node })), ...rest];
  return rows.flatMap(({ name, bytes, node }, number) => {
    const isLast = number === rows.length - 1;
    const line = `${formatBytes(bytes).padStart(9)}  ${indent}${isLast ? '└─' : '├─'} ${name}`;
    return [line, ...(node === undefined ? [] : branchLines(node, `${indent}${isLast ? '   ' : '│  '}`))];
  });
}

/** Efficiency, sums, and what to do about the waste. */
export function wasteLines(contents: ImageContents): readonly string[] {
  const { efficiency, wastedBytes, userWastedBytes, userBytes } = sumWaste(contents);
  const share = userBytes === 0 ? 0 : userWastedBytes / userBytes;
  const unread = contents.layers.filter((layer) => layer.contents === undefined).length;
  const findings = findWaste(contents, (layer) => ({ text: instructionOf(contents.layers[layer]?.createdBy ?? '') }));
  return [
    `efficiency ${(efficiency * 100).toFixed(1)} %, ${formatBytes(wastedBytes)} wasted, of that ${formatBytes(userWastedBytes)} above the base (${(share * 100).toFixed(1)} % of what is there)`,
    ...(unread === 0 ? [] : [`${formatCount(unread, 'layer')} not read and not counted`]),
    ...findings.flatMap(({ bytes, what, fix }) => [`${formatBytes(bytes).padStart(9)}  ${harmless(what)}`, `           try: ${fix}`]),
  ];
}
