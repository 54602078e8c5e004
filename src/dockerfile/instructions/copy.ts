// COPY and ADD: flags, sources (words and heredocs) and a destination.
import { given } from '../../given.ts';
import { type Span, splitBlanks } from '../command-line.ts';
import { type Flags, type FlagType, readFlags } from '../flags.ts';
import { parseHeredocWord } from '../heredoc.ts';
import type { CopyInstruction, CopySource, Flag } from '../instruction.ts';
import { type InstructionLine, mistake } from '../instruction-line.ts';
import { parseJsonForm } from '../json-form.ts';
import { plainHeredoc } from './command.ts';

const shared = { chown: 'string', chmod: 'string', link: 'bool', exclude: 'list' } as const;
const flagsOf: Readonly<Record<'copy' | 'add', Readonly<Record<string, FlagType>>>> = {
  copy: { from: 'string', ...shared, parents: 'bool' },
  add: { ...shared, checksum: 'string', 'keep-git-dir': 'bool', unpack: 'bool' },
};

/** `COPY [flags] SOURCE… DESTINATION`, and ADD. @throws ERR_DOCKERFILE */
export function parseCopy(line: InstructionLine, kind: 'copy' | 'add'): CopyInstruction {
  const flags = readFlags(line, flagsOf[kind]);
  const words = readArguments(line);
  const destination = words.at(-1);
  if (destination === undefined || words.length < 2) {
    const state = destination === undefined ? 'source and destination are missing' : 'the destination is missing';
    throw mistake(line, state, destination, `write ${line.name} SOURCE DESTINATION`);
  }
  if (line.heredocs.length > 0 && parseHeredocWord(destination.text) !== undefined) {
    throw mistake(line, "the destination can't be a heredoc", destination, `put the path last: ${line.name} ${destination.text} /path`);
  }
  return {
    ...line.common,
    kind,
    sources: readSources(line, words.slice(0, -1)),
    destination: destination.text,
    ...given({
      from: checkFrom(line, flags),
      chown: flags.one('chown'),
      chmod: flags.one('chmod'),
      checksum: flags.one('checksum'),
      unpack: flags.bool('unpack'),
    }),
    link: flags.bool('link') ?? false,
    parents: flags.bool('parents') ?? false,
    excludes: flags.all('exclude'),
    keepGitDir: flags.bool('keep-git-dir') ?? false,
  };
}

function readArguments(line: InstructionLine): readonly Span[] {
  const { rest } = line.command;
  const json = parseJsonForm(rest.text);
  if (json.kind === 'mixed') throw mistake(line, 'a JSON array may hold strings only', rest, 'quote every element');
  if (json.kind === 'strings') return json.values.map((text) => ({ text, start: rest.start, end: rest.end }));
  const words: Span[] = [];
  for (const word of splitBlanks(rest)) {
    // `<< NAME` is one word to the shell, and so it is here.
    const previous = words.at(-1);
    if (line.heredocs.length > 0 && previous !== undefined && /^\d*<<-?$/.test(previous.text)) {
      words[words.length - 1] = { text: previous.text + word.text, start: previous.start, end: word.end };
    } else words.push(word);
  }
  return words;
}

function readSources(line: InstructionLine, words: readonly Span[]): readonly CopySource[] {
  const heredocs = [...line.heredocs];
  const sources = words.map((word): CopySource => {
    const heredoc = line.heredocs.length > 0 && parseHeredocWord(word.text) !== undefined ? heredocs.shift() : undefined;
    if (heredoc !== undefined) return { kind: 'heredoc', heredoc: plainHeredoc(heredoc) };
    return { kind: 'word', word: word.text, range: line.rangeOf(word) };
  });
  const [left] = heredocs;
  if (left !== undefined)
    throw mistake(line, `heredoc name ${JSON.stringify(left.name)} holds blanks`, line.command.rest, 'use a name of one word');
  return sources;
}

function checkFrom(line: InstructionLine, flags: Flags): Flag | undefined {
  const from = flags.one('from');
  const span = line.command.flags.find((candidate) => candidate.text.startsWith('--from='));
  if (from?.value === '') throw mistake(line, '--from is empty', span, 'name a stage or an image');
  if (from?.value?.includes('$') === true) {
    throw mistake(line, "--from can't hold variables", span, `put FROM ${from.value} AS name above, and write --from=name`);
  }
  return from;
}
