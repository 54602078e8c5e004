import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { runHere } from '../../support/command-line.ts';
import { asObject } from '../../support/parsed.ts';
import { temporaryFolder } from '../../support/tree.ts';
import { listen } from '../../support/listen.ts';

const main = join(resolve(import.meta.dirname, '../../..'), 'src/main.ts');

/** A build goes on in another process of this program. */
function start(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  return spawnSync(process.execPath, ['--no-warnings', main, ...argv], { env, encoding: 'utf8' });
}

const refused: readonly {
  readonly argv: readonly string[];
  readonly status: number;
  readonly lines: readonly RegExp[];
  readonly isBuild?: true;
}[] = [
  { argv: ['sh'], status: 1, lines: [/^error: Cannot run command "sh": there is no such command$/, /^ {2}try: .* set its entry point/] },
  { argv: ['exec', 'c'], status: 1, lines: [/^error: Cannot run command "exec"/, /^ {2}try: yadokari run CONTAINER COMMAND /] },
  { argv: ['lint', '.'], status: 1, lines: [/^error: Cannot run command "lint"/, /^ {2}try: yadokari check checks/] },
  { argv: ['nothing'], status: 1, lines: [/^error: Cannot run command "nothing"/, /^ {2}try: `help` lists the commands/] },
  { argv: ['--no-push', '--cache', 'true'], status: 1, lines: [/^error: Cannot run command "true"/, /behind a "=": --cache=true$/] },
  { argv: ['--no-push', '\u2014cache'], status: 1, lines: [/^error: Cannot run command "\u2014cache"/, /plain dashes.*: --cache$/] },
  { argv: ['--no-push', './app'], status: 1, lines: [/^error: Cannot run command ".\/app"/, /--context=.\/app$/] },
  {
    argv: ['--no-push', '--registry-certificate=r.test'],
    isBuild: true,
    status: 1,
    lines: [/^error: Cannot use --registry-certificate "r.test": expected HOST=FILE$/],
  },
  { argv: ['biuld', '.'], status: 1, lines: [/^error: Cannot run command "biuld"/, /^ {2}try: did you mean build\?/] },
  {
    argv: ['cache'],
    status: 1,
    lines: [
      /^error: Cannot run command "cache": it is the first word of several$/,
      /^ {2}try: one of cache list, cache prune, cache explain$/,
    ],
  },
  { argv: ['cache', 'sweep'], status: 1, lines: [/^error: Cannot run command "cache sweep": there is no such/, /try: one of cache list/] },
  { argv: ['biuld', '--help'], status: 1, lines: [/^error: Cannot run command "biuld"/, /^ {2}try: did you mean build\?/] },
  { argv: ['version', 'now'], status: 1, lines: [/^error: Cannot use argument "now"/, /^ {2}try: yadokari version$/] },
  {
    argv: ['--destinaton=x'],
    status: 1,
    lines: [/^error: Cannot use --destinaton: there is no such flag$/, /did you mean --destination\?/],
  },
  { argv: ['--verbosity=loud', '--no-push'], status: 1, lines: [/^error: Cannot use --verbosity=loud: expected trace, debug/] },
  {
    argv: ['--no-push', '--cache'],
    isBuild: true,
    status: 1,
    lines: [/^error: Cannot use --cache: where nothing is pushed/, /^ {2}try: give --cache-repo/],
  },
  {
    argv: ['--no-push', '--custom-platform', 'foo'],
    isBuild: true,
    status: 1,
    lines: [/^error: Cannot use platform "foo": no operating system and no architecture/, /^ {2}try: for example linux/],
  },
];
test('--command-timeout ends a command that waits for a registry, and --debug shows where', async () => {
  const silent = createServer(); // the kernel accepts, and nobody answers
  const port = await listen(silent);
  const started = performance.now();
  const { status, stderr } = await runHere(['--debug', '--command-timeout=1s', 'inspect', `docker://127.0.0.1:${port}/app:1`]);
  silent.close();
  assert.ok(performance.now() - started < 20_000, 'not when connecting has taken its own 30 s');
  assert.equal(status, 1);
  assert.match(stderr, /^error: Cannot finish in --command-timeout=1s: the time is over\n(?:.*\n)* {4}at /m);
});

test('the first word of several commands has a help of its own', async () => {
  for (const argv of [
    ['cache', '--help'],
    ['help', 'cache'],
  ]) {
    const { status, stdout } = await runHere(argv);
    assert.equal(status, 0);
    assert.match(stdout, /^Usage: yadokari cache COMMAND \[flags\]\n\n {2}cache list .*\n {2}cache prune .*\n {2}cache explain .*\n$/);
  }
});

test('help of help is what help prints', async () => {
  const { stdout } = await runHere(['help']);
  for (const flag of ['--help', '-h']) assert.deepEqual((await runHere(['help', flag])).stdout, stdout);
});

for (const { argv, status, lines, isBuild = false } of refused)
  test(`${argv.join(' ')} ends with status ${status} and ${lines.length + 1} lines on standard error`, async () => {
    const result = isBuild ? start(argv) : await runHere(argv);
    assert.equal(result.status, status, result.stderr);
    assert.equal(result.stdout, '');
    const written = result.stderr.trimEnd().split('\n');
    assert.equal(written.length, lines.length + 1, result.stderr);
    assert.equal(written.at(-1), '  code: ERR_USAGE (docs/errors.md)');
    for (const [index, line] of lines.entries()) assert.match(written[index] ?? '', line);
  });

test('a proxy that is none is told before anything else, without its value', () => {
  const { status, stderr } = start(['--no-push'], { HTTP_PROXY: 'x://me:hunter2@y z' });
  assert.equal(status, 1);
  assert.match(stderr, /^error: Cannot use HTTP_PROXY: it is not a URL$/m);
  assert.doesNotMatch(stderr, /hunter2/);
});

test('a junk time zone, no HOME, no PATH and NO_PROXY=* keep nothing from working', () => {
  const env = { TZ: 'junk/../x', LANG: 'C', NO_PROXY: '*', HTTPS_PROXY: 'http://127.0.0.1:1' };
  const { status, stderr } = spawnSync(process.execPath, ['--no-warnings', main, 'explain', '-f', '-'], {
    env,
    input: 'FROM scratch\nENV A=1\n',
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
});

test('an empty word is a value where one is due, also before the command', async () => {
  const { status, stderr } = await runHere(['', 'build', '--destination', '', '--no-push']);
  assert.equal(status, 1);
  assert.match(stderr, /^error: Cannot use an empty --destination: it needs a value$/m);
});

test('a working directory that was removed is entered by its name where it is there again, and named where it is not', (context) => {
  const folder = temporaryFolder(context);
  const job = (then: string): ReturnType<typeof spawnSync> => {
    const script = `cd ${folder} && rm -rf x && mkdir x && cd x && rmdir ../x && ${then} exec ${process.execPath} --no-warnings ${main} check .`;
    return spawnSync('/bin/sh', ['-c', script], { env: {}, encoding: 'utf8' });
  };
  const back = job('mkdir ../x && echo FROM a > $PWD/Dockerfile &&');
  assert.deepEqual([back.status, back.stderr], [0, '']);
  for (const then of ['', 'touch ../x &&']) {
    const gone = job(then);
    assert.equal(gone.status, 1);
    assert.match(String(gone.stderr), /^error: Cannot start in .*: it is gone$/m);
  }
});

test('help goes to standard output, whatever else is on the command line', async () => {
  const { status, stdout, stderr } = await runHere(['build', '-h', '--no-push']);
  assert.deepEqual([status, stderr], [0, '']);
  assert.match(stdout, /^Usage: yadokari build \[flags\] \[CONTEXT\]/);
});

test('an error in JSON is an object for each line', () => {
  const { status, stderr } = start(['--log-format=json', '--no-push', '--context=/nowhere/at/all']);
  assert.equal(status, 1);
  const said = stderr
    .trimEnd()
    .split('\n')
    .map((line) => asObject(JSON.parse(line)));
  assert.deepEqual(
    said.map(({ level, msg }) => [level, msg]),
    [
      ['error', 'error: Cannot use /nowhere/at/all: it does not exist'],
      ['error', '  code: ERR_CONTEXT (docs/errors.md)'],
    ],
  );
});
