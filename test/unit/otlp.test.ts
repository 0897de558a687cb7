/**
 * The receiver is a real HTTP server that decodes each request with the classes that the OpenTelemetry project has generated from its
 * definitions. It refuses a request that is not the same after encoding and decoding: a field with a wrong name is lost there, and a
 * value of a wrong type is converted.
 */
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { OtlpExporter } from '../../src/otlp/otlp-exporter.js';
import { ConfigError } from '../../src/shared/errors.js';
import type { TimedEvent } from '../../src/shared/runs/run-events.js';
import { stepEvent } from '../support/run-events.js';

type Json = Record<string, unknown>;

/** A generated class of protobufjs. */
interface RequestType {
  fromObject(json: Json): object;
  encode(message: object): { finish(): Uint8Array };
  decode(bytes: Uint8Array): object;
  toObject(message: object, options: object): Json;
}

// The package does not export these classes, and its later versions do not contain them, so its version is fixed.
const { opentelemetry } = createRequire(import.meta.url)(
  '@opentelemetry/otlp-transformer/build/src/generated/root.js',
) as {
  opentelemetry: {
    proto: {
      collector: {
        metrics: { v1: { ExportMetricsServiceRequest: RequestType } };
        trace: { v1: { ExportTraceServiceRequest: RequestType } };
      };
    };
  };
};
const { metrics, trace } = opentelemetry.proto.collector;
const requests: Readonly<Record<string, RequestType>> = {
  '/v1/metrics': metrics.v1.ExportMetricsServiceRequest,
  '/v1/traces': trace.v1.ExportTraceServiceRequest,
};

/** The ids are hexadecimal in OTLP's JSON form, and bytes in the messages. An empty list is no value there. */
function withBytes(value: unknown, name = ''): unknown {
  if (Array.isArray(value)) return value.map((one) => withBytes(one));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, inner]) => !Array.isArray(inner) || inner.length > 0)
        .map(([key, inner]) => [key, withBytes(inner, key)]),
    );
  if (!/^(trace|span|parentSpan)Id$/.test(name)) return value;
  if (!/^([0-9a-f]{16}|[0-9a-f]{32})$/.test(String(value))) throw new Error(`${name}: ${String(value)}`);
  return [...Buffer.from(String(value), 'hex')];
}

/** @throws Error unless the definitions have each field of the request, with the type of its value */
function decode(type: RequestType, body: string): Json {
  const json = withBytes(JSON.parse(body)) as Json;
  const decoded = type.decode(type.encode(type.fromObject(json)).finish());
  const again = type.toObject(decoded, { longs: String, bytes: Array, json: true });
  if (!isDeepStrictEqual(again, json))
    throw new Error(`expected ${JSON.stringify(again)}, got ${JSON.stringify(json)}`);
  return type.toObject(decoded, { longs: String, bytes: Array });
}

let server: Server | undefined;
afterEach(() => new Promise((done) => (server ? server.close(done) : done(undefined))));

/** Starts a collector; returns its address and what it has received, decoded, by path. */
async function collector(
  status = 200,
): Promise<{ url: string; received: Record<string, Json[]>; headers: Json[] }> {
  const received: Record<string, Json[]> = { '/v1/metrics': [], '/v1/traces': [] };
  const headers: Json[] = [];
  server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      headers.push(request.headers);
      const type = requests[request.url ?? ''];
      try {
        if (!type) throw new Error(`no such path: ${request.url}`);
        received[request.url ?? '']?.push(decode(type, Buffer.concat(parts).toString()));
        response.writeHead(status).end('{}');
      } catch (error) {
        response.writeHead(400).end(String(error));
      }
    });
  });
  await new Promise<void>((done) => server!.listen(0, '127.0.0.1', done));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received, headers };
}

const at = (timeMs: number, event: object): TimedEvent => ({ ...event, timeMs }) as TimedEvent;
const events: readonly TimedEvent[] = [
  at(1_000, { event: 'run', runId: 'r1', config: { name: 'digits' }, out: null }),
  { ...stepEvent(1, { loss: 0.5 }), epoch: 1, seconds: 0.5, timeMs: 2_000 },
  { ...stepEvent(2, { loss: Number.NaN }), epoch: 2, seconds: 0.5, timeMs: 3_000 },
  at(3_500, {
    event: 'eval',
    split: 'test',
    epoch: 1,
    step: 2,
    loss: 0.25,
    metrics: { accuracy: 0.75 },
    count: 4,
  }),
  at(4_000, { event: 'scalars', step: 2, values: { gradient_norm: 1.5 } }),
  at(5_000, { event: 'done', steps: 2, seconds: 4, imagesPerSecond: 1, weightsSha256: '' }),
];

describe('the OTLP exporter', () => {
  it('sends metrics and a trace that the official definitions accept, with the values of the run', async () => {
    const { url, received, headers } = await collector();
    const notices: string[] = [];
    const common = { host: 'box', version: '1.2.3', notify: (text: string) => void notices.push(text) };
    const exporter = new OtlpExporter({ ...common, endpoint: `${url}/`, headers: { 'x-key': 'secret' } });
    for (const event of events) exporter.emit(event);
    await exporter.close();
    expect(notices).toEqual([]);
    expect(headers).toMatchObject([{ 'x-key': 'secret', 'content-type': 'application/json' }, {}]);

    const [sent] = received['/v1/metrics'] as unknown as [
      { resourceMetrics: [{ resource: Json; scopeMetrics: [{ scope: Json; metrics: { name: string }[] }] }] },
    ];
    const [{ resource, scopeMetrics }] = sent.resourceMetrics;
    expect(resource).toEqual({
      attributes: [
        { key: 'service.name', value: { stringValue: 'lockstep' } },
        { key: 'host.name', value: { stringValue: 'box' } },
        { key: 'lockstep.run.id', value: { stringValue: 'r1' } },
        { key: 'lockstep.run.name', value: { stringValue: 'digits' } },
      ],
    });
    expect(scopeMetrics[0].scope).toEqual({ name: 'lockstep', version: '1.2.3' });
    const metric = (name: string): unknown => scopeMetrics[0].metrics.find((one) => one.name === name);
    const split = (stringValue: string) => ({ key: 'split', value: { stringValue } });
    expect(metric('lockstep.loss')).toEqual({
      name: 'lockstep.loss',
      unit: '1',
      gauge: {
        dataPoints: [
          { attributes: [split('batch')], timeUnixNano: '2000000000', asDouble: 0.5 },
          { attributes: [split('batch')], timeUnixNano: '3000000000', asDouble: Number.NaN },
          { attributes: [split('test')], timeUnixNano: '3500000000', asDouble: 0.25 },
        ],
      },
    });
    expect(metric('lockstep.steps')).toMatchObject({
      sum: {
        dataPoints: [{ asInt: '1' }, { asInt: '2', timeUnixNano: '3000000000' }],
        aggregationTemporality: 2,
        isMonotonic: true,
      },
    });
    expect(metric('lockstep.metric')).toMatchObject({ gauge: { dataPoints: [{ asDouble: 0.75 }] } });
    expect(metric('lockstep.scalar')).toMatchObject({ gauge: { dataPoints: [{ asDouble: 1.5 }] } });

    const [traces] = received['/v1/traces'] as unknown as [
      { resourceSpans: [{ scopeSpans: [{ spans: (Json & { name: string; spanId: number[] })[] }] }] },
    ];
    const { spans } = traces.resourceSpans[0].scopeSpans[0];
    expect(spans.map(({ name }) => name)).toEqual(['epoch 1', 'evaluation', 'epoch 2', 'run']);
    const run = spans.at(-1)!;
    expect(run).toMatchObject({
      startTimeUnixNano: '1000000000',
      endTimeUnixNano: '5000000000',
      status: { code: 1 },
    });
    expect(run['traceId']).toHaveLength(16);
    for (const span of spans.slice(0, -1))
      expect(span).toMatchObject({ parentSpanId: run.spanId, traceId: run['traceId'] });
    expect(new Set(spans.map(({ spanId }) => spanId.join())).size).toBe(4);
    expect(spans[0]).toMatchObject({ startTimeUnixNano: '1500000000', endTimeUnixNano: '2000000000' });
  });

  it('reports a collector that refuses, once, and a failed run as an error', async () => {
    const { url, received } = await collector(503);
    const notices: string[] = [];
    const notify = (text: string): void => void notices.push(text);
    const exporter = new OtlpExporter({ endpoint: url, host: 'box', version: '1', notify });
    exporter.emit(events[0]!);
    exporter.emit(events[1]!);
    exporter.emit(at(3_000, { event: 'error', code: 'DATA', message: 'no data' }));
    await exporter.close();
    expect(notices).toEqual([
      `OTLP: expected ${url}/v1/metrics to accept the run's data, got status 503. They are lost; the run goes on.`,
    ]);
    expect(received['/v1/traces']).toMatchObject([
      {
        resourceSpans: [
          { scopeSpans: [{ spans: [{}, { name: 'run', status: { code: 2, message: 'no data' } }] }] },
        ],
      },
    ]);
  });

  it('refuses an address that is none of HTTP', () => {
    const options = { endpoint: 'localhost:4318', host: 'box', version: '1', notify: () => undefined };
    expect(() => new OtlpExporter(options)).toThrow(ConfigError);
  });
});
