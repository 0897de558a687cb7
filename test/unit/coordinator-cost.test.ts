import { afterEach, describe, expect, it, vi } from 'vitest';
import type { TrieNode } from '../../src/coordinator/persistent-vector.js';
import type { State } from '../../src/coordinator/types.js';
import { WorkerTable } from '../../src/coordinator/worker-table.js';
import type { RunConfigInput } from '../../src/shared/config/run-config.js';
import { noTimes } from '../../src/shared/timeline/step-parts.js';
import { CoordinatedRun, sha } from '../support/coordinated-run.js';

function runningWith(workers: number, change: RunConfigInput = {}): { run: CoordinatedRun; names: string[] } {
  const run = new CoordinatedRun(workers, { shards: workers, batchSize: workers, ...change });
  const names = Array.from({ length: workers }, (_, i) => `w${i}`);
  for (const [i, name] of names.entries()) run.join(name, i + 1);
  for (const name of names) run.ready(name);
  for (const name of names) run.say(name, { type: 'connected', generation: 1, sharesMemory: true });
  expect(run.phase).toBe('running');
  run.actions = [];
  return { run, names };
}

/** The number of entries in nodes of `after` that are not nodes of `before`: those that were copied. */
function copiedEntries(before: TrieNode<unknown>, after: TrieNode<unknown>): number {
  if (before === after) return 0;
  const below = after.kind === 'leaf' ? [] : after.entries;
  return below.reduce((sum, child, i) => {
    const old = before.kind === 'branch' ? before.entries[i] : undefined;
    return sum + (old ? copiedEntries(old, child) : child.entries.length);
  }, after.entries.length);
}

const root = ({ workers }: State): TrieNode<unknown> => workers.records.root;

/** One message of each worker; the number of copied entries and of complete traversals of the worker table. */
function costOf(
  run: CoordinatedRun,
  names: readonly string[],
  say: (name: string) => void,
): { copied: number; traversals: number } {
  const values = vi.spyOn(WorkerTable.prototype, 'values');
  let copied = 0;
  for (const name of names) {
    const before = root(run.state);
    say(name);
    copied += copiedEntries(before, root(run.state));
  }
  const traversals = values.mock.calls.length;
  values.mockRestore();
  return { copied, traversals };
}

describe('the cost of messages', () => {
  afterEach(() => void vi.restoreAllMocks());

  it.each([4, 128, 1024])('grows linearly for a committed step (%i workers)', (workers) => {
    const { run, names } = runningWith(workers);
    const { copied, traversals } = costOf(run, names, (name) => run.commit(name, 1));
    expect(run.state.progress.step).toBe(1);
    expect(traversals).toBe(0);
    expect(copied).toBeGreaterThanOrEqual(workers);
    // A path of two nodes with at most 32 entries each per message, where a copy of the table has 1024.
    expect(copied).toBeLessThanOrEqual(workers * 64);
  });

  it('grows linearly for a round of heartbeats', () => {
    const { run, names } = runningWith(1024);
    const { copied, traversals } = costOf(run, names, (name) => run.beat(name, 5));
    expect(traversals).toBe(0);
    expect(copied).toBeLessThanOrEqual(1024 * 64);
  });

  it('grows linearly for the start, the end of a generation and the end of the run', () => {
    const workers = 256;
    const run = new CoordinatedRun(workers, { shards: workers, batchSize: workers });
    const names = Array.from({ length: workers }, (_, i) => `w${i}`);
    // The last message of each kind may visit all workers a few times; every other one visits at most two.
    const most = (12 + 2) * workers;
    const linear = (say: (name: string, index: number) => void): void => {
      let visited = 0;
      const values = vi.spyOn(WorkerTable.prototype, 'values').mockImplementation(function* (
        this: WorkerTable<never>,
      ) {
        for (const record of this.records.values()) {
          visited++;
          yield record;
        }
      });
      let copied = 0;
      for (const [index, name] of names.entries()) {
        const before = root(run.state);
        say(name, index);
        copied += copiedEntries(before, root(run.state));
      }
      values.mockRestore();
      expect(visited).toBeLessThanOrEqual(most);
      expect(copied).toBeLessThanOrEqual(workers * 64 + most);
    };
    linear((name, i) => run.join(name, i + 1));
    linear((name) => run.ready(name));
    expect(run.phase).toBe('connecting');
    linear((name) => run.say(name, { type: 'connected', generation: 1, sharesMemory: true }));
    expect(run.phase).toBe('running');
    for (const name of names) run.commit(name, 1);
    run.say('w0', { type: 'leave' });
    names.shift();
    linear((name) => run.say(name, { type: 'last_committed', generation: 1, step: 1 }));
    expect(run.phase).toBe('connecting');
    linear((name) => run.say(name, { type: 'connected', generation: 2, sharesMemory: true }));
    for (const step of [2, 3]) for (const name of names) run.commit(name, step);
    linear((name) => run.say(name, { type: 'finished', generation: 2, steps: 3, weightsSha256: sha('e') }));
    expect(run.phase).toBe('saving');
  });

  it('includes one plan for all members, which is encoded once', () => {
    const run = new CoordinatedRun(64, { shards: 64, batchSize: 64 });
    const names = Array.from({ length: 64 }, (_, i) => `w${i}`);
    for (const [i, name] of names.entries()) run.join(name, i + 1);
    for (const name of names) run.ready(name);
    const plans = run.actions.flatMap((action) =>
      action.kind === 'send' && action.message.type === 'plan' ? [action] : [],
    );
    expect(plans.map(({ to }) => to)).toEqual(names);
    expect(new Set(plans.map(({ message }) => message)).size).toBe(1);
  });

  it('does not include an evaluation of the assignment per message with --balance speed', () => {
    const { run, names } = runningWith(128, { shards: 256, batchSize: 256, balance: 'speed' });
    const times = { ...noTimes(), forward: 10 };
    const steps = 40;
    const { traversals } = costOf(run, Array.from({ length: steps }, () => names).flat(), (name) => {
      const step = name === 'w0' ? run.state.progress.step + 1 : run.state.progress.step;
      if (name === 'w0') run.nowMs += 100;
      run.say(name, {
        type: 'committed',
        generation: 1,
        step,
        epoch: 1,
        loss: 1,
        learningRate: 0.1,
        times,
      });
    });
    expect(run.state.balance.unmeasuredMembers).toBe(0);
    expect(traversals).toBeGreaterThan(0);
    // At most one evaluation per sample window of 250 ms.
    expect(traversals).toBeLessThanOrEqual((steps * 100) / 250);
  });
});
