// A registry client for tests: no waiting between tries, and what it told is kept.
import type { BuildEvent } from '../../src/events.ts';
import { type RegistryClient, type RegistryClientOptions, createRegistryClient } from '../../src/registry/client.ts';
import { anonymous } from '../../src/registry/credentials.ts';
import { namesFromTable } from '../../src/registry/names.ts';
import type { Clock } from '../../src/registry/retry.ts';

export interface TestClient extends RegistryClient, AsyncDisposable {
  readonly events: BuildEvent[];
  /** Milliseconds of each wait that would have been. */
  readonly waits: number[];
  /** The lines that users see: warnings, and notes but for those to debug with. */
  readonly lines: () => readonly string[];
}

/** A client; dispose of it to close its connections. */
export function testClient(options: Partial<RegistryClientOptions> = {}): TestClient {
  const events: BuildEvent[] = [];
  const waits: number[] = [];
  const clock: Clock = {
    now: () => performance.now(),
    sleep: async (durationMs, signal) => {
      signal.throwIfAborted();
      waits.push(durationMs);
      await Promise.resolve();
    },
    random: () => 0.5,
  };
  const client = createRegistryClient({
    names: namesFromTable(new Map()),
    hostRules: () => ({}),
    userAgent: 'yadokari-test',
    credentials: anonymous,
    emit: (event) => events.push(event),
    clock,
    ...options,
  });
  const lines = (): readonly string[] =>
    events.flatMap((event) => (event.kind === 'warning' || (event.kind === 'note' && event.level === 'info') ? [event.message] : []));
  return { ...client, events, waits, lines, [Symbol.asyncDispose]: client.close };
}

/** Credentials of one password for every registry. */
export function passwordFor(user: string, password: string): RegistryClientOptions['credentials'] {
  return {
    sources: () => ['the test'],
    reload: async () => await Promise.resolve(),
    find: async () => await Promise.resolve({ kind: 'password', user, password }),
  };
}
