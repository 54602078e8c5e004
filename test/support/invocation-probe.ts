// A program for tests: `first …` goes on as itself without `first`, anything else tells what the second stage sees. It gets the signal
// that would open a debugger first.
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { becomeBuilder, receiveInvocation } from '../../src/linux/invocation.ts';
import { isProtected } from '../../src/linux/process.ts';

const [, script = '', first, ...rest] = process.argv;
if (first === 'first') {
  becomeBuilder({ argv: rest, env: { ...process.env, FIRST_PID: String(process.pid) } }, { node: process.execPath, main: script });
}
const { argv, env, isSealed } = receiveInvocation();
if (isSealed) {
  process.kill(process.pid, 'SIGUSR1');
  await setTimeout(50);
}
const open = readdirSync('/proc/self/fd').map((fd) => {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return ''; // the descriptor of the listing itself
  }
});
const answer = {
  argv,
  canary: env['CANARY'],
  isSealed,
  environ: readFileSync('/proc/self/environ', 'latin1'),
  own: { ...process.env },
  cmdline: readFileSync('/proc/self/cmdline', 'latin1'),
  dumpable: !isProtected(),
  leftOpen: open.some((target) => target.includes('yadokari-invocation')),
  samePid: env['FIRST_PID'] === String(process.pid),
};
process.stdout.write(JSON.stringify(answer));
