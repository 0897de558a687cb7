import { describe, expect, it } from 'vitest';
import type { CoordinatorMessage } from '../../src/shared/protocol/messages.js';
import { CoordinatedRun, sha } from '../support/coordinated-run.js';

/** A run of `a`, `b` and `c`, of which those in `sharing` share the run's folder. */
function runWith(sharing: readonly string[], maxSteps = 3): CoordinatedRun {
  const run = new CoordinatedRun(3, { maxSteps });
  const names = ['a', 'b', 'c'];
  // All have the coordinator's host name, which proves nothing.
  for (const [i, name] of names.entries()) run.join(name, i + 1);
  for (const name of names) run.ready(name, sharing.includes(name) ? { sharesFolder: true } : {});
  for (const name of names) run.say(name, { type: 'connected', generation: 1, sharesMemory: true });
  return run;
}

const sentTo = (run: CoordinatedRun, type: CoordinatorMessage['type']): string[] =>
  run.actions.flatMap((action) =>
    action.kind === 'send' && action.message.type === type ? [action.to] : [],
  );

const writers = (run: CoordinatedRun): (number | undefined)[] =>
  run.actions.flatMap((action) =>
    action.kind === 'send' && action.message.type === 'plan' ? [action.message.plan.writer] : [],
  );

function finish(run: CoordinatedRun): void {
  for (const name of ['a', 'b', 'c'])
    run.say(name, { type: 'finished', generation: 1, steps: 3, weightsSha256: sha('e') });
}

describe('the worker that writes checkpoints and the model', () => {
  it.each([
    ['rank 0 if no worker shares the folder of the run', [], 0, 'a'],
    ['rank 0 if all share it', ['a', 'b', 'c'], 0, 'a'],
    ['the lowest rank that shares it', ['b', 'c'], 1, 'b'],
    ['the last rank if only that one shares it', ['c'], 2, 'c'],
  ] as const)('is %s', (_, sharing, rank, name) => {
    const run = runWith(sharing);
    expect(writers(run)).toEqual([rank, rank, rank]);
    finish(run);
    expect(sentTo(run, 'save')).toEqual([name]);
  });

  it('is a member that shares the folder, for the last checkpoint', () => {
    const run = runWith(['c'], 9);
    for (const name of ['a', 'b', 'c']) run.commit(name, 1);
    run.on({ kind: 'interrupt', signal: 'SIGTERM', atOnce: false });
    for (const name of ['a', 'b', 'c']) run.say(name, { type: 'last_committed', generation: 1, step: 1 });
    expect(sentTo(run, 'checkpoint')).toEqual(['c']);
  });

  it('has more time for the last checkpoint as long as pieces arrive', () => {
    const run = runWith([], 9);
    for (const name of ['a', 'b', 'c']) run.commit(name, 1);
    run.on({ kind: 'interrupt', signal: 'SIGTERM', atOnce: false });
    for (const name of ['a', 'b', 'c']) run.say(name, { type: 'last_committed', generation: 1, step: 1 });
    const transfer = '00000000-0000-4000-8000-000000000009';
    for (const atMs of [4_000, 8_000, 12_000]) {
      run.nowMs = atMs;
      for (const name of ['a', 'b', 'c']) run.beat(name, 1);
      run.say('a', { type: 'piece', transfer, file: 0, offset: 0, bytes: Buffer.alloc(1), checksum: 0 });
      run.tick(atMs + 1);
    }
    expect(run.error).toBeUndefined();
    for (const name of ['a', 'b', 'c']) {
      run.nowMs = 17_000;
      run.beat(name, 1);
    }
    run.tick(17_100);
    expect(run.error?.message).toMatch(/the last checkpoint made no progress for 5\.0 s/);
  });

  it('receives only the checkpoint that the coordinator knows', () => {
    const run = runWith([]);
    run.say('a', { type: 'checkpointed', step: 2, path: '/out/checkpoints/step-000000002', error: null });
    const transfer = '00000000-0000-4000-8000-000000000009';
    run.actions = [];
    for (const step of [2, 3]) run.say('b', { type: 'fetch', transfer, step });
    expect(run.actions).toEqual([
      { kind: 'serve', to: 'b', transfer, path: '/out/checkpoints/step-000000002' },
      { kind: 'serve', to: 'b', transfer, path: null },
    ]);
  });
});
