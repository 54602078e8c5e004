// How CI systems want to be told what belongs together and what is wrong where.
import type { SourceRange } from '../errors.ts';

/** What a CI system folds: the lines between `open` and `close`. */
export interface Group {
  /** Letters, digits, `_`, `.` and `-`; no two of a build are the same. */
  readonly id: string;
  readonly title: string;
  /** Folded until somebody asks. */
  readonly isFolded: boolean;
}

interface Annotation {
  readonly level: 'error' | 'warning';
  readonly message: string;
  /** The Dockerfile's name, where the place is in it. */
  readonly file?: string;
  readonly range?: SourceRange;
}

export interface Dialect {
  /** The line that begins a group; it shows the title. */
  readonly open: (group: Group, ms: number) => string;
  /** The line that ends it; undefined where the next group does. */
  readonly close: (group: Group, ms: number) => string | undefined;
  /** The line that opens the last group again when a build fails; undefined where there is none. */
  readonly unfold?: string;
  /** A line that the CI system shows beside the code; undefined where it has none. */
  readonly annotate: (annotation: Annotation) => string | undefined;
  /** The line that gives a later step a variable; undefined where that is done by a file. */
  readonly setVariable?: (name: 'digest' | 'image', value: string) => string;
}

export const ciNames = ['auto', 'none', 'azure', 'buildkite', 'github', 'gitlab', 'teamcity'] as const;
export type CiName = (typeof ciNames)[number];

/** Commands that CI systems look for in the middle of a line or at its beginning: no stranger must be able to give them. */
export function withoutCommands(text: string): string {
  return text.replace(/##(?=vso\[|\[|teamcity\[)/gi, '# #').replace(/^(\s*):(?=:)/gm, '$1: ');
}

const none = (): undefined => undefined;

/** docs.github.com, "Workflow commands": properties and messages are escaped differently. Gitea and Forgejo read the same. */
const github: Dialect = {
  open: ({ title }) => `::group::${escapeGithub(title)}`,
  close: () => '::endgroup::',
  annotate: ({ level, message, file, range }) => {
    const place =
      file === undefined
        ? []
        : [
            ['file', file],
            ...(range === undefined
              ? []
              : [
                  ['line', String(range.start.line)],
                  ['endLine', String(range.end.line)],
                ]),
          ];
    const properties = [...place, ['title', 'yadokari']].map(([key = '', value = '']) => `${key}=${escapeGithub(value, true)}`);
    return `::${level} ${properties.join(',')}::${escapeGithub(message)}`;
  },
};

function escapeGithub(text: string, isProperty = false): string {
  const escaped = text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
  return isProperty ? escaped.replaceAll(':', '%3A').replaceAll(',', '%2C') : escaped;
}

/** docs.gitlab.com, "Custom collapsible sections": seconds, and an erased line before each title. */
const gitlab: Dialect = {
  open: ({ id, title, isFolded }, ms) =>
    `\u001b[0Ksection_start:${Math.floor(ms / 1000)}:${id}${isFolded ? '[collapsed=true]' : ''}\r\u001b[0K${title}`,
  close: ({ id }, ms) => `\u001b[0Ksection_end:${Math.floor(ms / 1000)}:${id}\r\u001b[0K`,
  annotate: none,
};

/** buildkite.com/docs, "Managing log output": a group ends where the next begins. */
const buildkite: Dialect = {
  open: ({ title, isFolded }) => `${isFolded ? '---' : '+++'} ${title}`,
  close: none,
  unfold: '^^^ +++',
  annotate: none,
};

/** learn.microsoft.com, "Logging commands" of Azure Pipelines. */
const azure: Dialect = {
  open: ({ title }) => `##[group]${title}`,
  close: () => '##[endgroup]',
  annotate: ({ level, message, file, range }) => {
    const place =
      file === undefined ? '' : `sourcepath=${escapeAzure(file, true)};${range === undefined ? '' : `linenumber=${range.start.line};`}`;
    return `##vso[task.logissue type=${level};${place}]${escapeAzure(message)}`;
  },
  setVariable: (name, value) => `##vso[task.setvariable variable=${name === 'digest' ? 'IMAGE_DIGEST' : 'IMAGE'};isOutput=true]${value}`,
};

// A second line of a message would be looked at for commands by itself.
function escapeAzure(text: string, isProperty = false): string {
  const escaped = text.replaceAll('%', '%AZP25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
  return isProperty ? escaped.replaceAll(';', '%3B').replaceAll(']', '%5D') : escaped;
}

/** jetbrains.com/help/teamcity, "Service messages". */
const teamcity: Dialect = {
  open: ({ title }) => `##teamcity[blockOpened name='${escapeTeamcity(title)}']`,
  close: ({ title }) => `##teamcity[blockClosed name='${escapeTeamcity(title)}']`,
  annotate: ({ level, message }) =>
    level === 'error' ? `##teamcity[buildProblem description='${escapeTeamcity(message.slice(0, 3900))}']` : undefined,
  setVariable: (name, value) => `##teamcity[setParameter name='yadokari.${name}' value='${escapeTeamcity(value)}']`,
};

function escapeTeamcity(text: string): string {
  return text
    .replace(/[|'[\]]/g, '|$&')
    .replaceAll('\n', '|n')
    .replaceAll('\r', '|r');
}

const dialects: Readonly<Record<Exclude<CiName, 'auto'>, Dialect | undefined>> = {
  none: undefined,
  azure,
  buildkite,
  github,
  gitlab,
  teamcity,
};

/** The dialect of this name, or of the CI system that set these variables. */
export function dialectOf(name: CiName, env: Readonly<Record<string, string | undefined>>): Dialect | undefined {
  return dialects[name === 'auto' ? detectCi(env) : name];
}

/** Which CI system runs us, by the variables that each documents. */
export function detectCi(env: Readonly<Record<string, string | undefined>>): Exclude<CiName, 'auto'> {
  const isTrue = (variable: string): boolean => (env[variable] ?? '').toLowerCase() === 'true';
  if (isTrue('GITHUB_ACTIONS') || isTrue('GITEA_ACTIONS') || isTrue('FORGEJO_ACTIONS')) return 'github';
  if (isTrue('GITLAB_CI')) return 'gitlab';
  if (isTrue('BUILDKITE')) return 'buildkite';
  if (isTrue('TF_BUILD')) return 'azure';
  return env['TEAMCITY_VERSION'] === undefined ? 'none' : 'teamcity';
}
