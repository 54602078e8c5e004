// A name server with a zone (`fe80::1%eth0`, as routers announce themselves), for a resolver that drops zones: c-ares under Node asks a
// loopback port, which hands each question on.
import { createSocket } from 'node:dgram';
import { type AddressInfo, type Server, connect, createServer } from 'node:net';

const answerTimeoutMs = 30_000;
const dnsPort = 53;

/**
 * Opens a port on 127.0.0.1 for questions to `server`, over UDP and TCP; gives `127.0.0.1:port`. It ends with the process.
 * @throws what a system without loopback throws
 */
export async function relayTo(server: string): Promise<string> {
  const streams = createServer((client) => {
    const upstream = connect({ host: server, port: dnsPort });
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.unref();
      from.setTimeout(answerTimeoutMs, () => from.destroy());
      from.on('error', () => undefined).once('close', () => to.destroy());
      from.pipe(to);
    }
  });
  const port = await listen(streams);
  const datagrams = createSocket('udp4', (question, peer) => {
    // A socket for each question, so that the kernel lets through what the server itself answers, and nothing else.
    const upstream = createSocket('udp6');
    const timer = setTimeout(close, answerTimeoutMs).unref();
    function close(): void {
      clearTimeout(timer);
      upstream.close();
    }
    upstream.unref();
    upstream.once('error', close);
    upstream.once('message', (answer) => {
      datagrams.send(answer, peer.port, peer.address);
      close();
    });
    upstream.connect(dnsPort, server, () => upstream.send(question));
  });
  datagrams.unref().on('error', () => undefined);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  datagrams.once('error', reject);
  datagrams.bind(port, '127.0.0.1', resolve);
  await promise;
  return `127.0.0.1:${port}`;
}

async function listen(server: Server): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject).listen(0, '127.0.0.1', resolve);
  await promise;
  server.unref();
  const address = server.address();
  return isInfo(address) ? address.port : 0;
}

function isInfo(address: AddressInfo | string | null): address is AddressInfo {
  return address !== null && typeof address !== 'string';
}
