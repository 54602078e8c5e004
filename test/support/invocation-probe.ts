// A program for tests: `first …` becomes itself without `first`, anything else tells what the second stage sees.
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { becomeBuilder, receiveInvocation } from '../../src/linux/invocation.ts';
import { isProtected } from '../../src/linux/process.ts';

const [, script = '', first, ...rest] = process.argv;
if (first === 'first') {
  becomeBuilder({ argv: rest, env: { ...process.env, FIRST_PID: String(process.pid) } }, { node: process.execPath, main: script });
}
const { argv, env, isSealed } = receiveInvocation();
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
  cmdline: readFileSync('/proc/self/cmdline', 'latin1'),
  dumpable: !isProtected(),
  leftOpen: open.some((target) => target.includes('yadokari-invocation')),
  samePid: env['FIRST_PID'] === String(process.pid),
};
process.stdout.write(JSON.stringify(answer));
