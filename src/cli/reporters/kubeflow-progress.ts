/**
 * Reports the progress of a run to Kubeflow's Trainer, which shows it in the status of the TrainJob. The reports have no effect on the run:
 * one that fails is dropped.
 */

import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { systemCode } from '../../shared/errors.js';
import { settledWithin } from '../../shared/settled-within.js';
import type { RunEvent } from '../../shared/runs/run-events.js';
import type { KubeflowServer } from '../environment/environment.js';
import type { Observer } from './reporters.js';

const shortestIntervalMs = 10_000;
const timeoutMs = 5_000;
/** Limits of the status of a TrainJob. */
const maxMetrics = 256;
const maxTextLength = 64;

interface TrainerStatus {
  readonly progressPercentage: number;
  readonly estimatedRemainingSeconds?: number;
  readonly metrics: readonly { readonly name: string; readonly value: string }[];
  readonly lastUpdatedTime: string;
}

export class KubeflowProgress implements Observer {
  readonly #server: KubeflowServer;
  readonly #warn: (message: string) => void;
  readonly #now: () => number;
  readonly #metrics = new Map<string, number>();
  #totalSteps = 0;
  #sentMs = -Infinity;
  #sending: Promise<void> | undefined;
  #last: TrainerStatus | undefined;
  #hasWarned = false;

  /** @param now a clock in milliseconds since 1970 */
  constructor(server: KubeflowServer, warn: (message: string) => void, now: () => number = Date.now) {
    this.#server = server;
    this.#warn = warn;
    this.#now = now;
  }

  emit(event: RunEvent): void {
    switch (event.event) {
      case 'start':
        this.#totalSteps = event.steps;
        break;
      case 'step':
        this.#onStep(event);
        break;
      case 'eval':
        this.#metrics.set(`${event.split}_loss`, event.loss);
        if (event.accuracy !== undefined) this.#metrics.set(`${event.split}_accuracy`, event.accuracy);
        for (const [name, value] of Object.entries(event.metrics))
          this.#metrics.set(`${event.split}_${name}`, value);
        break;
      case 'done':
        this.#last = this.#status(100, 0);
        break;
      default:
        break;
    }
  }

  /** Sends the end of a finished run, which no interval delays. */
  async close(): Promise<void> {
    const last = this.#last;
    if (last === undefined) return;
    await settledWithin(timeoutMs, this.#sending ?? Promise.resolve());
    await settledWithin(timeoutMs, this.#send(last));
  }

  #onStep({ step, loss, samples, imagesPerSecond }: Extract<RunEvent, { event: 'step' }>): void {
    this.#metrics.set('loss', loss);
    this.#metrics.set('images_per_second', imagesPerSecond);
    const nowMs = this.#now();
    if (this.#sending !== undefined || nowMs - this.#sentMs < shortestIntervalMs || this.#totalSteps === 0)
      return;
    this.#sentMs = nowMs;
    const remaining = this.#totalSteps - step;
    // A run whose model is not saved yet is not complete.
    const percentage = Math.min(99, Math.floor((100 * step) / this.#totalSteps));
    const status = this.#status(percentage, Math.ceil((remaining * samples) / imagesPerSecond));
    this.#sending = this.#send(status).finally(() => (this.#sending = undefined));
  }

  #status(progressPercentage: number, seconds: number): TrainerStatus {
    const metrics = [...this.#metrics]
      .slice(0, maxMetrics)
      .map(([name, value]) => ({ name: name.slice(0, maxTextLength), value: String(value) }));
    return {
      progressPercentage,
      ...(Number.isSafeInteger(seconds) && seconds < 2 ** 31 && { estimatedRemainingSeconds: seconds }),
      metrics,
      lastUpdatedTime: new Date(this.#now()).toISOString().replace(/\.\d+Z$/, 'Z'),
    };
  }

  async #send(trainerStatus: TrainerStatus): Promise<void> {
    try {
      const status = await post(this.#server, JSON.stringify({ trainerStatus }));
      if (status < 200 || status > 299) throw new Error(`status ${status}`);
      this.#hasWarned = false;
    } catch (error) {
      if (this.#hasWarned) return;
      this.#hasWarned = true;
      const reason = systemCode(error) ?? (error instanceof Error ? error.message : String(error));
      this.#warn(
        `The progress can't be reported to Kubeflow (${reason}). The training continues, and later reports follow.`,
      );
    }
  }
}

/** Returns the status of the answer. The files are read each time, since Kubernetes replaces them. */
async function post({ url, caFile, tokenFile }: KubeflowServer, body: string): Promise<number> {
  const ca = caFile === undefined ? undefined : await readFile(caFile);
  const token = tokenFile === undefined ? undefined : (await readFile(tokenFile, 'utf8')).trim();
  return new Promise((resolve, reject) => {
    const headers = {
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(body),
      ...(token !== undefined && { Authorization: `Bearer ${token}` }),
    };
    const options = { method: 'POST', headers, timeout: timeoutMs, agent: false, ...(ca && { ca }) };
    const sent = request(url, options, (response) => {
      response.resume();
      response.once('error', reject);
      response.once('end', () => resolve(response.statusCode ?? 0));
    });
    sent.once('timeout', () => sent.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
    sent.once('error', reject);
    sent.end(body);
  });
}
