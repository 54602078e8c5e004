// The first process inside: builds the world of the plan, changes into it, gives up the powers that this took, and becomes the
// builder. It runs from the host's files itself; nothing of it is left after the last line.
import { closeSync, readFileSync, writeSync } from 'node:fs';
import { messageOf } from '../errors.ts';
import { Capability, boundCapabilities } from '../linux/capabilities.ts';
import { holdInvocation, invocationOption } from '../linux/invocation.ts';
import { call } from '../linux/libc.ts';
import { sandboxVariable } from './detect.ts';
import { changeRoot } from './mount.ts';
import { answerDescriptor, firstHeldDescriptor, planDescriptor, type EnterAnswer, type SandboxPlan } from './plan.ts';
import { buildWorld } from './container-root.ts';

// What a container runtime leaves to root: after this nothing inside can mount, trace the outside or change the machine.
const containerCapabilities = new Set<number>(Object.values(Capability).filter((number) => number !== Capability.sysAdmin));

const setDescriptorFlags = 2; // F_SETFD

function enter(): void {
  const plan = JSON.parse(readFileSync(planDescriptor, 'utf8')) as SandboxPlan; // written by the launcher of the same version
  closeSync(planDescriptor);
  buildWorld(plan);
  changeRoot(plan.rootFolder);
  boundCapabilities(containerCapabilities);
  const [program] = plan.command;
  if (program === undefined || process.execve === undefined) throw new TypeError('there is nothing to become');
  const invocation = { ...plan.invocation, env: { ...plan.invocation.env, [sandboxVariable]: '1' } };
  const command = [...plan.command, `${invocationOption}${holdInvocation(invocation)}`];
  // Node lets go of what it was started with when it becomes another program; the builder lets no command have these.
  for (let held = 0; held < plan.heldFolders; held++) call('fcntl', [firstHeldDescriptor + held, setDescriptorFlags, 0]);
  answer({ kind: 'entered' });
  process.execve(program, command, { PATH: '/usr/local/bin:/kaniko', HOME: '/root' });
}

function answer(value: EnterAnswer): void {
  writeSync(answerDescriptor, `${JSON.stringify(value)}\n`);
}

try {
  enter();
} catch (error) {
  answer({ kind: 'failed', message: messageOf(error) });
  process.exitCode = 1;
}
