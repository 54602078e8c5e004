// Signal names of Linux, as STOPSIGNAL takes them.
import { constants } from 'node:os';

const realtimeMinimum = 34;
const realtimeMaximum = 64;

/** The number of `SIGTERM`, `term`, `15` or `SIGRTMIN+3`; undefined for what is no signal. */
export function parseSignal(text: string): number | undefined {
  if (/^\d+$/.test(text)) {
    const number = Number(text);
    return number >= 1 && number <= realtimeMaximum ? number : undefined;
  }
  const name = text.toUpperCase().replace(/^SIG/, '');
  const realtime = /^RT(MIN(?:\+(\d+))?|MAX(?:-(\d+))?)$/.exec(name);
  if (realtime !== null) {
    const number = name.startsWith('RTMIN') ? realtimeMinimum + Number(realtime[2] ?? 0) : realtimeMaximum - Number(realtime[3] ?? 0);
    return number >= realtimeMinimum && number <= realtimeMaximum ? number : undefined;
  }
  return new Map<string, number>(Object.entries(constants.signals)).get(`SIG${name}`);
}
