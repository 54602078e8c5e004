// Servers of tests: on the loopback interface, at a port that the kernel chooses.
import { once } from 'node:events';
import { type AddressInfo, type Server, createServer } from 'node:net';

/** The port, once it listens. */
export async function listen(server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port; // it listens on one
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  await using server = createServer();
  return await listen(server);
}
