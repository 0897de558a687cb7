import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { PeerLostError, type OperationalError } from '../../src/shared/errors.js';
import type { ControlClientEvents } from '../../src/shared/transport/transport.js';
import { PatientControlClient } from '../../src/worker/communicator/patient-control.js';

describe("a worker's wait for its coordinator", () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: new Date('2030-01-01T12:00:00') });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  function wait(limitMs: number | null, reason = 'nothing listens there (ECONNREFUSED)') {
    const lines: string[] = [];
    const errors: OperationalError[] = [];
    let follows = 0;
    let onDiagnosis = (): void => undefined;
    let inner: ControlClientEvents | undefined;
    const client = new PatientControlClient(
      {
        connect: (events) => (inner = events),
        send: () => undefined,
        close: () => Promise.resolve(),
        follow: () => follows++,
        diagnose: () => {
          onDiagnosis();
          return Promise.resolve(reason);
        },
      },
      { endpoint: 'tcp://trainer:28600', limitMs, print: (line) => lines.push(line) },
    );
    client.connect({
      message: () => undefined,
      disconnected: () => undefined,
      refused: (error) => errors.push(error),
    });
    const hear = (): void => inner?.message(new Uint8Array());
    const atDiagnosis = (body: () => void): void => void (onDiagnosis = body);
    return { client, lines, errors, hear, atDiagnosis, follows: () => follows };
  }

  it('prints a line every ten seconds: what, where, since when, why, and until when', async () => {
    const { lines } = wait(600_000);
    await vi.advanceTimersByTimeAsync(9_500);
    expect(lines).toEqual([]);
    await vi.advanceTimersByTimeAsync(21_000);
    expect(lines).toEqual(
      ['10 s', '20 s', '30 s'].map(
        (waited) =>
          `Waiting for the coordinator at tcp://trainer:28600 to answer since 12:00:00 (${waited}): ` +
          'nothing listens there (ECONNREFUSED); the limit is 600 s.',
      ),
    );
  });

  it('ends at the limit with an error that a supervisor may answer with another start', async () => {
    const { lines, errors } = wait(15_000);
    await vi.advanceTimersByTimeAsync(14_500);
    expect(errors).toEqual([]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(lines).toHaveLength(1);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toBeInstanceOf(PeerLostError);
    expect(errors[0]?.message).toContain(
      'No coordinator at tcp://trainer:28600: waited 15 s, got no answer: nothing listens there (ECONNREFUSED).',
    );
  });

  it('accepts an answer that arrives while it finds out why there is none', async () => {
    const { errors, hear, atDiagnosis } = wait(5_000);
    atDiagnosis(hear);
    await vi.advanceTimersByTimeAsync(14_500);
    expect(errors).toEqual([]);
  });

  it('has no limit if none is wanted, and none after the first answer', async () => {
    const patient = wait(null);
    const answered = wait(15_000);
    answered.hear();
    await vi.advanceTimersByTimeAsync(100_000);
    expect([patient.errors, answered.errors]).toEqual([[], []]);
    expect([patient.lines.length, answered.lines.length]).toEqual([10, 10]);
    expect(answered.lines[0]).toBe(
      'Waiting for the coordinator at tcp://trainer:28600 to answer again since 12:00:00 (10 s): ' +
        'nothing listens there (ECONNREFUSED).',
    );
  });

  it('is silent while the coordinator is heard, and resolves its name again only when it is not', async () => {
    const { client, lines, hear, follows } = wait(600_000);
    client.expectEvery(1_000);
    for (let second = 0; second < 60; second++) {
      hear();
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect([lines, follows()]).toEqual([[], 0]);
    await vi.advanceTimersByTimeAsync(8_000);
    expect(follows()).toBeGreaterThan(0);
    await client.close();
    await vi.advanceTimersByTimeAsync(100_000);
    expect(lines).toEqual([]);
  });
});
