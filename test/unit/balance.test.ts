import { describe, expect, it } from 'vitest';
import { sampleWindowMs, sampleWindows } from '../../src/coordinator/balance.js';
import type { RunConfigInput } from '../../src/shared/config/run-config.js';
import { noTimes } from '../../src/shared/timeline/step-parts.js';
import { CoordinatedRun } from '../support/coordinated-run.js';

const speed = { balance: 'speed', shards: 8, maxSteps: 100_000, epochs: 1_000_000 } as const;

/** Two or more workers that take turns in nothing: each step, each of them says what its own work took. */
class PacedRun {
  readonly run: CoordinatedRun;
  generation = 1;
  step = 0;

  constructor(workers = 2, change: RunConfigInput = {}) {
    this.run = CoordinatedRun.running(workers, { ...speed, ...change });
  }

  /** Steps of a stretch each; milliseconds of one shard by worker, waits left out. */
  stretches(count: number, shardMs: Readonly<Record<string, number>>, shares: readonly number[]): void {
    for (let i = 0; i < count; i++) {
      this.step++;
      this.run.nowMs += sampleWindowMs;
      for (const [rank, [from, ms]] of Object.entries(shardMs).entries()) {
        const own = { forward: ms * (shares[rank] ?? 0), waitBatchNorm: 17, update: 5 };
        this.run.say(from, {
          type: 'committed',
          generation: this.generation,
          step: this.step,
          epoch: 1,
          loss: 1,
          learningRate: 0.1,
          times: { ...noTimes(), ...own },
        });
      }
    }
  }

  stop(...names: readonly string[]): void {
    for (const name of names)
      this.run.say(name, { type: 'drained', generation: this.generation, step: this.step });
  }

  /** All say where they stand, and meet again. */
  regroup(...names: readonly string[]): void {
    const { generation, step } = this;
    for (const from of names) this.run.say(from, { type: 'last_committed', generation, step });
    this.generation++;
    for (const from of names)
      this.run.say(from, { type: 'connected', generation: this.generation, sharing: true });
  }

  get asked(): number[] {
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
  it('stops all at a boundary ahead of them, then deals by speed, and says so', () => {
    const paced = new PacedRun();
    const { run } = paced;
    paced.stretches(sampleWindows, slowB, [4, 4]);
    expect(paced.asked).toEqual([]);
    paced.stretches(1, slowB, [4, 4]);
    expect(paced.asked).toEqual([full + 2]);
    paced.stretches(2, slowB, [4, 4]);
    expect(run.phase).toBe('running');
    paced.stop('a');
    expect(run.phase).toBe('running');
    paced.stop('b');
    expect(run.phase).toBe('reconfiguring');
    paced.regroup('a', 'b');
    expect(run.shares(2)).toEqual([6, 2]);
    expect(run.plans(2).map(({ step, source }) => [step, source])).toEqual([
      [full + 2, null],
      [full + 2, null],
    ]);
    const said = run.actions.flatMap((action) =>
      action.kind === 'emit' && action.event.event === 'generation' ? [action.event] : [],
    );
    expect(said).toMatchObject([
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

  it('lets workers be that are about as fast, or that were slow for a while only', () => {
    const paced = new PacedRun();
    paced.stretches(20, { a: 10, b: 11 }, [4, 4]);
    for (let i = 0; i < 5; i++) {
      paced.stretches(Math.floor(sampleWindows / 2), { a: 10, b: 40 }, [4, 4]);
      paced.stretches(sampleWindows, { a: 10, b: 10 }, [4, 4]);
    }
    expect(paced.asked).toEqual([]);
  });

  it('does nothing unless it was asked to, where there is nothing to deal, and when too little is left', () => {
    for (const [change, advice] of [
      [{ balance: 'off' }, 0],
      [{ shards: 2 }, 1],
      [{ maxSteps: full + 40 }, 0],
    ] as const) {
      const run = new CoordinatedRun(2, { ...speed, ...change });
      run.join('a', 1);
      run.join('b', 2);
      for (const name of ['a', 'b']) run.ready(name);
      for (const name of ['a', 'b']) run.say(name, { type: 'connected', generation: 1, sharing: true });
      expect(run.warnings.filter((text) => /can be dealt in one way only/.test(text))).toHaveLength(advice);
      const paced = new PacedRun(2, change);
      paced.stretches(20, slowB, [4, 4]);
      expect(paced.asked).toEqual([]);
    }
  });

  it('rests after each dealing, longer every time, whatever is measured', () => {
    const paced = new PacedRun();
    const dealtMs: number[] = [];
    let shares = [4, 4];
    for (let i = 0; i < 1500; i++) {
      // The slow one is always the one that was dealt less: what noise can do at worst.
      const slow = (shares[0] ?? 0) > 4 ? 'a' : 'b';
      paced.stretches(1, { a: 10, b: 10, [slow]: 20 }, shares);
      if (paced.asked.length === dealtMs.length) continue;
      paced.stop('a', 'b');
      paced.regroup('a', 'b');
      dealtMs.push(paced.run.nowMs);
      shares = paced.run.shares(paced.generation);
    }
    const rests = dealtMs.slice(1).map((ms, i) => Math.round((ms - (dealtMs[i] ?? 0)) / 1000));
    expect(rests).toEqual([10, 20, 40, 80, 120]);
  });

  it('gives up the step of one that was past the boundary when it heard, and of nobody else', () => {
    const paced = new PacedRun();
    const { run } = paced;
    paced.stretches(full + 2, slowB, [4, 4]);
    paced.stop('a');
    run.tick(run.nowMs + 399);
    expect(run.phase).toBe('running');
    run.tick(run.nowMs + 1);
    expect(run.phase).toBe('reconfiguring');
    paced.regroup('a', 'b');
    expect(run.shares(2)).toEqual([6, 2]);
  });

  it('gives way to a loss, and deals the shards of the lost by what is known of the others', () => {
    const paced = new PacedRun(3, { shards: 12 });
    const { run } = paced;
    const paces = { a: 10, b: 20, c: 10 };
    paced.stretches(full + 2, paces, [4, 4, 4]);
    paced.stop('a', 'b');
    run.on({ kind: 'exited', pid: 3, how: 'died', final: false });
    paced.regroup('a', 'b');
    expect(run.shares(2)).toEqual([8, 4]);
    expect(run.lost).toHaveLength(1);
    // A newcomer, of which nothing is known, counts as one of them.
    run.join('d', 4);
    run.ready('d');
    for (const from of ['a', 'b'])
      run.say(from, { type: 'last_committed', generation: paced.generation, step: paced.step });
    expect(run.shares(3)).toEqual([6, 3, 3]);
  });
});
