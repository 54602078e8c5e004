// Violations written out: for people, as `docker build --check` writes them, and for the tools that read SARIF or
// GitLab's Code Quality format.
import { createHash } from 'node:crypto';
import type { Violation } from './check.ts';
import { type RuleName, ruleOf, rules, ruleUrl } from './check-rules.ts';
import { withoutControls } from './message.ts';

export type CheckFormat = 'text' | 'json' | 'sarif' | 'gitlab';

/** The Dockerfile that was checked: its path as others should see it (relative to the project), and its text. */
export interface CheckedFile {
  readonly path: string;
  readonly text: string;
}

const writers: Readonly<Record<CheckFormat, (violations: readonly Violation[], file: CheckedFile) => string>> = {
  text: formatText,
  json: (violations, file) => toJson(jsonReport(violations, file)),
  sarif: (violations, file) => toJson(sarifReport(violations, file)),
  gitlab: (violations, file) => toJson(gitlabReport(violations, file)),
};

/** The whole report, with a line feed at its end; the same violations give the same bytes. */
export function formatViolations(violations: readonly Violation[], file: CheckedFile, format: CheckFormat): string {
  return writers[format](violations, file);
}

const contextLines = 2;
const rulerWidth = 20;

function formatText(violations: readonly Violation[], file: CheckedFile): string {
  if (violations.length === 0) return 'Check complete, no warnings found.\n';
  const count = violations.length === 1 ? '1 warning has' : `${violations.length} warnings have`;
  const blocks = violations.map((violation) => formatBlock(violation, file));
  return `Check complete, ${count} been found!\n\n${blocks.join('\n')}`;
}

function formatBlock({ rule, url, message, range }: Violation, file: CheckedFile): string {
  const lines = file.text.split(/\r?\n/);
  if (lines.at(-1) === '') lines.pop();
  const first = Math.max(1, range.start.line - contextLines);
  const last = Math.min(lines.length, range.end.line + contextLines);
  const ruler = '-'.repeat(rulerWidth);
  const shown: string[] = [];
  for (let line = first; line <= last; line++) {
    const mark = line >= range.start.line && line <= range.end.line ? '>>>' : '   ';
    shown.push(`${String(line).padStart(4)} | ${mark} ${lines[line - 1] ?? ''}`.trimEnd());
  }
  const block = [`WARNING: ${rule} - ${url}`, message, `${file.path}:${range.start.line}`, ruler, ...shown, ruler];
  return `${block.map(withoutControls).join('\n')}\n`;
}

// The shape of BuildKit's lint result, so that what reads `--call=check,format=json` reads this.
function jsonReport(violations: readonly Violation[], file: CheckedFile): unknown {
  const position = ({ line, column }: Violation['range']['start']): unknown => ({ line, character: column - 1 });
  return {
    warnings: violations.map(({ rule, description, url, message, range }) => {
      return {
        ruleName: rule,
        description,
        url,
        detail: message,
        location: { sourceIndex: 0, ranges: [{ start: position(range.start), end: position(range.end) }] },
      };
    }),
    sources: [{ filename: file.path, language: 'Dockerfile', data: Buffer.from(file.text).toString('base64') }],
  };
}

// SARIF v2.1.0: section 3.13 (log), 3.14 (run), 3.27 (result). Columns count UTF-16 units, as ours do.
function sarifReport(violations: readonly Violation[], file: CheckedFile): unknown {
  const names = (Object.keys(rules) as RuleName[]).toSorted(); // the keys of a constant
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'yadokari',
            rules: names.map((id) => ({ id, shortDescription: { text: ruleOf(id).description }, helpUri: ruleUrl(id) })),
          },
        },
        columnKind: 'utf16CodeUnits',
        results: fingerprinted(violations, file).map(({ violation, fingerprint }) => {
          const { start, end } = violation.range;
          const region = { startLine: start.line, startColumn: start.column, endLine: end.line, endColumn: end.column };
          return {
            ruleId: violation.rule,
            ruleIndex: names.indexOf(violation.rule),
            level: 'warning',
            message: { text: violation.message },
            locations: [{ physicalLocation: { artifactLocation: { uri: encodeURI(file.path) }, region } }],
            partialFingerprints: { 'dockerfileCheck/v1': fingerprint },
          };
        }),
      },
    ],
  };
}

function gitlabReport(violations: readonly Violation[], file: CheckedFile): unknown {
  return fingerprinted(violations, file).map(({ violation, fingerprint }) => {
    return {
      description: violation.message,
      check_name: violation.rule,
      fingerprint,
      severity: violation.rule === 'SecretsUsedInArgOrEnv' ? 'major' : 'minor',
      location: { path: file.path, lines: { begin: violation.range.start.line, end: violation.range.end.line } },
    };
  });
}

// A finding keeps its fingerprint when lines move: it is made of what is said of which text, not of where that stands.
// Equal ones are told apart by their order.
function fingerprinted(
  violations: readonly Violation[],
  file: CheckedFile,
): readonly { readonly violation: Violation; readonly fingerprint: string }[] {
  const lines = file.text.split(/\r?\n/);
  const seen = new Map<string, number>();
  return violations.map((violation) => {
    const text = lines.slice(violation.range.start.line - 1, violation.range.end.line).join('\n');
    const key = JSON.stringify([violation.rule, file.path, violation.message, text]);
    const count = seen.get(key) ?? 0;
    seen.set(key, count + 1);
    return {
      violation,
      fingerprint: createHash('sha256')
        .update(JSON.stringify([key, count]))
        .digest('hex'),
    };
  });
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
