// The flags that change what an image's config says, by buildah's names. What they do is cli/image-settings.ts.
import type { FlagSpec } from '../flags.ts';

const ofContainers = "an engine gives each container its own; no image's counts";

/** One word, or a text: an empty one takes away what was set. */
function text(name: string, value: string, about: string, more: Partial<FlagSpec> = {}): FlagSpec {
  return { name, kind: 'text', value, about, empty: 'clears', ...more };
}

/** `NAME=value`, `NAME-` to take one away, `-` to take all away; may be repeated. */
function list(name: string, value: string, about: string, more: Partial<FlagSpec> = {}): FlagSpec {
  return { name, kind: 'list', value, about, details: `${about}; ${value.split('=', 1)[0] ?? ''}- takes one away, - all`, ...more };
}

/** Applied by `applyImageSettings`. */
export const imageSettingFlags: readonly FlagSpec[] = [
  list('env', 'NAME=VALUE', 'a variable; NAME alone: as it is set here', { short: 'e', isCommon: true }),
  text('entrypoint', 'COMMAND', 'a JSON list, or a line for /bin/sh -c', { isCommon: true }),
  text('cmd', 'WORDS', 'what runs, or arguments of the entry point', {
    isCommon: true,
    details: 'words as a shell splits them, or a JSON list',
  }),
  text('user', 'USER[:GROUP]', 'who runs it', { short: 'u', isCommon: true }),
  text('workingdir', 'FOLDER', 'where it runs', { isCommon: true }),
  list('label', 'NAME=VALUE', 'a label', { short: 'l', isCommon: true }),
  list('port', 'PORT[/PROTOCOL]', 'a port that it listens on', { short: 'p', isCommon: true }),
  list('volume', 'FOLDER', 'a folder whose content outlives containers', { short: 'v', isCommon: true }),
  text('stop-signal', 'SIGNAL', 'how it is asked to end'),
  text('shell', 'WORDS', 'the shell of later RUN, CMD and ENTRYPOINT lines'),
  { name: 'onbuild', kind: 'list', value: 'INSTRUCTION', about: 'an instruction for builds on top of the image' },
  text('healthcheck', 'CMD …', 'how an engine sees that it is well: CMD, CMD-SHELL or NONE'),
  text('healthcheck-interval', 'TIME', 'between two of these'),
  text('healthcheck-timeout', 'TIME', 'for one of these'),
  text('healthcheck-start-period', 'TIME', 'in which failures do not count'),
  text('healthcheck-start-interval', 'TIME', 'between two of these meanwhile'),
  { name: 'healthcheck-retries', kind: 'number', value: 'N', about: 'failures in a row that count' },
  list('annotation', 'NAME=VALUE', 'an annotation of the manifest', { short: 'a' }),
  text('author', 'TEXT', 'who made it'),
  text('comment', 'TEXT', 'a comment on the image'),
  text('arch', 'ARCH', 'the architecture that it is for'),
  text('variant', 'VARIANT', 'the variant of the architecture'),
  text('os', 'OS', 'the system that it is for'),
  text('os-version', 'VERSION', 'the version of the system'),
  list('os-feature', 'NAME', 'a feature of the system that it needs'),
  text('created-by', 'TEXT', 'of the history entry: what made it'),
  text('history-comment', 'TEXT', 'of the history entry: a comment'),
  { name: 'hostname', kind: 'text', about: '', inert: ofContainers },
  { name: 'domainname', kind: 'text', about: '', inert: ofContainers },
];
