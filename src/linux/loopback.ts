// The loopback interface of a network namespace of our own, which is down at first. netdevice(7).
import { closeSync } from 'node:fs';
import { call } from './libc.ts';

const internet = 2; // AF_INET
const datagrams = 2; // SOCK_DGRAM
const closedOnExec = 0o2000000; // SOCK_CLOEXEC
const setFlags = 0x8914; // SIOCSIFFLAGS
const isUp = 1; // IFF_UP
const requestBytes = 40; // struct ifreq: a name in 16 bytes, and what is asked
const nameBytes = 16;

/** Brings `lo` of the calling process's network namespace up. @throws SystemError */
export function raiseLoopback(): void {
  const request = Buffer.alloc(requestBytes);
  request.write('lo');
  request.writeInt16LE(isUp, nameBytes);
  const socket = call('socket', [internet, datagrams | closedOnExec, 0]);
  try {
    call('ioctl', [socket, setFlags, request]);
  } finally {
    closeSync(socket);
  }
}
