import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AwakeClock, awakeTimeout } from '../../src/shared/time/awake-clock.js';
import { Heartbeat } from '../../src/worker/communicator/heartbeat.js';

describe('a clock of the time in which this process runs', () => {
  it('leaves out gaps that are longer than the limit, and counts all others', () => {
    let raw = 100;
    const clock = new AwakeClock(1_000, () => raw);
    const readings = [100, 200, 1_200, 13_200, 13_300, 14_300, 134_300, 134_400].map((atMs) => {
      raw = atMs;
      return clock.now();
    });
    expect(readings).toEqual([100, 200, 1_200, 1_200, 1_300, 2_300, 2_300, 2_400]);
  });
});

describe('timers of a process that was stopped', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] }));
  afterEach(() => void vi.useRealTimers());

  /** Time passes without a timer event, then the timers that are due fire once each, as after SIGCONT. */
  const stopped = (ms: number): void => {
    const before = performance.now();
    vi.setSystemTime(Date.now() + ms);
    const spy = vi.spyOn(performance, 'now');
    spy.mockImplementation(() => before + ms + 1);
    vi.advanceTimersByTime(250);
    spy.mockRestore();
  };

  it('a timeout counts the ticks and not the time of the stop', () => {
    const fired = vi.fn();
    awakeTimeout(5_000, fired);
    vi.advanceTimersByTime(4_000);
    stopped(120_000);
    expect(fired).not.toHaveBeenCalled();
    vi.advanceTimersByTime(750);
    expect(fired).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(60_000);
    expect(fired).toHaveBeenCalledTimes(1);
  });

  it('a cancelled timeout does not fire', () => {
    const fired = vi.fn();
    awakeTimeout(1_000, fired)();
    vi.advanceTimersByTime(2_000);
    expect(fired).not.toHaveBeenCalled();
  });

  it('a worker reports a silent coordinator after the timeout, but not after its own stop', () => {
    const silent = vi.fn();
    const options = { intervalMs: 250, timeoutMs: 10_000, send: () => undefined, silent };
    const heartbeat = new Heartbeat(options);
    vi.advanceTimersByTime(9_000);
    expect(silent).not.toHaveBeenCalled();
    stopped(120_000);
    expect(silent).not.toHaveBeenCalled();
    heartbeat.stop();
    const other = new Heartbeat(options);
    vi.advanceTimersByTime(10_500);
    expect(silent).toHaveBeenCalled();
    other.stop();
  });
});
