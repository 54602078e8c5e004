// usage: npm run check [-- [--fix] [--without-tests]]
// The whole gate that needs no root and no network: format, lint, types, the import table and the unit tests.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const bin = (name: string): string => join(root, 'node_modules/.bin', name);
const fix = process.argv.includes('--fix');
const withoutTests = process.argv.includes('--without-tests');
const formatted = ['src', 'test', 'scripts', 'package.json', 'tsconfig.json', '.oxlintrc.json', '.oxfmtrc.json'];

const steps: readonly { readonly name: string; readonly command: readonly string[] }[] = [
  { name: 'format', command: [bin('oxfmt'), ...(fix ? [] : ['--check']), ...formatted] },
  { name: 'lint', command: [bin('oxlint'), ...(fix ? ['--fix'] : []), '--deny-warnings', 'src', 'test', 'scripts'] },
  { name: 'types', command: [bin('tsc'), '-p', root] },
  ...(withoutTests ? [] : [{ name: 'unit tests', command: [process.execPath, join(root, 'scripts/test.ts'), '--quiet', 'unit'] }]),
];

const failed: string[] = [];
for (const step of steps) {
  const started = performance.now();
  const [program = '', ...args] = step.command;
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: 'inherit' });
  if (error !== undefined) throw error;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${status === 0 ? 'ok    ' : 'FAILED'} ${step.name} (${seconds} s)`);
  if (status !== 0) failed.push(step.name);
}
if (failed.length > 0) {
  console.error(`check failed: ${failed.join(', ')}`);
  process.exitCode = 1;
}
