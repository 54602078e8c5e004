// usage: npm run quickstart
// From a fresh clone to a built image, without a container engine, a registry or root: makes the builder image, a bare
// Node as base image, and builds examples/hello on it in a throwaway root.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join, relative } from 'node:path';
import { hostPlatform } from '../src/oci/platform.ts';
import { readLayout } from '../src/store/oci-layout.ts';
import { bareNodeConfig, bareNodeFiles } from './bare-node.ts';
import { writeImageLayout } from './image-layout.ts';

const root = join(import.meta.dirname, '..');
const inBuild = (name: string): string => join(root, 'build', name);
const shown = (path: string): string => (path === process.execPath ? 'node' : relative(root, path));

/** Runs one program with its output shown, and ends with its status if that is not 0. */
function run(program: string, ...args: string[]): void {
  console.log(`$ ${[shown(program), ...args.map((arg) => arg.replace(`${root}/`, ''))].join(' ')}`);
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: 'inherit' });
  if (error !== undefined) throw error;
  if (status !== 0) {
    console.error('quickstart stopped: the command above failed');
    process.exit(status ?? 1);
  }
}

function title(number: number, text: string): void {
  console.log(`\n[${number}/3] ${text}`);
}

function hasProgram(name: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, name)));
}

/** What to do with the image now, by what this machine has. */
function nextSteps(layout: string): readonly string[] {
  const look = ['Run it:', `  podman run --rm -p 8080:8080 oci:${layout}:latest        # then open http://localhost:8080`];
  const push = ['Push it:', `  skopeo copy oci:${layout}:latest docker://registry.example/hello:1.0`];
  return [
    ...(hasProgram('podman') ? look : ['Run it where podman is:', ...look.slice(1)]),
    ...push,
    'or let the builder push it, with the credentials of ~/.docker/config.json:',
    `  bin/yadokari build --context examples/hello --build-context base=oci-layout://build/base --destination registry.example/hello:1.0`,
    'Build something of your own:',
    '  bin/yadokari build --context FOLDER --oci-layout-path build/mine --no-push',
    'Builder image for pods and CI: oci:build/image:latest; README.md says how to use it.',
  ];
}

async function main(): Promise<void> {
  const signal = AbortSignal.timeout(15 * 60_000);
  title(1, 'The builder image, as an OCI layout (the first time takes some seconds to compress Node)');
  run(process.execPath, '--disable-warning=ExperimentalWarning', join(root, 'scripts/image.ts'));

  title(2, 'A base image: this Node on an empty root');
  const base = { folder: inBuild('base'), tag: 'latest', parts: [{ comment: 'a bare Node', files: bareNodeFiles() }] };
  const written = await writeImageLayout({ ...base, config: bareNodeConfig, seconds: 0 }, signal);
  console.log(`${shown(base.folder)}:latest ${written.digest} ${(written.sizeBytes / 1e6).toFixed(1)} MB`);

  title(3, 'examples/hello, built in a throwaway root');
  const hello = inBuild('hello');
  run(
    join(root, 'bin/yadokari'),
    'build',
    `--context=${join(root, 'examples/hello')}`,
    `--build-context=base=oci-layout://${base.folder}`,
    `--oci-layout-path=${hello}`,
    '--no-push',
  );
  const { digest, image } = await readLayout({ folder: hello }, hostPlatform(process.arch), signal);
  console.log(`\nBuilt ${shown(hello)}: ${digest}, ${image.layers.length} layers\n`);
  console.log(nextSteps(shown(hello)).join('\n'));
}

await main();
