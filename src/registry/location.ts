// The Location of an upload, checked: it may be relative, and may lead neither us nor the content astray.
import { RegistryError } from '../errors.ts';
import { type Response, header, redactUrl } from './response.ts';
import { checkAddress } from './transport.ts';

/** Where to go on, as an absolute URL with everything that the registry put into it. @throws RegistryError */
export function locationOf(response: Response, task: string): URL {
  const text = header(response, 'location');
  const fail = (why: string): RegistryError =>
    new RegistryError(`Cannot ${task}: ${response.url.host} ${why}`, {
      method: response.method,
      url: redactUrl(response.url),
      status: response.status,
    });
  if (text === undefined || text === '') throw fail('answered without a Location');
  if (!URL.canParse(text, response.url)) throw fail('answered with a Location that is no URL');
  const url = new URL(text, response.url);
  url.hash = '';
  if (url.username !== '' || url.password !== '') throw fail('answered with a Location that holds credentials');
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw fail(`answered with a ${url.protocol} Location`);
  if (response.url.protocol === 'https:' && url.protocol === 'http:') {
    if (url.hostname !== response.url.hostname) throw fail(`sends the content to ${url.host} without TLS`);
    // Registries behind a TLS proxy often don't know that they are: the same host means the same way back.
    url.protocol = 'https:';
    url.port = response.url.port;
  }
  checkAddress(response.url, url, task);
  return url;
}
