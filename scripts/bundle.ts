// The builder as the image has it: each of its programs in one file with all that it imports, the code that V8 compiles of it, and what
// leads back to the sources. In development the sources run as they are.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, extname, join } from 'node:path';
import { type BuildOptions, type Plugin, build } from 'esbuild';
import { sourceLines } from './source-lines.ts';

/** File names and contents. */
export type Files = ReadonlyMap<string, Buffer>;

export interface Bundles {
  /** What stands in one folder, side by side. */
  readonly files: Files;
  /** Folders of the packages that went in, below the root of this repository. */
  readonly packages: readonly string[];
}

/** Programs by their names in the image. */
const programs = {
  start: 'src/start.ts',
  main: 'src/main.ts',
  'run-thread': 'src/surroundings/run-thread.ts',
  enter: 'src/sandbox/enter.ts',
  'enter-container': 'src/sandbox/enter-container.ts',
} as const;

/** What few builds need, in files of their own that are read when it is: together more than a megabyte, which every start would read. */
const apart = {
  ssh2: 'node_modules/ssh2/lib/index.js',
  yaml: 'node_modules/yaml/dist/index.js',
  pino: 'node_modules/pino/pino.js',
  'open-telemetry': 'src/report/open-telemetry.ts',
  // For processors without SIMD.
  'llhttp-wasm': 'node_modules/undici/lib/llhttp/llhttp-wasm.js',
} as const;

/** Bundles all programs of `root`: same sources and machine, same bytes. */
export async function bundlePrograms(root: string): Promise<Bundles> {
  const loader = await bundle(root, 'scripts/bundle-loader.ts');
  const files = new Map<string, Buffer>([
    ['koffi.node', readFileSync(join(root, nativeKoffi()))],
    ['errors.md', readFileSync(join(root, 'docs/errors.md'))],
  ]);
  const packages = new Set(['node_modules/koffi']);
  for (const [name, entry] of Object.entries(apart)) {
    const part = await bundle(root, entry);
    files.set(`${name}.js`, part.code);
    for (const folder of part.packages) packages.add(folder);
  }
  for (const [name, entry] of Object.entries(programs)) {
    const program = await bundle(root, entry, {
      format: 'iife',
      banner: { js: '(function (require, __filename, __dirname, __url) {' },
      footer: { js: '})' },
    });
    files.set(`${name}.js`, loader.code);
    files.set(`${name}.bundle.js`, program.code);
    files.set(`${name}.bundle.js.lines`, sourceLines(program.map));
    files.set(`${name}.bundle.js.cache`, compile(root, program.code));
    for (const folder of program.packages) packages.add(folder);
  }
  return { files, packages: [...packages].sort() };
}

interface Bundle {
  readonly code: Buffer;
  readonly map: string;
  readonly packages: readonly string[];
}

async function bundle(
  root: string,
  entry: string,
  options: Pick<BuildOptions, 'format' | 'banner' | 'footer'> = { format: 'cjs' },
): Promise<Bundle> {
  const result = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outdir: root, // so that the map names sources by their paths in the repository
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    target: `node${process.versions.node}`,
    sourcemap: 'external',
    sourcesContent: false,
    legalComments: 'none',
    minifyWhitespace: true,
    lineLimit: 1000, // a column of ours has two bytes
    define: {
      'import.meta.url': '__url',
      'import.meta.filename': '__filename',
      'import.meta.dirname': '__dirname',
      esbuildDetection: 'true', // by this undici leaves out its second parser, as in Node
    },
    plugins: [asInTheImage],
    logLevel: 'warning',
    ...options,
  });
  const output = (suffix: string): Buffer => {
    const file = result.outputFiles.find(({ path }) => path.endsWith(suffix));
    if (file === undefined) throw new Error(`Cannot bundle ${entry}: esbuild made no ${suffix}`);
    return Buffer.from(file.contents);
  };
  const inputs = Object.keys(result.metafile.inputs);
  const packages = new Set(inputs.flatMap((path) => /^node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? []));
  // Regular expressions and comments are all that esbuild leaves as they are; in ASCII, V8 keeps a byte for a character, not two.
  const code = output('.js')
    .toString()
    .replaceAll(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return { code: Buffer.from(code), map: output('.js.map').toString(), packages: [...packages] };
}

/** What nothing of ours comes to, and what is answered in its place: no body of ours is a form of `fetch`. */
const leftOutOfUndici = {
  'dispatcher/client-h2': "module.exports = () => { throw new Error('HTTP/2 is not part of this program'); };",
  'web/fetch/body': "throw new Error('fetch is not part of this program');",
  'web/fetch/formdata': '',
  'web/webidl/index': 'module.exports = { webidl: { is: { FormData: () => false } } };',
};

const asInTheImage: Plugin = {
  name: 'as in the image',
  setup: (bundler) => {
    // What is loaded where it is needed is in the bundle too, and only run later.
    bundler.onLoad({ filter: /\/(?:src|scripts)\/.*\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replaceAll('createRequire(import.meta.url)(', 'require('),
      loader: 'ts',
    }));
    // Its own loader reads Node's binary to find out about the libc, and tries several places; in the image there is one.
    bundler.onResolve({ filter: /^koffi$/ }, () => ({ path: './koffi.node', external: true }));
    bundler.onResolve({ filter: /^(?:ssh2|yaml|pino)$|\/(?:open-telemetry\.ts|llhttp-wasm\.js)$/ }, ({ kind, path }) =>
      kind === 'entry-point' ? undefined : { path: `./${basename(path, extname(path))}.js`, external: true },
    );
    // ssh2 does without; left to be found at run time, they could come from an image's /node_modules.
    bundler.onResolve({ filter: /^cpu-features$|\.node$/ }, ({ path }) => ({ path, namespace: 'left-out' }));
    bundler.onLoad({ filter: /.*/, namespace: 'left-out' }, () => ({ contents: "throw new Error('left out');" }));
    // Of undici, what src/registry/http-client.ts imports, as its index.js puts it together; fetch, caches and HTTP/2, which is
    // switched off there, are three quarters of its time to load.
    bundler.onResolve({ filter: /^undici$/ }, ({ path }) => ({ path, namespace: 'part-of-undici' }));
    bundler.onLoad({ filter: /.*/, namespace: 'part-of-undici' }, () => ({
      resolveDir: join(import.meta.dirname, '../node_modules/undici'),
      contents: `
        import api from './lib/api';
        import dispatcher from './lib/dispatcher/dispatcher';
        Object.assign(dispatcher.prototype, api);
        export { default as Agent } from './lib/dispatcher/agent';
        export { default as Pool } from './lib/dispatcher/pool';
        export { default as ProxyAgent } from './lib/dispatcher/proxy-agent';
        export { default as buildConnector } from './lib/core/connect';`,
    }));
    for (const [name, contents] of Object.entries(leftOutOfUndici))
      bundler.onLoad({ filter: new RegExp(`/undici/lib/${name}\\.js$`) }, () => ({ contents }));
  },
};

function nativeKoffi(): string {
  return `node_modules/@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`;
}

function compile(root: string, code: Buffer): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'bundle-'));
  try {
    const file = join(folder, 'bundle.js');
    writeFileSync(file, code);
    const args = ['--random-seed=1', '--disable-warning=ExperimentalWarning', join(root, 'scripts/compile-bundle.ts'), file];
    return execFileSync(process.execPath, args, { maxBuffer: 256 * 1024 * 1024 });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
