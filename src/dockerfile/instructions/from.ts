// FROM and ARG: what a stage is made of before it has any content.
import { given } from '../../given.ts';
import { splitBlanks, splitQuoted } from '../command-line.ts';
import { readFlags } from '../flags.ts';
import type { ArgInstruction, FromInstruction } from '../instruction.ts';
import { type InstructionLine, mistake } from '../instruction-line.ts';

/** `FROM [--platform=P] IMAGE [AS NAME]`. @throws ERR_DOCKERFILE */
export function parseFrom(line: InstructionLine): FromInstruction {
  const flags = readFlags(line, { platform: 'string' });
  const [image, as, name, extra] = splitBlanks(line.command.rest);
  if (image === undefined) throw mistake(line, 'the image is missing', undefined, 'for example FROM debian:12 AS build');
  if (as !== undefined && as.text.toLowerCase() !== 'as') {
    throw mistake(
      line,
      `expected AS after the image, not ${JSON.stringify(as.text)}`,
      as,
      'FROM takes one image, or an image, AS and a stage name',
    );
  }
  if (as !== undefined && name === undefined)
    throw mistake(line, 'the stage name after AS is missing', as, 'for example FROM debian:12 AS build');
  if (extra !== undefined)
    throw mistake(
      line,
      `nothing may follow the stage name, not ${JSON.stringify(extra.text)}`,
      extra,
      'a stage has one name, without blanks',
    );
  if (name !== undefined && !/^[a-z][a-z0-9\-_.]*$/.test(name.text.toLowerCase())) {
    throw mistake(
      line,
      `bad stage name ${JSON.stringify(name.text)}`,
      name,
      'begin with a letter; letters, digits, "-", "_" and "." may follow',
    );
  }
  const platform = flags.one('platform')?.value;
  return {
    ...line.common,
    kind: 'from',
    image: image.text,
    imageRange: line.rangeOf(image),
    ...given({ platform }),
    ...(as === undefined || name === undefined ? {} : { name: name.text, asKeyword: as.text }),
  };
}

/** `ARG NAME[=DEFAULT] …`. @throws ERR_DOCKERFILE */
export function parseArg(line: InstructionLine): ArgInstruction {
  readFlags(line, {});
  const words = splitQuoted(line.command.rest, line.escape);
  if (words.length === 0) throw mistake(line, 'the name is missing', undefined, 'for example ARG VERSION=1.0');
  const args = words.map((word) => {
    const equals = word.text.indexOf('=');
    const name = equals < 0 ? word.text : word.text.slice(0, equals);
    if (name === '') throw mistake(line, 'the name before "=" is missing', word, 'write NAME=value');
    return equals < 0 ? { name } : { name, value: word.text.slice(equals + 1) };
  });
  return { ...line.common, kind: 'arg', args };
}
