import { describe, expect, it } from 'vitest';
import { StopSignals, startedUnderNohup, type StopRequest } from '../../src/launcher/stop-signals.js';

class Source {
  readonly #listeners = new Map<string, () => void>();
  readonly exits: number[] = [];
  nowMs = 5_000;

  on(signal: string, listener: () => void): void {
    this.#listeners.set(signal, listener);
  }

  exit(status: number): void {
    this.exits.push(status);
  }

  now(): number {
    return this.nowMs;
  }

  /** Sends each signal at its time after the first one. */
  send(...signals: readonly (readonly [signal: string, afterMs: number])[]): void {
    const startMs = this.nowMs;
    for (const [signal, afterMs] of signals) {
      this.nowMs = startMs + afterMs;
      this.#listeners.get(signal)?.();
    }
  }
}

/** The requests that a running training receives. */
async function requests(...signals: readonly (readonly [string, number])[]): Promise<StopRequest[]> {
  const source = new Source();
  const received: StopRequest[] = [];
  await new StopSignals(source).during(
    (request) => received.push(request),
    () => {
      source.send(...signals);
      return Promise.resolve();
    },
  );
  expect(source.exits).toEqual([]);
  return received;
}

const save = (signal: string): StopRequest => ({ signal, atOnce: false });

describe('the signals that stop a run', () => {
  it('have the same effect as a request for another cause, once and while the run trains', async () => {
    const source = new Source();
    const signals = new StopSignals(source);
    const received: StopRequest[] = [];
    signals.request('early');
    await signals.during(
      (request) => received.push(request),
      () => {
        signals.request('the dashboard');
        signals.request('the dashboard');
        // Ctrl-C after a request ends the run at once.
        source.send(['SIGTERM', 500], ['SIGINT', 2_000]);
        return Promise.resolve();
      },
    );
    signals.request('late');
    expect(received).toEqual([save('the dashboard'), { signal: 'SIGINT', atOnce: true }]);
    expect(source.exits).toEqual([]);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
    ['SIGUSR1', 75],
    ['SIGUSR2', 75],
  ])('%s ends a process that has nothing to save with status %i', (signal, status) => {
    const source = new Source();
    new StopSignals(source);
    source.send([signal, 0]);
    expect(source.exits).toEqual([status]);
  });

  it('count as one within a second', async () => {
    expect(await requests(['SIGINT', 0], ['SIGINT', 20], ['SIGINT', 999])).toEqual([save('SIGINT')]);
    expect(await requests(['SIGTERM', 0], ['SIGHUP', 1])).toEqual([save('SIGTERM')]);
  });

  it('stop at once at a later SIGINT, and at no other signal', async () => {
    const atOnce = { signal: 'SIGINT', atOnce: true };
    expect(await requests(['SIGINT', 0], ['SIGINT', 1_000])).toEqual([save('SIGINT'), atOnce]);
    expect(await requests(['SIGTERM', 0], ['SIGTERM', 9_000], ['SIGINT', 10_000])).toEqual([
      save('SIGTERM'),
      atOnce,
    ]);
    expect(await requests(['SIGUSR1', 0], ['SIGTERM', 30_000])).toEqual([save('SIGUSR1')]);
  });

  it('have no effect after the end, except for a second SIGINT', async () => {
    const source = new Source();
    const signals = new StopSignals(source);
    await signals.during(
      () => undefined,
      () => Promise.resolve(),
    );
    source.send(['SIGTERM', 0], ['SIGINT', 500]);
    expect(source.exits).toEqual([]);
    source.send(['SIGINT', 2_000]);
    expect(source.exits).toEqual([1]);
  });

  it('have no effect if they are ignored', () => {
    const source = new Source();
    new StopSignals(source, ['SIGHUP']);
    source.send(['SIGHUP', 0]);
    expect(source.exits).toEqual([]);
  });

  it('recognise nohup by the shell, by an input that is open for writing only, and by the parent', () => {
    const none = {
      shellVariable: '/usr/bin/node',
      input: 'flags:\t0100002\n',
      parentStatus: 'SigIgn:\t0000000000001000\n',
    };
    expect(startedUnderNohup(none)).toBe(false);
    expect(startedUnderNohup({ shellVariable: undefined, input: '', parentStatus: '' })).toBe(false);
    expect(startedUnderNohup({ ...none, shellVariable: '/usr/bin/nohup' })).toBe(true);
    expect(startedUnderNohup({ ...none, input: 'pos:\t0\nflags:\t0100001\n' })).toBe(true);
    expect(startedUnderNohup({ ...none, parentStatus: 'Name:\tbash\nSigIgn:\t0000000000000005\n' })).toBe(
      true,
    );
  });
});
