// The scripts, asked by the shells themselves.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCompletionCommand } from '../../../src/cli/completion.ts';
import type { CommandInput } from '../../../src/cli/command.ts';
import { commands, executor } from '../../../src/cli/commands.ts';
import { checkFormats } from '../../../src/cli/tables/check.ts';

async function scriptFor(...positionals: readonly string[]): Promise<string> {
  let text = '';
  const stdout = { isTerminal: false, columns: () => 80, write: (part: string) => void (text += part) };
  await runCompletionCommand({ positionals, stdout } as unknown as CommandInput, commands, executor); // it needs no more
  return text;
}

/** Without the user's own settings. */
const plainly: Readonly<Record<string, string>> = { bash: '--norc', zsh: '-f', fish: '--no-config' };

function run(shell: string, script: string): readonly string[] {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'yadokari-completion-'));
  const file = join(folder.path, 'script');
  writeFileSync(file, script);
  const { status, stdout, stderr } = spawnSync(shell, [plainly[shell] ?? '', file], { cwd: folder.path, encoding: 'utf8' });
  assert.deepEqual([status, stderr], [0, '']);
  return stdout.split('\n').filter((line) => line !== '');
}

const isThere = (shell: string): boolean => spawnSync(shell, ['-c', 'true']).status === 0;
const skipWithout = (shell: string): string | false => (isThere(shell) ? false : `there is no ${shell}`);

/** What bash offers for the last of the words. */
async function offered(...words: readonly string[]): Promise<readonly string[]> {
  const list = words.map((word) => `'${word}'`).join(' ');
  const ask = `COMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _yadokari; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return run('bash', `${await scriptFor('bash')}\n${ask}\n`);
}

test('bash completes commands, flags of the command, and values', { skip: skipWithout('bash') }, async () => {
  assert.deepEqual(await offered('yadokari', 'b'), ['build']);
  assert.deepEqual(await offered('executor', '--snap'), ['--snapshot-mode']);
  assert.deepEqual(await offered('yadokari', 'build', '--no-p'), ['--no-push', '--no-push-cache']);
  assert.deepEqual(await offered('yadokari', 'version', '--no-p'), []);
  assert.deepEqual(await offered('yadokari', 'build', '--compression', 'z'), ['zstd']);
  assert.deepEqual(await offered('yadokari', 'build', '--compression', '=', 'z'), ['zstd']);
  assert.deepEqual(await offered('yadokari', 'check', '--format', ''), checkFormats);
});

test('zsh reads its script', { skip: skipWithout('zsh') }, async () => {
  const script = `autoload -U compinit && compinit -u -D\n${await scriptFor('zsh')}\necho $_comps[yadokari]\n`;
  assert.match(run('zsh', script).join('\n'), /_bash_complete .*-F _yadokari/);
});

test('fish completes commands, flags of the command, and values', { skip: skipWithout('fish') }, async () => {
  const script = await scriptFor('fish');
  const ask = (line: string): readonly string[] =>
    run('fish', `${script}\ncomplete --do-complete '${line}'\n`).map((found) => found.split('\t')[0] ?? '');
  assert.ok(ask('yadokari bu').includes('build'));
  assert.deepEqual(ask('yadokari build --no-p'), ['--no-push', '--no-push-cache']);
  assert.deepEqual(ask('executor --snap'), ['--snapshot-mode']);
  assert.deepEqual(ask('yadokari check --format='), checkFormats.map((name) => `--format=${name}`).toSorted());
});

test('other shells are refused by name', async () => {
  await assert.rejects(scriptFor('tcsh'), { code: 'ERR_USAGE', message: 'Cannot complete for "tcsh": expected bash, zsh, fish' });
  await assert.rejects(scriptFor(), { message: 'Cannot complete for "": expected bash, zsh, fish' });
});
