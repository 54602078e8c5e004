// git's smart HTTP protocol: one GET for the greeting, one POST for each question. gitprotocol-http(5).
import type { Readable } from 'node:stream';
import { BuilderError } from '../errors.ts';
import { given } from '../given.ts';
import { PacketReader } from './packet.ts';
import type { UploadPack } from './protocol.ts';
import { type GitRemote, describeRemote } from './remote.ts';

interface HttpQuestion {
  readonly method: 'GET' | 'POST';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** "verb object", for messages. */
  readonly task: string;
}

interface HttpAnswer {
  readonly status: number;
  /** Where it came from, redirects followed. */
  readonly url: URL;
  /** The receiver owns it. */
  readonly body: Readable;
}

/** Sends a request, redirects followed; credentials stay with the origin they were given for. @throws BuilderError without an answer */
export type Exchange = (question: HttpQuestion, signal: AbortSignal) => Promise<HttpAnswer>;

/**
 * Opens a repository over http or https. `authorization` is that header's value.
 * @throws ERR_AUTH where it is refused, ERR_CONTEXT where there is no repository
 */
export async function openHttp(
  remote: GitRemote,
  authorization: string | undefined,
  exchange: Exchange,
  signal: AbortSignal,
): Promise<UploadPack> {
  const name = describeRemote(remote);
  const task = `read ${name}`;
  const service = '/info/refs?service=git-upload-pack';
  // Some hosts tell git from browsers by the name, and give browsers a page.
  const headers = {
    'user-agent': 'git/2 (yadokari)',
    'accept-encoding': 'identity',
    'git-protocol': 'version=2',
    ...given({ authorization }),
  };
  const base = describeRemote({ ...remote, user: undefined, path: remote.path.replace(/\/+$/, '') });
  const url = new URL(`${base}${service}`);
  const greeting = await exchange({ method: 'GET', url, headers, task }, signal);
  await check(greeting, remote, authorization !== undefined);
  // A repository that has moved is asked where it is now, without the credentials if that is another server.
  const { href } = greeting.url;
  if (!href.endsWith(service)) throw refusal(greeting, name, `${greeting.url.host} sends us to what is no repository`);
  const target = new URL(`${href.slice(0, -service.length)}/git-upload-pack`);
  const { authorization: _, ...open } = headers;
  const sent = target.origin === url.origin ? headers : open;
  return {
    name,
    greeting: new PacketReader(greeting.body, name),
    ask: async (question) => {
      const type = 'application/x-git-upload-pack';
      const answer = await exchange(
        {
          method: 'POST',
          url: target,
          headers: { ...sent, 'content-type': `${type}-request`, accept: `${type}-result` },
          body: question,
          task,
        },
        signal,
      );
      await check(answer, remote, authorization !== undefined);
      return new PacketReader(answer.body, name);
    },
    close: async () => {
      greeting.body.destroy();
    },
  };
}

async function check(answer: HttpAnswer, remote: GitRemote, hasCredentials: boolean): Promise<void> {
  if (answer.status === 200) return;
  const name = describeRemote(remote);
  answer.body.destroy();
  const { status } = answer;
  if (status === 401 || status === 403) {
    throw new BuilderError('ERR_AUTH', `Cannot read ${name}: ${answer.url.host} answered ${status}`, {
      hint: hasCredentials
        ? `the credentials for ${answer.url.host} are wrong or do not allow it`
        : `it wants credentials: --secret id=GIT_AUTH_TOKEN.${answer.url.host},env=NAME; for a context GIT_TOKEN, or GIT_USERNAME and GIT_PASSWORD`,
    });
  }
  const hint =
    status === 404 && !hasCredentials ? 'check the name; a private repository without credentials looks like this, too' : undefined;
  throw refusal(answer, name, `${answer.url.host} answered ${status}`, hint);
}

function refusal(answer: HttpAnswer, name: string, state: string, hint?: string): BuilderError {
  answer.body.destroy();
  return new BuilderError('ERR_CONTEXT', `Cannot read ${name}: ${state}`, { hint });
}
