// ExposeProtoCasing, ExposeInvalidFormat.
import { BuilderError } from '../../errors.ts';
import type { CheckContext, Finding } from '../check-scope.ts';
import { parsePort } from '../ports.ts';
import { expandWords } from '../words.ts';

/** Ports as EXPOSE wants them: number and protocol, in lower case. */
export function* checkPorts({ dockerfile, stages }: CheckContext): Generator<Finding> {
  for (const { instruction, scope } of stages.flatMap((stage) => stage.steps)) {
    if (instruction.kind !== 'expose') continue;
    for (const word of instruction.words.flatMap((text) => trySplit(text, scope.environment, dockerfile.escape))) {
      const slash = word.indexOf('/');
      const protocol = slash < 0 ? '' : word.slice(slash + 1);
      if (protocol !== protocol.toLowerCase()) {
        yield { rule: 'ExposeProtoCasing', message: `Defined protocol '${word}' in EXPOSE instruction should be lowercase`, instruction };
      }
      const port = parsePort(word);
      if ('ports' in port && port.hasHostPart) {
        const message = `EXPOSE instruction should not define an IP address or host-port mapping, found '${word}'`;
        yield { rule: 'ExposeInvalidFormat', message, instruction };
      }
    }
  }
}

function trySplit(word: string, environment: ReadonlyMap<string, string>, escape: '\\' | '`'): readonly string[] {
  try {
    return expandWords(word, environment, { escape }).words;
  } catch (error) {
    if (error instanceof BuilderError) return [];
    throw error;
  }
}
