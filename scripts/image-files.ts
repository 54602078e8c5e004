// What the builder image holds, as a list of files: a Node that needs nothing of the root around it, the builder as
// bundles, and certificates. The debug image adds busybox.
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { bundlePrograms } from './bundle.ts';
import { isStatic, replaceText, setLoader, withoutSections } from './elf.ts';
import { findLibraries } from './native-libraries.ts';
import { youngOption } from '../src/linux/invocation.ts';

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
/** Where the program is, without a leading slash. */
export const appFolder = `${home}/app`;
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
    ...nativeFiles(),
    file(`${home}/nss.conf`, 'passwd: files\ngroup: files\nhosts: files dns\n'),
    directory(`${home}/ssl`),
    directory(`${home}/ssl/certs`, 0o777), // people append their own authority here, also as another user
    file(`${home}/ssl/certs/ca-certificates.crt`, `${rootCertificates.join('\n')}\n`, 0o666),
    symlink('yadokari', home),
    // What a pod mounts stands where these links lead, and so where most images have it, whichever of the two names was asked for: every
    // pod's token below /var/run; below /lib a GPU's firmware, while its libraries are below /usr/lib.
    directory('run'),
    directory('var'),
    symlink('var/run', '/run'),
    symlink('lib', 'usr/lib'),
    symlink('lib64', 'usr/lib64'),
  ];
}

/** The builder itself: its programs as bundles, the licences of what is in them, and the commands. */
export async function appFiles(root: string): Promise<readonly ImageFile[]> {
  const { files, packages } = await bundlePrograms(root);
  return [
    homeFolder, // again: the folder of the uppermost layer that has it decides its mode
    file(`${home}/package.json`, '{"type":"commonjs"}\n'), // the commands have no suffix to tell Node what they are
    // By its whole path, as its interpreter: images of others move or copy the file.
    file(`${home}/executor`, `#!/${home}/node ${youngOption}\nrequire('/${appFolder}/start.js');\n`, 0o755),
    symlink(`${home}/yadokari`, 'executor'),
    symlink(`${home}/warmer`, 'executor'),
    file(`${home}/LICENSE`, readFileSync(join(root, 'LICENSE'))),
    directory(appFolder),
    file(`${appFolder}/package.json`, appManifest(root)),
    file(`${appFolder}/licences.txt`, packages.map((folder) => licenceOf(root, folder)).join('\n')),
    ...[...files].map(([name, content]) => file(`${appFolder}/${name}`, content)),
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

/** Where Node's own are, since nowhere else is looked for them. */
function nativeFiles(): readonly ImageFile[] {
  return findLibraries((line) => console.error(line)).flatMap(({ name, library, licence }) => [
    file(`${home}/lib/${name}`, library),
    file(`${home}/lib/${name}.copyright`, licence),
  ]);
}

/** Paths of the libraries that Node needs, its loader among them, sorted. */
export function sharedObjects(): readonly string[] {
  const report: unknown = process.report.getReport();
  if (typeof report !== 'object' || report === null || !('sharedObjects' in report) || !Array.isArray(report.sharedObjects)) return [];
  const loaded = report.sharedObjects.filter((path): path is string => typeof path === 'string');
  // Those of `nativeFiles` are loaded by our own code, which makes the image's layers.
  return loaded.filter((path) => !/\/lib(?:isal|lzma|bz2)\./.test(path)).sort();
}

function appManifest(root: string): string {
  const manifest: unknown = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  if (typeof manifest !== 'object' || manifest === null || !('version' in manifest))
    throw new Error('Cannot read package.json: no version');
  return `${JSON.stringify({ name: 'yadokari', version: manifest.version, license: 'Apache-2.0', type: 'commonjs', private: true })}\n`;
}

const licenceFile = /^(?:licen[cs]e|copying|notice)/i;

/** What the packages in a bundle ask for: that their terms go with them. */
function licenceOf(root: string, folder: string): string {
  const manifest = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as { readonly [key: string]: unknown }; // npm's
  const texts = readdirSync(join(root, folder))
    .filter((name) => licenceFile.test(name))
    .sort();
  if (texts.length === 0 && typeof manifest['license'] !== 'string') throw new Error(`Cannot ship ${folder}: it doesn't say its licence`);
  const head = `${folder.replace('node_modules/', '')} ${String(manifest['version'])}: ${texts.length === 0 ? String(manifest['license']) : texts.join(', ')}`;
  return [head, ...texts.map((name) => readFileSync(join(root, folder, name), 'utf8'))].join('\n\n');
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
