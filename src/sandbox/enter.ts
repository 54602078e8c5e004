// The first process inside: builds the world of the plan, changes into it, gives up the powers that this took, and becomes the
// builder. It runs from the host's files itself; nothing of it is left after the last line.
import { closeSync, readFileSync, writeSync } from 'node:fs';
import { Capability, boundCapabilities } from '../linux/capabilities.ts';
import { holdInvocation, invocationOption } from '../linux/invocation.ts';
import { sandboxVariable } from './detect.ts';
import { changeRoot } from './mount.ts';
import { answerDescriptor, planDescriptor, type EnterAnswer, type SandboxPlan } from './plan.ts';
import { buildWorld } from './container-root.ts';

// What a container runtime leaves to root: after this nothing inside can mount, trace the outside or change the machine.
const containerCapabilities = new Set<number>(Object.values(Capability).filter((number) => number !== Capability.sysAdmin));

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
  answer({ kind: 'entered' });
  process.execve(program, command, { PATH: '/usr/local/bin:/kaniko', HOME: '/root' });
}

function answer(value: EnterAnswer): void {
  writeSync(answerDescriptor, `${JSON.stringify(value)}\n`);
}

try {
  enter();
} catch (error) {
  answer({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
  process.exitCode = 1;
}
