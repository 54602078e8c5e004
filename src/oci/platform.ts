// os/arch/variant, as in image indexes, `--platform` and `--custom-platform`.
import { BuilderError } from '../errors.ts';
import { given } from '../given.ts';

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly osVersion?: string;
}

const architectureAliases: ReadonlyMap<string, { readonly architecture: string; readonly variant?: string }> = new Map([
  ['x86_64', { architecture: 'amd64' }],
  ['x86-64', { architecture: 'amd64' }],
  ['i386', { architecture: '386' }],
  ['aarch64', { architecture: 'arm64' }],
  ['armhf', { architecture: 'arm', variant: 'v7' }],
  ['armel', { architecture: 'arm', variant: 'v6' }],
]);

const systems = 'linux windows darwin freebsd openbsd netbsd dragonfly solaris illumos aix android plan9 wasi wasip1'.split(' ');
const architectures = '386 amd64 arm arm64 loong64 mips mipsle mips64 mips64le ppc64 ppc64le riscv64 s390x wasm'.split(' ');

/** Platform of the machine we run on, from Node's `process.arch` name. */
export function hostPlatform(nodeArch: string): Platform {
  const names: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };
  return normalizePlatform({ os: 'linux', architecture: names[nodeArch] ?? nodeArch });
}

/** @throws ERR_USAGE when the text is not `os[/arch[/variant]]`. */
export function parsePlatform(text: string, host: Platform): Platform {
  const parts = text.split('/');
  if (parts.length > 3 || parts.some((part) => !/^[A-Za-z0-9_.-]+(?:\([A-Za-z0-9_.-]*\))?$/.test(part))) {
    throw new BuilderError('ERR_USAGE', `Cannot use platform ${JSON.stringify(text)}: expected os/arch or os/arch/variant`, {
      hint: 'for example linux/amd64 or linux/arm/v7',
    });
  }
  const [first = '', second, variant] = parts;
  if (second === undefined) {
    // containerd's rule: one word is an operating system or an architecture, if it is a known one.
    if (systems.includes(first.toLowerCase())) return normalizePlatform({ ...host, os: first });
    const platform = normalizePlatform({ os: host.os, architecture: first });
    if (architectures.includes(platform.architecture)) return platform;
    const message = `Cannot use platform ${JSON.stringify(text)}: no operating system and no architecture is called so`;
    throw new BuilderError('ERR_USAGE', message, { hint: 'for example linux/amd64, or arm64' });
  }
  return normalizePlatform({ os: first, architecture: second, ...given({ variant }) });
}

/** Lower case, usual names, and no variant where it says nothing (arm64/v8, amd64/v1). */
export function normalizePlatform(platform: Platform): Platform {
  const named = platform.architecture.toLowerCase();
  const alias = architectureAliases.get(named);
  const architecture = alias?.architecture ?? named;
  let variant = (platform.variant ?? alias?.variant)?.toLowerCase();
  if (architecture === 'arm64' && (variant === 'v8' || variant === '8')) variant = undefined;
  if (architecture === 'amd64' && variant === 'v1') variant = undefined;
  if (architecture === 'arm') variant = variant === undefined ? 'v7' : /^\d$/.test(variant) ? `v${variant}` : variant;
  return {
    os: platform.os.toLowerCase(),
    architecture,
    ...given({ variant, osVersion: platform.osVersion }),
  };
}

/** `linux/arm/v7`. */
export function formatPlatform(platform: Platform): string {
  return [platform.os, platform.architecture, ...(platform.variant === undefined ? [] : [platform.variant])].join('/');
}

/** True where an image for `offered` can be had for what was asked for. */
export function platformMatches(offered: Platform, wanted: Platform): boolean {
  return platformDistance(offered, wanted) !== undefined;
}

/**
 * How far `offered` is from what was asked for: 0 is the very thing, undefined is no match. An older variant does, the newest first
 * (containerd's order); where no variant is asked for, one that needs more than the oldest is the last resort.
 */
export function platformDistance(offered: Platform, wanted: Platform): number | undefined {
  const have = normalizePlatform(offered);
  const want = normalizePlatform(wanted);
  if (have.os !== want.os || have.architecture !== want.architecture) return undefined;
  if (have.variant === want.variant) return 0;
  const steps = levelOf(want) - levelOf(have);
  if (steps > 0) return steps;
  return want.variant === undefined ? lastResort - (Number.isNaN(steps) ? 0 : steps) : undefined;
}

const lastResort = 1000;
const oldest: Readonly<Record<string, number>> = { amd64: 1, arm64: 8 };

/** The number of a variant: `v3` is 3. */
function levelOf({ architecture, variant }: Platform): number {
  return variant === undefined ? (oldest[architecture] ?? Number.NaN) : Number(variant.replace(/^v/, ''));
}
