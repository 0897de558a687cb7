/** The receiver is a real HTTP server that reads each request by the definitions of the opentelemetry-proto project, unknown fields excluded. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import { afterEach, describe, expect, it } from 'vitest';
import { OtlpExporter } from '../../src/otlp/otlp-exporter.js';
import { ConfigError } from '../../src/shared/errors.js';
import type { TimedEvent } from '../../src/shared/runs/run-events.js';
import { stepEvent } from '../support/run-events.js';

/** A checkout of github.com/open-telemetry/opentelemetry-proto, whose definitions are not part of this repository. */
const definitions = process.env['LOCKSTEP_OTLP_PROTOS'];
const requests: Readonly<Record<string, protobuf.Type>> =
  definitions === undefined ? {} : requestTypes(definitions);

function requestTypes(folder: string): Readonly<Record<string, protobuf.Type>> {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => join(folder, target);
  for (const signal of ['metrics', 'trace'])
    root.loadSync(`opentelemetry/proto/collector/${signal}/v1/${signal}_service.proto`);
  root.resolveAll();
  return {
    '/v1/metrics': root.lookupType('opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest'),
    '/v1/traces': root.lookupType('opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest'),
  };
}

type Json = Record<string, unknown>;

/** Throws for a field that the definition lacks; JSON's hexadecimal ids become bytes. */
function strict(type: protobuf.Type, json: Json, path = type.name): Json {
  return Object.fromEntries(
    Object.entries(json).map(([name, value]) => {
      const field = type.fields[name];
      if (!field) throw new Error(`${path}.${name}: no such field`);
      const inner = field.resolvedType;
      const one = (item: unknown): unknown => {
        if (inner instanceof protobuf.Type) return strict(inner, item as Json, `${path}.${name}`);
        return field.type === 'bytes' ? Buffer.from(item as string, 'hex') : item;
      };
      return [name, field.repeated ? (value as unknown[]).map(one) : one(value)];
    }),
  );
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
        const json = JSON.parse(Buffer.concat(parts).toString()) as Json;
        const message = type!.fromObject(strict(type!, json));
        const problem = type!.verify(message);
        if (problem !== null) throw new Error(problem);
        // The message is encoded and decoded, as it is for a program that reads it.
        const decoded = type!.decode(type!.encode(message).finish());
        received[request.url ?? '']?.push(type!.toObject(decoded, { longs: String, bytes: Array }));
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

describe.skipIf(definitions === undefined)('the OTLP exporter (needs LOCKSTEP_OTLP_PROTOS)', () => {
  it('sends metrics and a trace that the official definitions accept, with the values of the run', async () => {
    const { url, received, headers } = await collector();
    const notices: string[] = [];
    const common = { host: 'box', version: '1.2.3', notify: (text: string) => void notices.push(text) };
    const exporter = new OtlpExporter({ ...common, endpoint: `${url}/`, headers: { 'x-key': 'secret' } });
    for (const event of events) exporter.emit(event);
    await exporter.close();
    expect(notices).toEqual([]);
    expect(headers).toMatchObject([{ 'x-key': 'secret', 'content-type': 'application/json' }, {}]);

    const [metrics] = received['/v1/metrics'] as unknown as [
      { resourceMetrics: [{ resource: Json; scopeMetrics: [{ scope: Json; metrics: { name: string }[] }] }] },
    ];
    const [{ resource, scopeMetrics }] = metrics.resourceMetrics;
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

    const [trace] = received['/v1/traces'] as unknown as [
      { resourceSpans: [{ scopeSpans: [{ spans: (Json & { name: string; spanId: number[] })[] }] }] },
    ];
    const { spans } = trace.resourceSpans[0].scopeSpans[0];
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
