import assert from 'node:assert/strict';
import { lstat, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { BuildEvent } from '../../../src/events.ts';
import { CommandError, DockerfileError } from '../../../src/errors.ts';
import { type ShellRoot, makeShellRoot, shellRootMissing } from '../../support/shell-root.ts';
import { runInstruction, runStep, stageState } from '../../support/run-step.ts';

const missing = shellRootMissing();
const options = { skip: missing ?? false };
let root: ShellRoot;

if (missing === undefined) {
  before(async () => {
    root = await makeShellRoot();
  });
  after(async () => {
    await root[Symbol.asyncDispose]();
  });
}

test('executeRun() gives the shell form to /bin/sh -c', options, async () => {
  const ran = await runStep(root, runInstruction('echo one; echo two >&2'), stageState());
  assert.equal(ran.error, undefined);
  assert.deepEqual(ran.lines.toSorted(), ['one', 'two']);
  assert.equal(ran.effect?.history?.createdBy, 'RUN /bin/sh -c echo one; echo two >&2 # buildkit');
  assert.deepEqual(ran.effect?.touched, { kind: 'anything', except: [], unchanged: [] });
});

test('executeRun() gives the exec form no shell and finds its program along PATH', options, async () => {
  const ran = await runStep(root, runInstruction({ form: 'exec', argv: ['echo', '$HOME', 'a  b'] }), stageState());
  assert.deepEqual(ran.lines, ['$HOME a  b']);
  assert.equal(ran.effect?.history?.createdBy, 'RUN echo $HOME a  b # buildkit');
});

test('executeRun() uses SHELL of the image', options, async () => {
  const ran = await runStep(root, runInstruction('echo $0'), stageState({}, { shell: ['/bin/sh', '-e', '-c'] }));
  assert.equal(ran.effect?.history?.createdBy, 'RUN /bin/sh -e -c echo $0 # buildkit');
});

test('executeRun() passes exactly the environment of the stage, proxies and HOME', options, async () => {
  process.env['YADOKARI_CANARY'] = 'leaked';
  const state = stageState({
    environment: new Map([
      ['PATH', '/bin'],
      ['A', 'b=c ü'],
    ]),
    args: new Map([
      ['A', 'x'],
      ['B', undefined],
    ]),
  });
  const ran = await runStep(root, runInstruction('env'), state, { proxies: new Map([['http_proxy', 'http://p:1']]) });
  delete process.env['YADOKARI_CANARY'];
  const own = ran.lines.filter((line) => !/^(SHLVL|PWD|OLDPWD|_)=/.test(line));
  assert.deepEqual(own.toSorted(), ['A=b=c ü', 'HOME=/root', 'PATH=/bin', 'http_proxy=http://p:1']);
  assert.equal(ran.effect?.history?.createdBy, 'RUN |2 A=b=c ü B= /bin/sh -c env # buildkit');
});

const users: readonly (readonly [user: string, ids: string])[] = [
  ['', 'uid=0(root) gid=0(root) groups=0(root),4000(extra)'],
  ['app', 'uid=2000(app) gid=3000(app) groups=3000(app),4000(extra)'],
  ['2000', 'uid=2000(app) gid=3000(app) groups=3000(app),4000(extra)'],
  ['1234', 'uid=1234 gid=0(root) groups=0(root)'],
  ['app:extra', 'uid=2000(app) gid=4000(extra) groups=4000(extra)'],
  ['1234:5678', 'uid=1234 gid=5678 groups=5678'],
  ['4294967294:7', 'uid=4294967294 gid=7 groups=7'],
];
for (const [user, ids] of users) {
  test(`executeRun() runs USER ${JSON.stringify(user)} as ${ids}`, options, async () => {
    const ran = await runStep(root, runInstruction({ form: 'exec', argv: ['id'] }), stageState({}, user === '' ? {} : { user }));
    assert.equal(ran.error, undefined);
    assert.deepEqual(ran.lines, [ids]);
  });
}

for (const user of ['nobody', '0x0', '-1', '4294967295', '4294967296', '1000:99999999999', 'app:nogroup', 'a:b:c']) {
  test(`executeRun() refuses USER ${user} and names the instruction`, options, async () => {
    const ran = await runStep(root, runInstruction('true'), stageState({}, { user }));
    assert.ok(ran.error instanceof DockerfileError, String(ran.error));
    assert.equal(ran.error.range.start.line, 3);
  });
}

for (const mounts of [[], ['type=tmpfs,target=below']]) {
  test(
    `a working directory that no command could be in is refused at once (${mounts.length} mounts)`,
    { ...options, timeout: 20_000 },
    async () => {
      const { error } = await runStep(root, runInstruction('pwd', mounts), stageState({}, { workingDir: '/a'.repeat(500_000) }));
      assert.match(String(error), /Cannot run in \/(?:a\/)+…: its path has 999999 bytes, and Linux takes 4095$/);
    },
  );
}

test('a working directory or a mount that a base gave a NUL byte is refused in a line of ours', options, async () => {
  const message = /^BuilderError: Cannot use path ".*a\\u0000b": it contains a NUL byte$/;
  const inFolder = await runStep(root, runInstruction('pwd'), stageState({}, { workingDir: '/a\0b' }));
  assert.match(String(inFolder.error), message);
  const expand = (word: string): string => word.replace('$X', 'a\0b');
  const mounted = await runStep(root, runInstruction('pwd', ['type=tmpfs,target=/$X']), stageState(), { expand });
  assert.match(String(mounted.error), message);
});

test('executeRun() makes a missing working directory and starts there', options, async () => {
  const ran = await runStep(root, runInstruction('pwd'), stageState({}, { workingDir: '/made/for/it' }));
  assert.deepEqual(ran.lines, ['/made/for/it']);
});

test('executeRun() fails with the exit code, its meaning, and the command', options, async () => {
  const ran = await runStep(root, runInstruction('exit 42'), stageState());
  assert.ok(ran.error instanceof CommandError);
  assert.equal(ran.error.exitCode, 42);
  assert.equal(ran.error.message, 'RUN exit 42 failed with exit code 42');
  const absent = await runStep(root, runInstruction({ form: 'exec', argv: ['nope'] }), stageState());
  assert.ok(absent.error instanceof CommandError);
  assert.equal(absent.error.exitCode, 127);
  assert.match(absent.error.message, /exit code 127: nope is not in this image$/);
});

test('executeRun() names the signal that killed the command', options, async () => {
  const ran = await runStep(root, runInstruction('kill -SEGV $$'), stageState());
  assert.ok(ran.error instanceof CommandError);
  assert.equal(ran.error.signalName, 'SIGSEGV');
});

test('executeRun() gives a lone heredoc to the shell as its script', options, async () => {
  const heredocs = [{ name: 'EOT', body: 'a=1\necho "$a"\n', expand: true, chomp: false }];
  const ran = await runStep(root, runInstruction({ form: 'shell', text: '<<EOT', heredocs }), stageState());
  assert.deepEqual(ran.lines, ['1']);
  assert.equal(ran.effect?.history?.createdBy, 'RUN /bin/sh -c a=1\necho "$a"\n # buildkit');
});

test('executeRun() executes a lone heredoc with #! as a file that is gone afterwards', options, async () => {
  const heredocs = [{ name: 'EOT', body: '#!/bin/cat\nhello\n', expand: true, chomp: false }];
  const before_ = await lstat(join(root.path, 'dev'), { bigint: true });
  const ran = await runStep(root, runInstruction({ form: 'shell', text: '<<EOT', heredocs }), stageState({}, { user: 'app' }));
  assert.equal(ran.error, undefined);
  assert.deepEqual(ran.lines, ['#!/bin/cat', 'hello']);
  assert.equal(ran.effect?.history?.createdBy, 'RUN /bin/sh -c /dev/pipes/EOT # buildkit');
  assert.deepEqual(ran.effect?.touched, { kind: 'anything', except: ['dev/pipes/EOT'], unchanged: ['dev'] });
  assert.deepEqual(await readdir(join(root.path, 'dev')), []);
  assert.equal((await lstat(join(root.path, 'dev'), { bigint: true })).mtimeNs, before_.mtimeNs);
});

test('executeRun() without a command gives the shell an empty one, or runs nothing, and warns', options, async () => {
  const warnings = (events: readonly BuildEvent[]): readonly string[] =>
    events.flatMap((event) => (event.kind === 'warning' ? [event.message] : []));
  const shell = await runStep(root, runInstruction({ form: 'shell', text: '', heredocs: [] }), stageState());
  assert.equal(shell.effect?.history?.createdBy, 'RUN /bin/sh -c  # buildkit');
  assert.deepEqual(warnings(shell.events), ['RUN has no command: the shell gets an empty one']);
  const nothing = await runStep(root, runInstruction({ form: 'exec', argv: [] }), stageState());
  assert.equal(nothing.effect?.history?.createdBy, 'RUN # buildkit');
  assert.deepEqual(nothing.effect?.touched.kind === 'drafted' && nothing.effect.touched.draft.entries(), [], 'an empty layer');
  assert.deepEqual(warnings(nothing.events), ['RUN has no command: nothing is run']);
});

test('executeRun() leaves several heredocs to the shell', options, async () => {
  const heredocs = [
    { name: 'A', body: 'one\n', expand: true, chomp: false },
    { name: 'B', body: 'two\n', expand: true, chomp: true },
  ];
  const both = await runStep(root, runInstruction({ form: 'shell', text: 'cat <<A; cat <<-B', heredocs }), stageState());
  assert.deepEqual(both.lines, ['one', 'two']);
});

test('executeRun() says what a root without a shell lacks', options, async () => {
  const ran = await runStep(root, runInstruction('true'), stageState({}, { shell: ['/bin/bash', '-c'] }));
  assert.ok(ran.error instanceof CommandError);
  assert.match(ran.error.message, /failed with exit code 127: \/bin\/bash is not in this image/);
});

test('executeRun() tells a program of another machine from a broken script', options, async () => {
  const elf = Buffer.alloc(64);
  elf.write('\x7fELF\x02\x01\x01', 'latin1');
  elf.writeUInt16LE(243, 18);
  await writeFile(join(root.path, 'bin/foreign'), elf, { mode: 0o755 });
  await writeFile(join(root.path, 'bin/crlf'), '#!/bin/sh\r\necho\r\n', { mode: 0o755 });
  await writeFile(join(root.path, 'bin/plain'), 'echo hi\n', { mode: 0o755 });
  const message = async (name: string): Promise<string> => {
    const ran = await runStep(root, runInstruction({ form: 'exec', argv: [name] }), stageState());
    return ran.error instanceof CommandError ? `${ran.error.exitCode} ${ran.error.message}` : String(ran.error);
  };
  assert.match(await message('foreign'), /^126 .*it is for riscv64, and this machine is/);
  assert.match(await message('/bin/crlf'), /^127 .*CR LF/);
  assert.match(await message('plain'), /^126 .*neither a program for this machine nor a script/);
});

test('executeRun() says why a command of 200,000 bytes does not start', options, async () => {
  const ran = await runStep(root, runInstruction(`echo ${'x'.repeat(200_000)}`), stageState());
  assert.ok(ran.error instanceof CommandError);
  assert.match(ran.error.message, /the command is 200005 bytes long, and the kernel takes 131071/);
});

test('executeRun() refuses what it cannot grant', options, async () => {
  for (const change of [{ security: 'insecure' }, { network: 'none' }] as const) {
    const ran = await runStep(root, { ...runInstruction('true'), ...change }, stageState());
    assert.match(String(ran.error), /Cannot run with --/);
  }
});
