// The flags that change what an image's config says, by buildah's names. What they do is cli/requests/image-settings.ts.
import type { FlagSpec } from '../flags.ts';
import { inert, list, number, text } from './flag.ts';

const ofContainers = "an engine gives each container its own; no image's counts";

/** One word, or a text: an empty one takes away what was set. */
function setting(name: string, value: string, about: string, more?: Partial<FlagSpec>): FlagSpec {
  return text(name, value, about, { empty: 'clears', ...more });
}

/** `NAME=value`, `NAME-` to take one away, `-` to take all away; may be repeated. */
function items(name: string, value: string, about: string, more?: Partial<FlagSpec>): FlagSpec {
  return list(name, value, about, { details: `${about}; ${value.split('=', 1)[0] ?? ''}- takes one away, - all`, ...more });
}

/** Applied by `applyImageSettings`. */
export const imageSettingFlags: readonly FlagSpec[] = [
  items('env', 'NAME=VALUE', 'a variable; NAME alone: as it is set here', { short: 'e', isCommon: true }),
  setting('entrypoint', 'COMMAND', 'a JSON list, or a line for /bin/sh -c', { isCommon: true }),
  setting('cmd', 'WORDS', 'what runs, or arguments of the entry point', {
    isCommon: true,
    details: 'words as a shell splits them, or a JSON list',
  }),
  setting('user', 'USER[:GROUP]', 'who runs it', { short: 'u', isCommon: true }),
  setting('workingdir', 'FOLDER', 'where it runs', { isCommon: true }),
  items('label', 'NAME=VALUE', 'a label', { short: 'l', isCommon: true }),
  items('port', 'PORT[/PROTOCOL]', 'a port that it listens on', { short: 'p', isCommon: true }),
  items('volume', 'FOLDER', 'a folder whose content outlives containers', { short: 'v', isCommon: true }),
  setting('stop-signal', 'SIGNAL', 'how it is asked to end'),
  setting('shell', 'WORDS', 'the shell of later RUN, CMD and ENTRYPOINT lines'),
  list('onbuild', 'INSTRUCTION', 'an instruction for builds on top of the image'),
  setting('healthcheck', 'CMD …', 'how an engine sees that it is well: CMD, CMD-SHELL or NONE'),
  setting('healthcheck-interval', 'TIME', 'between two of these'),
  setting('healthcheck-timeout', 'TIME', 'for one of these'),
  setting('healthcheck-start-period', 'TIME', 'in which failures do not count'),
  setting('healthcheck-start-interval', 'TIME', 'between two of these meanwhile'),
  number('healthcheck-retries', 'N', 'failures in a row that count'),
  items('annotation', 'NAME=VALUE', 'an annotation of the manifest', { short: 'a' }),
  setting('author', 'TEXT', 'who made it'),
  setting('comment', 'TEXT', 'a comment on the image'),
  setting('arch', 'ARCH', 'the architecture that it is for'),
  setting('variant', 'VARIANT', 'the variant of the architecture'),
  setting('os', 'OS', 'the system that it is for'),
  setting('os-version', 'VERSION', 'the version of the system'),
  items('os-feature', 'NAME', 'a feature of the system that it needs'),
  setting('created-by', 'TEXT', 'of the history entry: what made it'),
  setting('history-comment', 'TEXT', 'of the history entry: a comment'),
  inert('text', 'hostname', ofContainers),
  inert('text', 'domainname', ofContainers),
];
