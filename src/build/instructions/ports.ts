// EXPOSE's port specifications: `[ip:][host:]port[-port][/protocol]` → `port/protocol`.
import { DockerfileError, type SourceRange } from '../../errors.ts';

/**
 * Ports as the config stores them: ranges exploded, protocol in lower case, each once, sorted. An address or a host port
 * says nothing about an image and is left out, as BuildKit does.
 */
export function parsePorts(words: readonly string[], range: SourceRange): readonly string[] {
  return [...new Set(words.flatMap((word) => parsePort(word, range)))].toSorted();
}

function parsePort(word: string, range: SourceRange): readonly string[] {
  const fail = (why: string): never => {
    throw new DockerfileError(`Cannot expose ${JSON.stringify(word)}: ${why}`, range, { hint: 'for example 80, 80/udp or 8000-8010' });
  };
  const slash = word.indexOf('/');
  const protocol = slash === -1 ? 'tcp' : word.slice(slash + 1).toLowerCase() || 'tcp';
  if (!['tcp', 'udp', 'sctp'].includes(protocol)) return fail(`there is no protocol ${JSON.stringify(protocol)}`);
  const address = slash === -1 ? word : word.slice(0, slash);
  const port = address.slice(address.lastIndexOf(':') + 1);
  const match = /^(\d+)(?:-(\d+))?$/.exec(port);
  if (match === null) return fail(port === '' ? 'it has no port' : `${JSON.stringify(port)} is no port`);
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  if (first > 65535 || last > 65535) return fail('ports end at 65535');
  if (last < first) return fail('the range ends before it begins');
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol}`);
}
