// Text from strangers as text in a page.
import { colourless, harmless } from './text.ts';

/** The text with nothing in it that a browser would obey. */
export function html(text: string): string {
  return colourless(harmless(text))
    .toWellFormed()
    .replace(/[&<>"']/g, (sign) => `&#${sign.codePointAt(0)};`);
}

/** `12.34%` of a part of 1. */
export function percent(part: number): string {
  return `${(part * 100).toFixed(2)}%`;
}
