import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flagsOf } from '../../../src/cli/command.ts';
import { commands, executor, findCommand } from '../../../src/cli/commands.ts';
import { helpText, overviewText } from '../../../src/cli/help.ts';
import { registryFlags } from '../../../src/cli/tables/registry.ts';

for (const command of [executor, ...commands]) {
  test(`--help of ${command.name} fits a screen, and names every flag that does something`, () => {
    const help = helpText(command);
    const lines = help.trimEnd().split('\n');
    assert.ok(lines.length <= 50, `${lines.length} lines`);
    for (const line of lines) assert.ok(line.length <= 80, line);
    const listed = command.groups.flatMap(({ flags }) => flags);
    for (const spec of listed) assert.equal(new RegExp(`--${spec.name}[ ,\n]`).test(help), spec.about !== '', spec.name);
  });

  test(`help ${command.name} --all says what each flag does`, () => {
    const help = helpText(command, true).replaceAll(/\s+/g, ' ');
    for (const spec of command.groups.flatMap(({ flags }) => flags)) assert.ok(help.includes(spec.details ?? spec.about), spec.name);
  });

  test(`no two flags of ${command.name} share a name, an alias or a short form`, () => {
    const names = flagsOf(command).flatMap(({ name, aliases = [], short }) => [
      name,
      ...aliases,
      ...(short === undefined ? [] : [`-${short}`]),
    ]);
    assert.equal(new Set(names).size, names.length);
  });
}

for (const name of ['push', 'cache list', 'cache prune'])
  test(`${name} takes all flags about registries that a build has, and shows those that it looks at`, () => {
    const command = findCommand(name.split(' '))?.command ?? assert.fail();
    const taken = new Set(flagsOf(command));
    assert.ok(registryFlags.every((spec) => taken.has(spec)));
    assert.match(helpText(command), /--insecure-registry/);
    assert.doesNotMatch(helpText(command), /-pull|mirror|download-retry/);
  });

test('the overview has every command', () => {
  for (const { name, about } of commands) assert.match(overviewText(), new RegExp(`^  ${name} +${about}$`, 'm'));
  assert.match(overviewText(), /About the program:\n  version .*\n  completion .*\n  help /);
});

test('findCommand() takes the longest name that the words begin with', () => {
  assert.equal(findCommand(['build', '.'])?.command.name, 'build');
  assert.deepEqual(findCommand(['build', '.'])?.rest, ['.']);
  assert.equal(findCommand(['--no-push', 'build']), undefined);
  assert.equal(findCommand([]), undefined);
});
