// The import table of ARCHITECTURE.md, enforced: arrows only point downward, each package has one owner, and nothing is
// loaded late (after the base image is unpacked onto `/`, our files' surroundings belong to the image).
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path/posix';
import { test } from 'node:test';
import { readSourceFiles, sourceFile, type SourceFile } from '../support/source-files.ts';

const root = join(import.meta.dirname, '../..');

/** Which rooms a room may import; `errors`, `events`, `bytes`, `blanks`, `paths`, `folders`, `given`, `grown-map`, `small-file`, `suggest` and `yaml` are open to all. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  main: ['cli', 'linux'],
  start: ['linux'],
  cli: [
    'attest',
    'report',
    'surroundings',
    'containers',
    'build',
    'outputs',
    'pieces',
    'transports',
    'steps',
    'sandbox',
    'context',
    'dockerfile',
    'rootfs',
    'files',
    'registry',
    'store',
    'layer',
    'trust',
    'go',
    'oci',
    'linux',
  ],
  containers: ['build', 'sandbox', 'context', 'rootfs', 'tree', 'files', 'store', 'layer', 'oci', 'linux'],
  report: [],
  sandbox: ['linux'],
  surroundings: [
    'attest',
    'cloud',
    'build',
    'outputs',
    'context',
    'dockerfile',
    'git',
    'rootfs',
    'tree',
    'files',
    'registry',
    'store',
    'trust',
    'oci',
    'linux',
  ],
  build: ['attest', 'outputs', 'dockerfile', 'context', 'rootfs', 'tree', 'files', 'layer', 'registry', 'trust', 'go', 'oci', 'linux'],
  outputs: ['attest', 'registry', 'store', 'trust', 'oci'],
  attest: ['oci'],
  pieces: ['transports', 'rootfs', 'files', 'store', 'layer', 'oci', 'linux'],
  transports: ['registry', 'store', 'layer', 'trust', 'oci'],
  steps: ['dockerfile', 'go', 'oci'],
  context: ['files', 'layer'],
  git: ['files', 'layer'],
  rootfs: ['files', 'tree', 'layer', 'oci', 'linux'],
  files: ['layer', 'linux'],
  tree: ['layer'],
  cloud: ['registry', 'oci'],
  registry: ['oci'],
  store: ['layer', 'oci', 'linux'],
  layer: ['oci', 'linux'],
  trust: ['oci'],
  dockerfile: [],
  go: ['oci'],
  oci: [],
  linux: [],
  errors: [],
  events: ['oci'],
  bytes: [],
  blanks: [],
  paths: [],
  folders: [],
  given: [],
  'grown-map': [],
  'small-file': [],
  suggest: [],
  yaml: [],
};
const openToAll: ReadonlySet<string> = new Set([
  'errors',
  'events',
  'bytes',
  'blanks',
  'paths',
  'folders',
  'given',
  'grown-map',
  'small-file',
  'suggest',
  'yaml',
]);

/** The only places that may import a module. */
const owners: Readonly<Record<string, readonly string[]>> = {
  'dockerfile-ast': ['dockerfile/'],
  'tar-stream': ['layer/'],
  'node:zlib': ['layer/', 'git/'],
  undici: ['registry/'],
  minimatch: ['context/'],
  pino: ['report/'],
  'smol-toml': ['registry/'],
  '@noble/ciphers/salsa.js': ['trust/'],
  '@opentelemetry/api': ['report/open-telemetry.ts'],
  '@opentelemetry/otlp-exporter-base': ['report/open-telemetry.ts'],
  '@opentelemetry/otlp-transformer': ['report/open-telemetry.ts'],
  '@opentelemetry/resources': ['report/open-telemetry.ts'],
  '@opentelemetry/sdk-trace': ['report/open-telemetry.ts'],
  koffi: ['linux/'],
  'node:child_process': ['linux/', 'sandbox/', 'registry/credential-helper.ts'],
  'node:dns': [], // it asks libc's resolver
  'node:dns/promises': ['registry/'],
};

/** Text that may stand only in these places. */
const reserved: readonly { readonly what: string; readonly pattern: RegExp; readonly allowed: readonly string[] }[] = [
  { what: 'import() at run time', pattern: /\bimport\s*\(/, allowed: [] },
  {
    what: 'require()',
    pattern: /\b(?:require|createRequire)\s*\(/,
    allowed: ['start.ts', 'report/json.ts', 'git/ssh.ts', 'layer/ustar.ts', 'yaml.ts', 'cli/build/telemetry.ts'],
  },
  { what: 'a default export', pattern: /\bexport\s+default\b/, allowed: [] },
  { what: 'a barrel (export … from)', pattern: /\bexport\s+(?:type\s+)?(?:\*|\{[^}]*\})\s*from\b/, allowed: [] },
  { what: 'process.env', pattern: /\bprocess\.env\b/, allowed: ['start.ts', 'linux/invocation.ts', 'linux/shown-start.ts'] },
  { what: 'process.argv', pattern: /\bprocess\.argv\b/, allowed: ['cli/', 'start.ts', 'linux/invocation.ts'] },
  { what: 'process.stdout or stderr', pattern: /\bprocess\.(?:stdout|stderr)\b/, allowed: ['cli/'] },
  { what: 'console', pattern: /\bconsole\.\w/, allowed: [] },
  { what: 'mkdir with recursive, which never ends below /proc,', pattern: /\bmkdir(?:Sync)?\([^;]*\brecursive: true/, allowed: [] },
  { what: 'process.execPath', pattern: /\bprocess\.execPath\b/, allowed: ['cli/', 'start.ts'] },
];

function roomOf(file: SourceFile, specifier: string): string {
  const target = normalize(join(dirname(file.path), specifier));
  return (target.split('/')[0] ?? target).replace(/\.ts$/, '');
}

function isWithin(path: string, places: readonly string[]): boolean {
  return places.some((place) => (place.endsWith('/') ? path.startsWith(place) : path === place));
}

/** Each breach as one line that names the file. */
function breaches(files: readonly SourceFile[]): readonly string[] {
  return files.flatMap((file) => {
    const allowed = mayImport[file.room];
    if (allowed === undefined) return [`${file.path}: the room "${file.room}" is not in the table`];
    const imports = file.imports.flatMap((specifier) => {
      if (!specifier.startsWith('.')) {
        const places = owners[specifier];
        if (places !== undefined)
          return isWithin(file.path, places) ? [] : [`${file.path}: only ${places.join(', ') || 'nobody'} may import ${specifier}`];
        return specifier.startsWith('node:') ? [] : [`${file.path}: package ${specifier} has no owner`];
      }
      if (!specifier.endsWith('.ts')) return [`${file.path}: "${specifier}" lacks its .ts`];
      const room = roomOf(file, specifier);
      return room === file.room || openToAll.has(room) || allowed.includes(room)
        ? []
        : [`${file.path}: ${file.room} may not import ${room}`];
    });
    const words = reserved
      .filter((rule) => rule.pattern.test(file.code) && !isWithin(file.path, rule.allowed))
      .map((rule) => `${file.path}: ${rule.what} is not allowed here`);
    return [...imports, ...words];
  });
}

const sources = readSourceFiles(join(root, 'src'));

test('every import points downward and every package is imported by its owner only', () => {
  assert.ok(sources.length > 10, 'the sources were found');
  assert.deepEqual(breaches(sources), []);
});

test('every exception in these tables is one that the sources need', () => {
  const uses = (place: string, isUse: (file: SourceFile) => boolean): boolean =>
    sources.some((file) => isWithin(file.path, [place]) && isUse(file));
  const idleOwners = Object.entries(owners).flatMap(([name, places]) =>
    places.filter((place) => !uses(place, (file) => file.imports.includes(name))).map((place) => `${place} does not import ${name}`),
  );
  const idleWords = reserved.flatMap(({ what, pattern, allowed }) =>
    allowed.filter((place) => !uses(place, (file) => pattern.test(file.code))).map((place) => `${place} has no ${what}`),
  );
  assert.deepEqual([...idleOwners, ...idleWords], []);
});

test('no folder or file has a name that says nothing', () => {
  const empty = /(?:^|\/)(?:index|utils?|helpers?|common|misc|shared|manager)(?:\.ts|\/|$)/;
  assert.deepEqual(
    sources.map((file) => file.path).filter((path) => empty.test(path)),
    [],
  );
});

test('ARCHITECTURE.md shows the same table as this test', () => {
  const text = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
  const rows = [...text.matchAll(/^\| `([a-z]+)` \| ([^|]+) \|/gm)].map((row) => [row[1], (row[2] ?? '').match(/[a-z]+/g) ?? []]);
  const shown = Object.fromEntries(rows.map(([room, names]) => [room, names?.toString() === 'nothing' ? '' : String(names)]));
  const expected = Object.entries(mayImport).filter(([room]) => !openToAll.has(room));
  assert.deepEqual(shown, Object.fromEntries(expected.map(([room, names]) => [room, names.join(',')])));
});

test('every file that the documents name exists', () => {
  const texts = ['ARCHITECTURE.md', 'CONTRIBUTING.md', 'README.md'].map((name) => readFileSync(join(root, name), 'utf8'));
  const named = texts.flatMap((text) => [...text.matchAll(/`((?:[a-z-]+\/)+[a-z-]+\.(?:ts|sh|md|yaml))`/g)].map((match) => match[1] ?? ''));
  assert.ok(named.length > 20);
  assert.deepEqual(
    named.filter((path) => !existsSync(join(root, path)) && !existsSync(join(root, 'src', path))),
    [],
  );
});

const wrong: readonly { readonly name: string; readonly path: string; readonly text: string; readonly says: RegExp }[] = [
  { name: 'an upward arrow', path: 'oci/a.ts', text: "import { x } from '../build/b.ts';", says: /oci may not import build/ },
  {
    name: 'a type-only upward arrow',
    path: 'layer/a.ts',
    text: "import type {\n  X,\n} from '../rootfs/b.ts';",
    says: /layer may not import rootfs/,
  },
  {
    name: 'a package outside its room',
    path: 'build/a.ts',
    text: "import { request } from 'undici';",
    says: /only registry\/ may import undici/,
  },
  { name: 'a package without an owner', path: 'build/a.ts', text: "import x from 'left-pad';", says: /has no owner/ },
  { name: 'a late import', path: 'cli/a.ts', text: "const x = await import('./b.ts');", says: /import\(\) at run time/ },
  { name: 'a barrel', path: 'oci/a.ts', text: "export * from './b.ts';", says: /barrel/ },
  { name: 'an environment read below the door', path: 'registry/a.ts', text: 'const home = process.env.HOME;', says: /process\.env/ },
  { name: 'a mkdir that may never end', path: 'cli/a.ts', text: 'mkdirSync(path, { recursive: true });', says: /never ends/ },
  { name: 'a new room', path: 'misc/a.ts', text: '', says: /not in the table/ },
];
for (const row of wrong) {
  test(`the import rule notices ${row.name}`, () => assert.match(breaches([sourceFile(row.path, row.text)]).join('\n'), row.says));
}

test('the import rule reads code, not comments', () => {
  assert.deepEqual(
    breaches([sourceFile('oci/a.ts', "// import('x') and process.env are words here\nexport const a = 'https://x';\n")]),
    [],
  );
});
