import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tellAccepted } from '../../../src/cli/accepted.ts';
import { parseFlags } from '../../../src/cli/flags.ts';
import { buildFlags } from '../../../src/cli/tables/build.ts';
import { Settings } from '../../../src/cli/settings.ts';
import type { BuildEvent } from '../../../src/events.ts';

function told(argv: readonly string[], env: Readonly<Record<string, string>> = {}): readonly BuildEvent[] {
  const events: BuildEvent[] = [];
  tellAccepted(new Settings(parseFlags(argv, buildFlags), buildFlags, env), buildFlags, env, (event) => events.push(event));
  return events;
}

test('tellAccepted() names the flags that change nothing in one line, by reason', () => {
  assert.deepEqual(told(['--use-new-run', '--cache-ttl=1h', '--snapshot-mode=redo', '--no-push']), [
    {
      kind: 'note',
      level: 'info',
      message:
        'without effect here: --snapshot-mode, --use-new-run (there is one way to snapshot, which is right and fast); ' +
        '--cache-ttl (it only matters with --cache)',
    },
  ]);
});

test('tellAccepted() is silent where what matters only elsewhere is off or absent', () => {
  assert.deepEqual(told(['--cache-copy-layers=false', '--no-push', '--cache-dir=']), []);
});

test('tellAccepted() names a flag that changes nothing also where it is off: nothing is built for --skip-unused-stages=false', () => {
  const [event] = told(['--skip-unused-stages=false']);
  assert.ok(event?.kind === 'note' && event.message.includes('--skip-unused-stages (stages that nothing needs are always skipped)'));
});

test("tellAccepted() names kaniko's feature variables for those who debug", () => {
  const [event] = told([], { FF_KANIKO_SQUASH_STAGES: '1', FF_KANIKO_A: '0', PATH: '/bin' });
  assert.ok(event?.kind === 'note' && event.level === 'debug');
  assert.match(event.message, /FF_KANIKO_A, FF_KANIKO_SQUASH_STAGES/);
});
