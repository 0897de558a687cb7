import { describe, expect, it } from 'vitest';
import { WorkerHealth, observationMs } from '../../src/worker/communicator/worker-health.js';
import type { CoordinatorMessage, WorkerMessage } from '../../src/shared/protocol/messages.js';

const limits = { joinTimeoutMs: 60_000, stepTimeoutMs: 5_000 };
const received = (type: CoordinatorMessage['type']): CoordinatorMessage =>
  ({ type, config: limits }) as unknown as CoordinatorMessage;
const sent = (type: WorkerMessage['type']): WorkerMessage => ({ type }) as unknown as WorkerMessage;

/** A worker whose main thread and clock the test moves. */
class Simulated {
  nowMs = 0;
  progress = 0;
  waits = false;
  readonly health = new WorkerHealth(
    { progress: () => this.progress, isWaiting: () => this.waits },
    () => this.nowMs,
  );

  /** Time passes, and the thread is observed at its interval. */
  pass(ms: number, progressPerObservation = 0): void {
    for (let passed = 0; passed < ms; passed += observationMs) {
      this.nowMs += observationMs;
      this.progress += progressPerObservation;
      this.health.observe();
    }
  }

  get probes(): string {
    return `${this.health.live()}, ${this.health.ready()}`;
  }
}

describe("a worker's health", () => {
  it('is ready as a member of a generation and not before, also while the next one starts', () => {
    const worker = new Simulated();
    expect(worker.probes).toBe('ok, connecting');
    worker.health.received(received('welcome'));
    expect(worker.probes).toBe('ok, loading');
    worker.health.sent(sent('ready'));
    expect(worker.probes).toBe('ok, standby');
    worker.health.joined();
    expect(worker.probes).toBe('ok, ok');
    worker.health.generationEnded();
    worker.pass(limits.stepTimeoutMs, 1);
    expect(worker.probes).toBe('ok, ok');
    worker.pass(observationMs, 1);
    expect(worker.probes).toBe('ok, standby');
    worker.health.joined();
    expect(worker.probes).toBe('ok, ok');
    worker.health.received(received('finish'));
    expect(worker.probes).toBe('ok, finished');
  });

  it('is hung after the step timeout without progress, but not while it waits for others', () => {
    const worker = new Simulated();
    worker.health.received(received('welcome'));
    worker.health.sent(sent('ready'));
    worker.health.joined();
    worker.pass(limits.stepTimeoutMs);
    expect(worker.probes).toBe('ok, ok');
    worker.pass(observationMs);
    expect(worker.probes).toBe('hung, hung');
    worker.pass(observationMs, 1);
    expect(worker.probes).toBe('ok, ok');
    worker.waits = true;
    worker.pass(10 * limits.stepTimeoutMs);
    expect(worker.probes).toBe('ok, ok');
  });

  it('may load without progress for the join timeout', () => {
    const worker = new Simulated();
    worker.health.received(received('welcome'));
    worker.pass(limits.joinTimeoutMs);
    expect(worker.probes).toBe('ok, loading');
    worker.pass(observationMs);
    expect(worker.probes).toBe('hung, hung');
  });

  it('does not count time in which the process was stopped', () => {
    const worker = new Simulated();
    worker.health.received(received('welcome'));
    worker.health.sent(sent('ready'));
    worker.health.joined();
    worker.nowMs += 100 * limits.stepTimeoutMs;
    expect(worker.probes).toBe('ok, ok');
  });

  it('is not ready after a failure', () => {
    const worker = new Simulated();
    worker.health.received(received('welcome'));
    worker.health.sent(sent('ready'));
    worker.health.joined();
    worker.health.received(received('abort'));
    expect(worker.probes).toBe('ok, failed');
  });
});
