import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { mayStartPrograms } from '../../../src/linux/foreign-programs.ts';

const own = process.arch === 'x64' ? 'amd64' : process.arch;

test('programs of this machine, and of what the kernel does not say, may be started', () => {
  assert.equal(mayStartPrograms(own), true);
  assert.equal(mayStartPrograms('unheard-of'), true);
});

test('programs of a foreign machine may be started only where an emulator is registered', () => {
  const registered = ((): readonly string[] => {
    try {
      return readdirSync('/proc/sys/fs/binfmt_misc');
    } catch {
      return [];
    }
  })();
  if (!registered.some((name) => /riscv64/.test(name))) assert.equal(mayStartPrograms('riscv64'), false);
  if (!registered.some((name) => /s390x/.test(name))) assert.equal(mayStartPrograms('s390x'), false);
});
