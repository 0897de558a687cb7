/**
 * Sends a run's metrics and its trace to an OpenTelemetry collector: OTLP over HTTP with JSON
 * (https://opentelemetry.io/docs/specs/otlp/#otlphttp). The two requests need no more than `fetch`, so no SDK is loaded.
 */

import { ConfigError } from '../shared/errors.js';
import type { TimedEvent } from '../shared/runs/run-events.js';
import { measurementsOf, metricsOf, type Measurement } from './metrics.js';
import { RunTrace } from './trace.js';
import { attributesOf } from './values.js';

export interface OtlpOptions {
  /** Base address of the collector, e.g. http://localhost:4318; `/v1/metrics` and `/v1/traces` are appended. */
  readonly endpoint: string;
  /** Headers of each request, e.g. an API key. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly host: string;
  readonly version: string;
  /** Receives one message per time in which the collector does not accept data, and one when it does again. */
  readonly notify: (message: string) => void;
  readonly intervalMs?: number;
}

/** Measurements and spans that wait for the next request; older ones are dropped beyond it. */
const maxPending = 20_000;
const requestTimeoutMs = 5_000;

export class OtlpExporter {
  readonly #options: OtlpOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #startMs = Date.now();
  #trace: RunTrace | undefined;
  #run: Readonly<Record<string, string>> = {};
  #measurements: Measurement[] = [];
  #spans: object[] = [];
  #refused = false;
  #sending: Promise<void> = Promise.resolve();

  /** @throws ConfigError if the address is none of HTTP */
  constructor(options: OtlpOptions) {
    if (!/^https?:$/.test(URL.parse(options.endpoint)?.protocol ?? ''))
      throw new ConfigError(
        `--otlp: expected the address of a collector, such as http://localhost:4318, got "${options.endpoint}".`,
      );
    this.#options = options;
    this.#timer = setInterval(() => void this.#flush(), options.intervalMs ?? 5_000);
    this.#timer.unref();
  }

  emit(event: TimedEvent): void {
    if (event.event === 'run') {
      this.#trace = new RunTrace(event);
      this.#run = { 'lockstep.run.id': event.runId, 'lockstep.run.name': event.config.name };
    }
    this.#measurements.push(...measurementsOf(event));
    this.#spans.push(...(this.#trace?.add(event) ?? []));
    this.#measurements.splice(0, this.#measurements.length - maxPending);
    this.#spans.splice(0, this.#spans.length - maxPending);
  }

  /** Sends what is left, within a bounded time. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#spans.push(...(this.#trace?.close(Date.now()) ?? []));
    await this.#flush();
  }

  #flush(): Promise<void> {
    this.#sending = this.#sending.then(() => this.#send());
    return this.#sending;
  }

  async #send(): Promise<void> {
    const [measurements, spans] = [this.#measurements, this.#spans];
    [this.#measurements, this.#spans] = [[], []];
    const { host, version } = this.#options;
    const resource = {
      attributes: attributesOf({ 'service.name': 'lockstep', 'host.name': host, ...this.#run }),
    };
    const scope = { name: 'lockstep', version };
    const metrics = metricsOf(measurements, this.#startMs);
    if (metrics.length > 0)
      await this.#post('v1/metrics', { resourceMetrics: [{ resource, scopeMetrics: [{ scope, metrics }] }] });
    if (spans.length > 0)
      await this.#post('v1/traces', { resourceSpans: [{ resource, scopeSpans: [{ scope, spans }] }] });
  }

  async #post(path: string, body: object): Promise<void> {
    const { endpoint, headers, notify } = this.#options;
    const url = `${endpoint.replace(/\/+$/, '')}/${path}`;
    let failure: string | undefined;
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { ...headers, 'Content-Type': 'application/json' },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(requestTimeoutMs),
      });
      if (!response.ok) failure = `status ${response.status}`;
      await response.arrayBuffer();
    } catch (error) {
      const { message, cause } = error as Error;
      failure = cause instanceof Error ? cause.message : message;
    }
    if (failure !== undefined && !this.#refused)
      notify(
        `OTLP: expected ${url} to accept the run's data, got ${failure}. They are lost; the run goes on.`,
      );
    if (failure === undefined && this.#refused) notify(`OTLP: ${url} accepts the run's data again.`);
    this.#refused = failure !== undefined;
  }
}
