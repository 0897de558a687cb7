import { describe, expect, it } from 'vitest';
import { sampleWindowMs, sampleWindows } from '../../src/coordinator/balance.js';
import type { RunConfigInput } from '../../src/shared/config/run-config.js';
import { noTimes } from '../../src/shared/timeline/step-parts.js';
import { CoordinatedRun } from '../support/coordinated-run.js';

const speed = { balance: 'speed', shards: 8, maxSteps: 100_000, epochs: 1_000_000 } as const;

/** A run of workers with given speeds, which report the times of their own computation at each step. */
class TimedRun {
  readonly run: CoordinatedRun;
  generation = 1;
  step = 0;

  constructor(workers = 2, change: RunConfigInput = {}) {
    this.run = CoordinatedRun.running(workers, { ...speed, ...change });
  }

  /** Commits steps of one sample window each. `shardMs` is the time of one shard by worker, without waits. */
  commitWindows(count: number, shardMs: Readonly<Record<string, number>>, shares: readonly number[]): void {
    for (let i = 0; i < count; i++) {
      this.step++;
      this.run.nowMs += sampleWindowMs;
      for (const [rank, [from, ms]] of Object.entries(shardMs).entries()) {
        const forward = ms * (shares[rank] ?? 0);
        this.run.say(from, {
          type: 'committed',
          generation: this.generation,
          step: this.step,
          epoch: 1,
          loss: 1,
          learningRate: 0.1,
          times: { ...noTimes(), forward, waitBatchNorm: 17, update: 5 },
        });
      }
    }
  }

  drain(...names: readonly string[]): void {
    for (const name of names)
      this.run.say(name, { type: 'drained', generation: this.generation, step: this.step });
  }

  /** All members stop and connect in the next generation. */
  reconfigure(...names: readonly string[]): void {
    const { generation, step } = this;
    for (const from of names) this.run.say(from, { type: 'last_committed', generation, step });
    this.generation++;
    for (const from of names)
      this.run.say(from, { type: 'connected', generation: this.generation, sharesMemory: true });
  }

  get drainSteps(): number[] {
    return this.run.actions.flatMap((action) =>
      action.kind === 'send' && action.to === 'a' && action.message.type === 'drain'
        ? [action.message.after]
        : [],
    );
  }
}

const slowB = { a: 10, b: 20 };
const full = sampleWindows + 1;

describe('--balance speed', () => {
  it('stops all members at a later step boundary, assigns shards by speed, and reports it', () => {
    const timed = new TimedRun();
    const { run } = timed;
    timed.commitWindows(sampleWindows, slowB, [4, 4]);
    expect(timed.drainSteps).toEqual([]);
    timed.commitWindows(1, slowB, [4, 4]);
    expect(timed.drainSteps).toEqual([full + 2]);
    timed.commitWindows(2, slowB, [4, 4]);
    expect(run.phase).toBe('running');
    timed.drain('a');
    expect(run.phase).toBe('running');
    timed.drain('b');
    expect(run.phase).toBe('reconfiguring');
    timed.reconfigure('a', 'b');
    expect(run.shares(2)).toEqual([6, 2]);
    expect(run.plans(2).map(({ step, source }) => [step, source])).toEqual([
      [full + 2, null],
      [full + 2, null],
    ]);
    const generations = run.actions.flatMap((action) =>
      action.kind === 'emit' && action.event.event === 'generation' ? [action.event] : [],
    );
    expect(generations).toMatchObject([
      {
        generation: 2,
        reason: 'balance',
        workers: [
          { rank: 0, shards: { start: 0, end: 6 }, shardMs: 10 },
          { rank: 1, shards: { start: 6, end: 8 }, shardMs: 20 },
        ],
      },
    ]);
  });

  it('ignores small differences in speed and temporary slowness', () => {
    const timed = new TimedRun();
    timed.commitWindows(20, { a: 10, b: 11 }, [4, 4]);
    for (let i = 0; i < 5; i++) {
      timed.commitWindows(Math.floor(sampleWindows / 2), { a: 10, b: 40 }, [4, 4]);
      timed.commitWindows(sampleWindows, { a: 10, b: 10 }, [4, 4]);
    }
    expect(timed.drainSteps).toEqual([]);
  });

  it('does not rebalance if it is off, if only one assignment is possible, or if few steps are left', () => {
    for (const [change, advice] of [
      [{ balance: 'off' }, 0],
      [{ shards: 2 }, 1],
      [{ maxSteps: full + 40 }, 0],
    ] as const) {
      const run = new CoordinatedRun(2, { ...speed, ...change });
      run.join('a', 1);
      run.join('b', 2);
      for (const name of ['a', 'b']) run.ready(name);
      for (const name of ['a', 'b']) run.say(name, { type: 'connected', generation: 1, sharesMemory: true });
      expect(run.warnings.filter((text) => /can be assigned in one way only/.test(text))).toHaveLength(
        advice,
      );
      const timed = new TimedRun(2, change);
      timed.commitWindows(20, slowB, [4, 4]);
      expect(timed.drainSteps).toEqual([]);
    }
  });

  it('doubles the cooldown after each rebalance, whatever is measured', () => {
    const timed = new TimedRun();
    const assignedMs: number[] = [];
    let shares = [4, 4];
    for (let i = 0; i < 1500; i++) {
      // The worst case of noise: the slow worker is always the one with fewer shards.
      const slow = (shares[0] ?? 0) > 4 ? 'a' : 'b';
      timed.commitWindows(1, { a: 10, b: 10, [slow]: 20 }, shares);
      if (timed.drainSteps.length === assignedMs.length) continue;
      timed.drain('a', 'b');
      timed.reconfigure('a', 'b');
      assignedMs.push(timed.run.nowMs);
      shares = timed.run.shares(timed.generation);
    }
    const cooldowns = assignedMs.slice(1).map((ms, i) => Math.round((ms - (assignedMs[i] ?? 0)) / 1000));
    expect(cooldowns).toEqual([10, 20, 40, 80, 120]);
  });

  it('aborts the step of a member that was informed after the boundary', () => {
    const timed = new TimedRun();
    const { run } = timed;
    timed.commitWindows(full + 2, slowB, [4, 4]);
    timed.drain('a');
    run.tick(run.nowMs + 399);
    expect(run.phase).toBe('running');
    run.tick(run.nowMs + 1);
    expect(run.phase).toBe('reconfiguring');
    timed.reconfigure('a', 'b');
    expect(run.shares(2)).toEqual([6, 2]);
  });

  it('yields to a loss and assigns the shards of the lost worker by the known speeds', () => {
    const timed = new TimedRun(3, { shards: 12 });
    const { run } = timed;
    const shardMs = { a: 10, b: 20, c: 10 };
    timed.commitWindows(full + 2, shardMs, [4, 4, 4]);
    timed.drain('a', 'b');
    run.on({ kind: 'exited', pid: 3, how: 'died', final: false });
    timed.reconfigure('a', 'b');
    expect(run.shares(2)).toEqual([8, 4]);
    expect(run.lost).toHaveLength(1);
    // A newcomer is assumed to have the mean speed.
    run.join('d', 4);
    run.ready('d');
    for (const from of ['a', 'b'])
      run.say(from, { type: 'last_committed', generation: timed.generation, step: timed.step });
    expect(run.shares(3)).toEqual([6, 3, 3]);
  });
});
