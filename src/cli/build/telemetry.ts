// Traces of a build for an OpenTelemetry collector, where the environment names one. Nobody waits long for it, and no build fails of it.
import { createRequire } from 'node:module';
import type { Emit } from '../../events.ts';
import { given } from '../../given.ts';
import { anonymous } from '../../registry/credentials.ts';
import { loadNames } from '../../registry/names.ts';
import type { exportSpans as exportToCollector } from '../../report/open-telemetry.ts';
import { Spans } from '../../report/spans.ts';
import { openRegistries } from '../../surroundings/registries.ts';
import { makeRegistryRequest } from '../requests/registry-request.ts';
import type { Environment, Settings } from '../settings.ts';
import { version } from '../version.ts';

export interface Telemetry {
  readonly emit: Emit;
  /** Sends what there is to send. Never throws. */
  readonly finish: () => Promise<void>;
}

const defaultTimeoutMs = 5000;
const longestTimeoutMs = 10_000;

/** Undefined where nobody asked for traces. All that is needed is loaded now: later the root is the image's. */
export async function openTelemetry(
  settings: Settings,
  around: { readonly env: Environment; readonly workingDirectory: string; readonly command: string; readonly emit: Emit },
): Promise<Telemetry | undefined> {
  const { env, workingDirectory, command, emit } = around;
  const warn = (message: string): void => emit({ kind: 'warning', code: `telemetry ${message}`, message });
  const url = endpointOf(env);
  if (url === undefined) return undefined;
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    warn('no traces are sent: the endpoint of OTEL_EXPORTER_OTLP_ENDPOINT is no URL of http or https');
    return undefined;
  }
  const protocol = env['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL'] || env['OTEL_EXPORTER_OTLP_PROTOCOL'] || 'http/protobuf';
  if (!/^http\/(?:json|protobuf)$/.test(protocol)) {
    warn(`no traces are sent by ${protocol.slice(0, 40)}: OTEL_EXPORTER_OTLP_PROTOCOL may be http/protobuf or http/json`);
    return undefined;
  }
  const { exportSpans }: { readonly exportSpans: typeof exportToCollector } = createRequire(import.meta.url)(
    '../../report/open-telemetry.ts',
  );
  const names = await loadNames();
  const request = registryRequest(settings, env, workingDirectory);
  if (request === undefined) return undefined;
  const { push: client, pull } = openRegistries(request, { env, names, credentials: anonymous, emit: () => undefined });
  const spans = new Spans({ command, omitsText: isOn(env['KANIKO_TELEMETRY_OMIT_DOCKERFILE']) });
  const timeoutMs = timeoutOf(env);
  const format = protocol === 'http/json' ? 'json' : 'protobuf';
  const headers = {
    ...pairsOf(env['OTEL_EXPORTER_OTLP_TRACES_HEADERS'] || env['OTEL_EXPORTER_OTLP_HEADERS']),
    'content-type': `application/${format === 'json' ? 'json' : 'x-protobuf'}`,
  };
  const send = async (body: Uint8Array): Promise<number> => {
    const question = { method: 'POST', url: new URL(url), headers, body: Buffer.from(body), task: 'send traces' } as const;
    const answer = await client.exchange(question, AbortSignal.timeout(timeoutMs));
    answer.body.destroy();
    return answer.status;
  };
  const parent = given({ parent: parentOf(env['TRACEPARENT']) });
  const finish = async (): Promise<void> => {
    try {
      if (spans.list.length > 0) await exportSpans(spans.list, { resource: resourceOf(env), format, timeoutMs, send, ...parent });
    } catch (error) {
      const why = error instanceof Error && error.name !== 'TimeoutError' ? error.message : `no answer within ${timeoutMs / 1000} s`;
      warn(`no traces were sent to ${new URL(url).host}: ${why}`);
    } finally {
      await Promise.all([client.close(), pull.close()]).catch(() => undefined);
    }
  };
  return { emit: (event) => spans.add(event, Date.now()), finish };
}

/** Undefined where the command line is wrong: the build itself tells it. */
function registryRequest(...asked: Parameters<typeof makeRegistryRequest>): ReturnType<typeof makeRegistryRequest> | undefined {
  try {
    return makeRegistryRequest(...asked);
  } catch {
    return undefined;
  }
}

/** The OpenTelemetry specification, "OTLP exporter": a general endpoint gets the signal's path. */
function endpointOf(env: Environment): string | undefined {
  if (isOn(env['OTEL_SDK_DISABLED']) || env['OTEL_TRACES_EXPORTER'] === 'none') return undefined;
  const own = env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'];
  const general = env['OTEL_EXPORTER_OTLP_ENDPOINT'] || env['KANIKO_TELEMETRY_ENDPOINT'];
  if (own !== undefined && own !== '') return own;
  if (general === undefined || general === '') return undefined;
  return /\/v1\/traces\/?$/.test(general) ? general : `${general.replace(/\/$/, '')}/v1/traces`;
}

function resourceOf(env: Environment): Readonly<Record<string, string>> {
  return {
    'service.name': 'yadokari',
    'service.version': version,
    ...pairsOf(env['OTEL_RESOURCE_ATTRIBUTES']),
    ...(env['OTEL_SERVICE_NAME'] ? { 'service.name': env['OTEL_SERVICE_NAME'] } : {}),
  };
}

function timeoutOf(env: Environment): number {
  const asked = Number(env['OTEL_EXPORTER_OTLP_TRACES_TIMEOUT'] || env['OTEL_EXPORTER_OTLP_TIMEOUT'] || defaultTimeoutMs);
  return asked > 0 ? Math.min(asked, longestTimeoutMs) : defaultTimeoutMs;
}

/** `key=value,key=value`, values percent-encoded; what is none is left out. */
function pairsOf(text = ''): Readonly<Record<string, string>> {
  const pairs = text.split(',').flatMap((pair): [string, string][] => {
    const [, key = '', value = ''] = /^\s*([\w.!#$%&'*+^`|~-]+)\s*=\s*(.*?)\s*$/.exec(pair) ?? [];
    if (key === '') return [];
    try {
      return [[key, decodeURIComponent(value)]];
    } catch {
      return [[key, value]];
    }
  });
  return Object.fromEntries(pairs);
}

/** W3C Trace Context: version, trace, span, flags. */
function parentOf(
  text = '',
): { readonly traceId: string; readonly spanId: string; readonly traceFlags: number; readonly isRemote: true } | undefined {
  const [, traceId = '', spanId = '', flags = ''] = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/.exec(text.trim()) ?? [];
  if (traceId === '' || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true };
}

function isOn(text: string | undefined): boolean {
  return /^(?:1|true|yes)$/i.test(text ?? '');
}
