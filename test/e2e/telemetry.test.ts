// Traces of builds, to a collector that takes them, that is down, and that never answers.
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { loadSync } from '@grpc/proto-loader';
import { asObject } from '../support/parsed.ts';
import { Scene } from '../support/scene.ts';
import { listen } from '../support/listen.ts';

let scene: Scene;

before(async () => void (scene = await Scene.start()), { timeout: 600_000 });
after(() => scene?.stop());

interface Received {
  readonly path: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}

interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status: { readonly code?: number; readonly message?: string };
  readonly attributes: readonly { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[];
}

/** A collector on this machine; `answers` false takes a request and says nothing. */
async function collector(answers: boolean): Promise<{ readonly port: number; readonly received: Received[]; readonly server: Server }> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.push({ path: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks) });
      const type = request.headers['content-type'] ?? '';
      if (answers) response.writeHead(200, { 'content-type': type }).end(type.endsWith('json') ? '{}' : '');
    });
  });
  return { port: await listen(server), received, server };
}

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const parentId = '00f067aa0ba902b7';
const dockerfile = `FROM @REG@/base AS one
ARG TOKEN=hunter2
ENV PASSWORD=hunter3
RUN env; echo PASS=hunter4 > /etc/changed; rm -f /etc/hosts.bak
FROM one
RUN --mount=type=secret,id=s cat /run/secrets/s > /dev/null; exit 3
`;

for (const protocol of ['http/protobuf', 'http/json'])
  test(`a build is a trace of its pipeline, with nothing secret in it, and a RUN gets none of its settings (${protocol})`, async () => {
    const { port, received, server } = await collector(true);
    try {
      const result = await scene.build({
        dockerfile,
        files: { secret: 'hunter5' },
        args: ['--secret=id=s,src=/workspace/secret'],
        pod: 'kubernetes',
        env: {
          OTEL_EXPORTER_OTLP_ENDPOINT: `http://localhost:${port}`,
          OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
          OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20hunter6',
          OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment=test',
          TRACEPARENT: `00-${traceId}-${parentId}-01`,
        },
      });
      assert.equal(result.status, 3, result.output);
      assert.doesNotMatch(result.output, /\| (?:OTEL_|TRACEPARENT)|no traces/);
      const [request] = received;
      assert.ok(request !== undefined && received.length === 1, String(received.length));
      assert.equal(request.path, '/v1/traces');
      assert.equal(request.headers['authorization'], 'Bearer hunter6');
      assert.equal(request.headers['content-type'], protocol === 'http/json' ? 'application/json' : 'application/x-protobuf');
      assert.doesNotMatch(request.body.toString('latin1'), /hunter/);
      const spans = protocol === 'http/json' ? spansIn(JSON.parse(request.body.toString())) : spansIn(decoded(request.body));
      assert.ok(spans.every((span) => BigInt(span.startTimeUnixNano) <= BigInt(span.endTimeUnixNano)));
      const root = spans.find(({ name }) => name === 'build');
      assert.deepEqual([root?.traceId, root?.parentSpanId, root?.status.code], [traceId, parentId, 2]);
      assert.deepEqual(spans.map(({ name }) => name).toSorted(), ['ARG', 'ENV', 'RUN', 'RUN', 'build', 'stage one', 'stage stage-1']); // prettier-ignore
      const run = spans.find((span) => span.name === 'RUN' && textOf(span, 'kaniko.stage') === 'one');
      assert.equal(textOf(run, 'kaniko.instruction.line'), '4');
      assert.equal(textOf(run, 'kaniko.cache.hit'), 'false');
      assert.match(textOf(run, 'kaniko.instruction.text') ?? '', /^RUN env; echo PASS=… > /);
      assert.ok(spans.every((span) => span === root || spans.some(({ spanId }) => spanId === span.parentSpanId)));
    } finally {
      server.close();
    }
  });

test('a collector that is down or says nothing costs a build a bounded time and a warning', async () => {
  const { port, server } = await collector(false);
  try {
    for (const endpoint of ['http://127.0.0.1:9', `http://127.0.0.1:${port}`]) {
      const result = await scene.build({
        dockerfile: 'FROM @REG@/base\nRUN true\n',
        env: { KANIKO_TELEMETRY_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_TIMEOUT: '1500' },
      });
      assert.equal(result.status, 0, result.output);
      assert.match(result.output, /^warning: no traces were sent to 127\.0\.0\.1:\d+: /m);
    }
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

/** A request as a collector in any language reads it: by the messages of OTLP, with protobufjs; ids in hex, as JSON has them. */
function decoded(body: Buffer): unknown {
  const proto = loadSync(join(import.meta.dirname, '../support/otlp.proto'), { longs: String });
  const service = asObject(proto['opentelemetry.proto.collector.trace.v1.TraceService']);
  const read = asObject(service['Export'])['requestDeserialize'] as (bytes: Buffer) => object; // as proto-loader makes it
  return JSON.parse(
    JSON.stringify(read(body), (_key, value: unknown) => (isBytes(value) ? Buffer.from(value.data).toString('hex') : value)),
  );
}

function isBytes(value: unknown): value is { readonly data: readonly number[] } {
  return typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer';
}

function spansIn(request: unknown): readonly Span[] {
  const { resourceSpans } = request as {
    readonly resourceSpans: readonly { readonly scopeSpans: readonly { readonly spans: readonly Span[] }[] }[];
  }; // OTLP's JSON
  return resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans));
}

function textOf(span: Span | undefined, key: string): string | undefined {
  const value = span?.attributes.find((attribute) => attribute.key === key)?.value;
  return value === undefined ? undefined : String(Object.values(value)[0]);
}
