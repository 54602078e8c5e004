// Text from strangers, made fit for a terminal and a log.

/** What is left of a line that was drawn over itself by carriage returns, as progress bars are: its last state. */
export function lastState(line: string): string {
  return line.split('\r').findLast((state) => state !== '') ?? '';
}

/** Without control characters, except colours: what a RUN or a registry says can't move the cursor or forge lines of ours. */
export function harmless(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what this is about
  return text.replace(/\u001b\[[0-9;]*m|[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, (found) => (found.length > 1 ? found : ''));
}

/** Without colours as well. */
export function colourless(text: string): string {
  // oxlint-disable-next-line no-control-regex -- as above
  return text.replace(/\u001b\[[0-9;]*m/g, '');
}

/** At most so many characters, the last one `…` where something was cut. */
export function shortened(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, Math.max(0, most - 1))}…`;
}
