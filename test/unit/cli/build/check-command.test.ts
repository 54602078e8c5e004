// `yadokari check` as people call it: what is printed where, and the exit status that a pipeline goes by.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { runHere } from '../../../support/command-line.ts';
import { temporaryFolder, tree } from '../../../support/tree.ts';

interface Case {
  readonly title: string;
  readonly dockerfile: string;
  readonly args?: readonly string[];
  readonly status: number;
  readonly stdout: RegExp;
  readonly stderr: RegExp;
}

const cases: readonly Case[] = [
  {
    title: 'nothing is wrong',
    dockerfile: 'FROM scratch\nCOPY a /a\n',
    status: 0,
    stdout: /^Check complete, no warnings found\.\n$/,
    stderr: /^$/,
  },
  {
    title: 'warnings alone are no failure',
    dockerfile: 'FROM scratch AS Build\n',
    status: 0,
    stdout: /^Check complete, 1 warning has been found!\n\nWARNING: StageNameCasing/,
    stderr: /^$/,
  },
  {
    title: 'warnings fail where the Dockerfile says so',
    dockerfile: '# check=error=true\nFROM scratch AS Build\n',
    status: 1,
    stdout: /StageNameCasing/,
    stderr: /^$/,
  },
  {
    title: 'a mistake in the language',
    dockerfile: 'FROM scratch\nCOPPY a b\n',
    status: 1,
    stdout: /^$/,
    stderr: /^error: [^\n]*COPPY/,
  },
  {
    title: 'a stage that needs itself, which only planning finds',
    dockerfile: 'FROM scratch AS Build\nCOPY --from=build /a /b\n',
    status: 1,
    stdout: /StageNameCasing/,
    stderr: /^error: Cannot build stage build: it needs itself\n.*Dockerfile:2:6\n/,
  },
  {
    title: 'a base without a value, which only planning finds',
    dockerfile: 'FROM ${NOPE}\n',
    status: 1,
    stdout: /UndefinedArgInFrom/,
    stderr: /^error: Cannot use base image \$\{NOPE\}: it expands to nothing\n/,
  },
  {
    title: 'that base has its value by --build-arg',
    dockerfile: 'ARG NOPE\nFROM ${NOPE}\n',
    args: ['--build-arg=NOPE=scratch'],
    status: 0,
    stdout: /^Check complete/,
    stderr: /^$/,
  },
  {
    title: 'a target that is not there',
    dockerfile: 'FROM scratch AS one\n',
    args: ['--target=two'],
    status: 1,
    stdout: /^Check complete/,
    stderr: /^error: Cannot build target "two": [^\n]*\n/,
  },
];

for (const { title, dockerfile, args = [], status, stdout, stderr } of cases) {
  test(`check: ${title}`, async (context) => {
    const folder = temporaryFolder(context);
    tree(folder, { Dockerfile: dockerfile, a: 'a' });
    const result = await runHere(['check', ...args, folder]);
    assert.equal(result.status, status, result.output);
    assert.match(result.stdout, stdout);
    assert.match(result.stderr.replaceAll(join(folder, '/'), ''), stderr);
  });
}

test('check: the Dockerfile is that of the context, whatever lies in the working directory, unless --file names one', async (context) => {
  const folder = temporaryFolder(context);
  tree(folder, { Dockerfile: 'COPPY a b\n', 'service/Dockerfile': 'FROM scratch\n' });
  const check = async (...args: readonly string[]) => await runHere(['check', ...args], { cwd: folder });
  assert.equal((await check('service')).status, 0);
  assert.match((await check('-f', 'Dockerfile', 'service')).stderr, /COPPY/);
});
