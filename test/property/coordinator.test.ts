import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import type * as Transitions from '../../src/coordinator/transitions.js';
import { phaseTransitions, workerTransitions } from '../../src/coordinator/transitions.js';
import type { Phase, State, WorkerState } from '../../src/coordinator/types.js';
import { membersOf } from '../../src/coordinator/workers.js';
import { noTimes } from '../../src/shared/timeline/step-parts.js';
import { CoordinatedRun, runId } from '../support/coordinated-run.js';
import { apply, randomEvents, randomRun } from '../support/random-coordination.js';

const entered = vi.hoisted(() => ({ phases: new Set<string>(), workers: new Set<string>() }));

/** Records every transition that the coordinator makes. */
vi.mock('../../src/coordinator/transitions.js', async (importOriginal) => {
  const original = await importOriginal<typeof Transitions>();
  return {
    ...original,
    enter: ((state, phase, nowMs) => {
      entered.phases.add(`${state.phase} -> ${phase}`);
      return original.enter(state, phase, nowMs);
    }) satisfies typeof original.enter,
    moveTo: ((worker, lifecycle) => {
      entered.workers.add(`${worker.lifecycle.state} -> ${lifecycle.state}`);
      return original.moveTo(worker, lifecycle);
    }) as typeof original.moveTo,
  };
});

const pairs = (table: Readonly<Record<string, readonly string[]>>): string[] =>
  Object.entries(table).flatMap(([from, next]) => next.map((to) => `${from} -> ${to}`));

/** The states of members that are possible in each phase. */
const memberStates: Partial<Record<Phase, readonly WorkerState[]>> = {
  gathering: [],
  connecting: ['connecting', 'connected'],
  running: ['running', 'drained', 'finished'],
  // A member that is taken over from another coordinator can rejoin while the others have finished.
  saving: ['finished', 'running'],
  reconfiguring: ['stopping', 'stopped'],
  stopping: ['stopped'],
};

function check(state: State): void {
  const states = memberStates[state.phase];
  if (!states) return;
  for (const { lifecycle } of membersOf(state)) expect(states).toContain(lifecycle.state);
  const ranks = membersOf(state).map(({ lifecycle: { rank } }) => rank);
  if (state.phase === 'connecting') expect(ranks.sort()).toEqual(ranks.map((_, rank) => rank));
}

/** A run whose members are drained for a rebalance, which random events hardly ever cause. */
function drainedRun(): void {
  const run = CoordinatedRun.running(2, { shards: 8, balance: 'speed', maxSteps: 100_000, epochs: 100_000 });
  for (let step = 1; run.state.balance.stopAfter === null; step++) {
    run.nowMs += 250;
    for (const [from, forward] of [
      ['a', 40],
      ['b', 80],
    ] as const) {
      run.say(from, {
        type: 'committed',
        generation: 1,
        step,
        epoch: 1,
        loss: 1,
        learningRate: 0.1,
        times: { ...noTimes(), forward },
      });
    }
  }
  for (const from of ['a', 'b']) {
    run.say(from, { type: 'drained', generation: 1, step: run.state.balance.stopAfter });
    check(run.state);
  }
  expect(run.phase).toBe('reconfiguring');
}

/** A takeover of more members than the run has shards: a worker that the old coordinator had removed rejoins too. */
function overfullTakeover(): void {
  const inherited = { runId, step: 1, evaluated: { step: 0, splits: [] }, checkpoint: null };
  const run = new CoordinatedRun(2, { shards: 2, batchSize: 2 }, inherited);
  for (const [rank, from] of ['a', 'b', 'c'].entries()) run.rejoin(from, rank, { worldSize: 3 });
  for (const from of ['a', 'b', 'c']) run.say(from, { type: 'last_committed', generation: 1, step: 2 });
  check(run.state);
  expect(run.plans(2).map(({ to }) => to)).toEqual(['a', 'b']);
  expect(run.state.workers.get('c')?.lifecycle.state).toBe('standby');
}

describe('the coordinator', () => {
  it('makes only declared transitions for any events, and every declared one for some', () => {
    fc.assert(
      fc.property(randomEvents, ({ takesOver, events }) => {
        const run = randomRun(takesOver);
        for (const event of events) {
          apply(run, event);
          check(run.state);
        }
      }),
      { seed: 1, numRuns: 3000 },
    );
    drainedRun();
    overfullTakeover();
    expect([...entered.phases].sort()).toEqual(pairs(phaseTransitions).sort());
    expect([...entered.workers].sort()).toEqual(pairs(workerTransitions).sort());
  }, 60_000);
});
