// What a hostile RUN tries, under the privileges that containers really have. Titles name the attack.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const probe = fileURLToPath(new URL('../../support/launch-probe.ts', import.meta.url));
const docker = 'chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,net_raw,sys_chroot,mknod,audit_write,setfcap';
const baseline = 'chown,dac_override,fowner,fsetid,setuid,setgid,setfcap';
const canary = 'canary-2c1f';

interface Result {
  readonly outcome: { readonly exitCode?: number; readonly signalName?: string; readonly error?: string };
  readonly lines: readonly string[];
  readonly durationMs: number;
  readonly delivered: readonly boolean[];
  readonly children: readonly string[];
  readonly inspector: boolean;
}
interface Answer {
  readonly pid: number;
  readonly uid: number;
  readonly capabilitiesLeft: readonly number[];
  readonly results: readonly Result[];
}

/** How the builder is started: with docker's capabilities, Kubernetes' fewest, or as the first process of a pid namespace. */
const profiles = {
  docker: ['setpriv', '--bounding-set', plus(docker), '--'],
  'baseline pod': ['setpriv', '--bounding-set', plus(baseline), '--'],
  'PID 1': ['unshare', '--pid', '--fork', '--mount-proc', '--', 'setpriv', '--bounding-set', plus(docker), '--'],
  'PID 1 of a baseline pod': ['unshare', '--pid', '--fork', '--mount-proc', '--', 'setpriv', '--bounding-set', plus(baseline), '--'],
} as const;
type Profile = keyof typeof profiles;

function plus(names: string): string {
  return `-all,${names
    .split(',')
    .map((name) => `+${name}`)
    .join(',')}`;
}

function whyNot(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  const tried = spawnSync('unshare', ['--pid', '--fork', '--mount-proc', '--', 'setpriv', '--bounding-set', plus(docker), '--', 'true']);
  return tried.status === 0 ? undefined : `unshare or setpriv do not work here: ${tried.stderr.toString()}`;
}
const options = { skip: whyNot() ?? false };

function build(profile: Profile, ...tasks: readonly Record<string, unknown>[]): Answer {
  const [program, ...words] = profiles[profile];
  const node = [process.execPath, '--disable-sigusr1', probe, JSON.stringify(tasks)];
  const env = { PATH: process.env['PATH'], CANARY: canary };
  const result = spawnSync(program, [...words, ...node], { encoding: 'utf8', env, timeout: 60_000 });
  assert.equal(result.status, 0, `${result.stdout}\n${result.stderr}`);
  return JSON.parse(result.stdout) as Answer; // written by the probe
}

/** Living processes of the whole machine with `marker` in their arguments. */
function alive(marker: string): readonly string[] {
  return readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return false;
    try {
      return readFileSync(`/proc/${name}/cmdline`, 'latin1').includes(marker);
    } catch {
      return false; // gone
    }
  });
}

const spying = `
  cat /proc/$PPID/environ /proc/$PPID/maps /proc/$PPID/mem 2>&1 | head -c 200000 | tr '\\0' '\\n'
  ls -l /proc/$PPID/fd /proc/$PPID/cwd /proc/$PPID/root /proc/$PPID/exe 2>&1
  for pid in /proc/[0-9]*; do cat $pid/environ 2>/dev/null; done | tr '\\0' '\\n' | grep CANARY`;

for (const profile of ['docker', 'baseline pod', 'PID 1'] as const) {
  test(`a command cannot read the builder's environment, memory or descriptors (${profile})`, options, () => {
    const [result] = build(profile, { script: spying }).results;
    assert.ok(result !== undefined);
    const text = result.lines.join('\n');
    // Under /proc of the machine the shell that started the tests has the variable too, but not under our name.
    assert.doesNotMatch(text, /canary-2c1f|\[heap\]|->/);
    assert.match(text, /Permission denied/);
  });
}

test('a command lacks a capability of the builder, which closes /proc even if the builder were open', options, () => {
  const [result] = build('docker', { script: 'cat /proc/$PPID/environ; grep CapBnd /proc/self/status', dumpable: true }).results;
  assert.doesNotMatch(result?.lines.join('\n') ?? '', /canary/);
  assert.match(result?.lines.join('\n') ?? '', /CapBnd:\s+00000000a80424fb/);
});

test('a command in a baseline pod has the capabilities of the pod, and none to pass on', options, () => {
  const answer = build('baseline pod', { script: 'grep -E "Cap(Inh|Amb|Eff)" /proc/self/status' });
  assert.deepEqual(answer.capabilitiesLeft, []);
  assert.deepEqual(
    answer.results[0]?.lines.map((line) => line.replace(/\s+/, ' ')),
    ['CapInh: 0000000000000000', 'CapEff: 00000000800000db', 'CapAmb: 0000000000000000'],
  );
});

test('SIGUSR1 opens no debugger in the builder', options, () => {
  const [result] = build('docker', { script: 'for i in 1 2 3 4 5; do kill -USR1 $PPID; done; sleep 0.3; echo still' }).results;
  assert.deepEqual(result?.lines, ['still']);
  assert.equal(result?.inspector, false);
});

for (const profile of ['docker', 'baseline pod', 'PID 1', 'PID 1 of a baseline pod'] as const) {
  test(`daemons of any session and user are dead after the command (${profile})`, options, () => {
    const marker = `98765${Object.keys(profiles).indexOf(profile)}`;
    const script = `
      setsid sleep ${marker} &
      (sleep ${marker} &) 
      (setsid sh -c 'trap "" TERM HUP INT; (setsid sleep ${marker} &) ; sleep ${marker}' &)
      setpriv --reuid 1234 --regid 1234 --clear-groups setsid sleep ${marker} &
      setpriv --ruid 4321 --regid 4321 --clear-groups setsid sleep ${marker} &
      sleep 0.3; echo done`;
    const [root, user] = build(profile, { script }, { script: `setsid sleep ${marker} & sleep 0.1`, uid: 2000 }).results;
    assert.deepEqual(root?.lines, ['done']);
    assert.deepEqual(root?.outcome, { exitCode: 0 });
    assert.deepEqual(user?.outcome, { exitCode: 0 });
    assert.deepEqual(alive(`sleep\0${marker}`), []);
    assert.deepEqual([root?.children, user?.children], [[], []]);
  });

  test(`a swarm that grows while it is being killed is dead after the command (${profile})`, options, () => {
    const marker = `98764${Object.keys(profiles).indexOf(profile)}`;
    const swarm = `while :; do setsid sleep ${marker} & setsid sh -c 'sleep 0.01; setsid sleep ${marker} &' & sleep 0.002; done`;
    const [result] = build(profile, { script: `setsid sh -c '${swarm.replaceAll("'", `'\\''`)}' & sleep 0.5` }).results;
    assert.deepEqual(result?.outcome, { exitCode: 0 });
    assert.deepEqual(alive(marker), []);
    assert.deepEqual(result?.children, []);
  });
}

test('a daemon that keeps the output open does not keep the build waiting', options, () => {
  const [result] = build('docker', { script: 'setsid sleep 987632 & echo out' }).results;
  assert.deepEqual(result?.lines, ['out']);
  assert.ok((result?.durationMs ?? Infinity) < 2000, `took ${result?.durationMs} ms`);
});

test("orphans are reaped and none of Node's own children is lost by it", options, () => {
  const script = 'i=0; while [ $i -lt 200 ]; do (sleep 0.01 &); i=$((i+1)); done; sleep 0.3';
  const [result] = build('docker', { script, nodeChildren: 40 }).results;
  assert.deepEqual(result?.outcome, { exitCode: 0 });
  assert.equal(result?.delivered.length, 40);
  assert.ok(result?.delivered.every(Boolean));
  assert.deepEqual(result?.children, []);
});

test('processes that are not of the command stay alive, also where the builder shares their pid namespace', options, async () => {
  const foreign = spawn('sleep', ['98762'], { detached: true, stdio: 'ignore' });
  try {
    // As in GitLab: a shell is PID 1, and the builder one of its children.
    const node = `${process.execPath} ${probe} '[{"script":"setsid sleep 98761 & true"}]'`;
    const script = `sleep 98760 & builder=$(${node}); kill -0 $! && echo "$builder"`;
    const result = spawnSync('unshare', ['--pid', '--fork', '--mount-proc', 'sh', '-c', script], { encoding: 'utf8' });
    const answer = JSON.parse(result.stdout) as Answer; // written by the probe
    assert.notEqual(answer.pid, 1);
    assert.deepEqual(answer.results[0]?.outcome, { exitCode: 0 });
    build('docker', { script: 'setsid sleep 98761 & true' });
    assert.equal(foreign.exitCode, null);
    assert.equal(alive('sleep\u000098762').length, 1);
  } finally {
    foreign.kill('SIGKILL');
  }
});

test('a builder that is stopped, reniced or killed as PID 1 goes on; one whose limits are changed says so', options, () => {
  const answer = build(
    'PID 1',
    { script: 'kill -STOP 1; kill -KILL 1; kill -SEGV 1; renice 5 -p 1 >/dev/null 2>&1; echo on' },
    { script: 'prlimit --pid 1 --nofile=40' },
  );
  assert.deepEqual(answer.results[0]?.lines, ['on']);
  assert.match(answer.results[1]?.outcome.error ?? '', /^ERR_TAMPERED .*resource limit 7/);
});
