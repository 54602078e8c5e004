// Spans to a collector, by OpenTelemetry's SDK and its exporter; the way there is ours. Loaded only where traces are asked for.
import { ROOT_CONTEXT, type SpanContext, SpanStatusCode, trace } from '@opentelemetry/api';
import { ExporterMetrics, OTLPExporterBase, createOtlpNetworkExportDelegate } from '@opentelemetry/otlp-exporter-base';
import { JsonTraceSerializer, ProtobufTraceSerializer, TraceExporterMetricsHelper } from '@opentelemetry/otlp-transformer';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import type { SpanRecord } from './spans.ts';

export interface ExportOptions {
  readonly resource: Readonly<Record<string, string>>;
  readonly parent?: SpanContext;
  readonly format: 'json' | 'protobuf';
  readonly timeoutMs: number;
  /** Sends a body; gives the answer's status. */
  readonly send: (body: Uint8Array) => Promise<number>;
}

/** Sends the spans, once. @throws Error where the collector did not take them in time */
export async function exportSpans(
  records: readonly SpanRecord[],
  { resource, parent, format, timeoutMs, send }: ExportOptions,
): Promise<void> {
  const memory = new InMemorySpanExporter();
  const provider = new TracerProvider({
    resource: resourceFromAttributes(resource),
    spanProcessors: [new SimpleSpanProcessor({ exporter: memory })],
  });
  const tracer = provider.getTracer('yadokari');
  const outer = parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
  const spans: ReturnType<typeof tracer.startSpan>[] = [];
  for (const { name, from, parent: above, attributes } of records) {
    const over = above === undefined ? undefined : spans[above];
    spans.push(tracer.startSpan(name, { startTime: new Date(from), attributes }, over === undefined ? outer : trace.setSpan(outer, over)));
  }
  for (const [position, { to, failure }] of records.entries()) {
    if (failure !== undefined) spans[position]?.setStatus({ code: SpanStatusCode.ERROR, message: failure });
    spans[position]?.end(new Date(to));
  }
  const configuration = { timeoutMillis: timeoutMs, concurrencyLimit: 1, compression: 'none' } as const;
  const transport = {
    send: async (body: Uint8Array) => {
      const status = await send(body);
      if (status >= 200 && status < 300) return { status: 'success' as const };
      return { status: 'failure' as const, error: new Error(`it answered ${status}`) };
    },
    shutdown: () => undefined,
  };
  const serializer = format === 'json' ? JsonTraceSerializer : ProtobufTraceSerializer;
  const metrics = new ExporterMetrics({
    componentType: 'otlp_http_span_exporter',
    metricsHelper: TraceExporterMetricsHelper,
    url: undefined,
    meterProvider: undefined,
    responseAttributesFromError: () => ({}),
  });
  const exporter = new OTLPExporterBase(createOtlpNetworkExportDelegate(configuration, serializer, metrics, transport));
  await new Promise<void>((resolve, reject) => {
    exporter.export(memory.getFinishedSpans(), ({ error }) => (error === undefined ? resolve() : reject(error)));
  });
  await exporter.shutdown();
}
