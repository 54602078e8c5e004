// A kubelet's end of the Container Runtime Interface: unary gRPC calls over the runtime's socket.
import { join } from 'node:path';
import { Client, credentials, status } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { asObject, type ParsedObject } from '../parsed.ts';

/** The calls of runtime.proto that the tests make. */
export type CriMethod =
  | 'Status'
  | 'PullImage'
  | 'RunPodSandbox'
  | 'StopPodSandbox'
  | 'RemovePodSandbox'
  | 'CreateContainer'
  | 'StartContainer'
  | 'StopContainer'
  | 'ContainerStatus'
  | 'ExecSync'
  | 'Attach';

/** Field names as in runtime.proto, in camel case; enums are their names, 64-bit numbers are numbers. */
export class CriClient {
  readonly #client: Client;
  readonly #methods: ReadonlyMap<string, Method>;

  constructor(socket: string) {
    this.#methods = readMethods();
    // a name of many letters is no host: without this the name in :authority is the whole path of the socket
    this.#client = new Client(`unix:${socket}`, credentials.createInsecure(), { 'grpc.default_authority': 'localhost' });
  }

  /** @throws Error with the name of the call and what the runtime said, also when no answer comes in time. */
  async call(name: CriMethod, request: object, timeoutMs = 120_000): Promise<ParsedObject> {
    const method = this.#methods.get(name);
    if (method === undefined) throw new TypeError(`runtime.proto has no ${name}`);
    return await new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        { deadline: Date.now() + timeoutMs },
        (error, response) => {
          if (error === null) resolve(asObject(response, name));
          else reject(new Error(`${name}: ${error.details || error.message}`, { cause: error }));
        },
      );
    });
  }

  close(): void {
    this.#client.close();
  }
}

interface Method {
  readonly path: string;
  readonly requestSerialize: (value: object) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => object;
}

function readMethods(): ReadonlyMap<string, Method> {
  const definition = loadSync(join(import.meta.dirname, 'runtime.proto'), { longs: Number, enums: String, defaults: true });
  const methods = new Map<string, Method>();
  for (const service of ['runtime.v1.RuntimeService', 'runtime.v1.ImageService'])
    for (const [name, method] of Object.entries(definition[service] ?? {})) methods.set(name, method as Method);
  return methods;
}

/** Whether a call failed because what it was about does not exist, or no longer. */
export function isNotFound(error: unknown): boolean {
  return error instanceof Error && error.cause instanceof Error && 'code' in error.cause && error.cause.code === status.NOT_FOUND;
}
