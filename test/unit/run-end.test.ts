import { describe, expect, it } from 'vitest';
import { CoordinatedRun as Run, sha } from '../support/coordinated-run.js';

describe('the end of a run', () => {
  it('fails with INVARIANT if workers report different losses or weights', () => {
    const step = { type: 'committed', generation: 1, step: 1, epoch: 1, learningRate: 0.001 } as const;
    const losses = Run.running();
    losses.say('a', { ...step, loss: 2 });
    losses.say('b', { ...step, loss: 2.0000001 });
    expect(losses.error).toMatchObject({
      code: 'INVARIANT',
      message: expect.stringMatching(/step 1/) as string,
    });
    const weights = Run.running();
    weights.say('a', { type: 'finished', generation: 1, steps: 3, weightsSha256: sha('1') });
    weights.say('b', { type: 'finished', generation: 1, steps: 3, weightsSha256: sha('2') });
    expect(weights.error?.message).toMatch(/different weights/);
  });

  it('saves on rank 0 once all have finished, then ends with status 0', () => {
    const run = Run.running();
    for (const from of ['b', 'a'])
      run.say(from, { type: 'finished', generation: 1, steps: 3, weightsSha256: sha('1') });
    expect([run.sent('a'), run.sent('b')]).toEqual([['save'], []]);
    run.say('a', { type: 'saved', path: '/out/model/model.json' });
    expect(run.status).toBe(0);
    expect(run.sent('b')).toEqual(['finish']);
  });

  it('ends with status 75 after a notice of the scheduler to any worker, which may be repeated', () => {
    const run = Run.running();
    run.commit('b', 1);
    for (let i = 0; i < 2; i++) run.say('b', { type: 'leave', notice: 'SIGUSR1' });
    expect([run.sent('a'), run.sent('b')]).toEqual([['stop_generation'], ['stop_generation']]);
    for (const from of ['a', 'b']) run.say(from, { type: 'last_committed', generation: 1, step: 1 });
    run.say('a', { type: 'checkpointed', step: 1, path: '/out/checkpoints/step-1', error: null });
    expect(run.error).toMatchObject({
      code: 'INTERRUPTED',
      message: 'Interrupted by SIGUSR1 after step 1. Continue with --resume /out/checkpoints/step-1',
    });
    expect(run.status).toBe(75);
    expect([run.sent('a').at(-1), run.sent('b').at(-1)]).toEqual(['abort', 'abort']);
  });

  it('keeps a worker that leaves until another one has its newest step, so that no signal can lose this step', () => {
    const run = Run.running();
    for (const from of ['a', 'b']) run.commit(from, 1);
    run.commit('b', 2);
    run.say('b', { type: 'leave' });
    // `a` would abort step 2.
    expect([run.sent('a'), run.sent('b')]).toEqual([[], []]);
    run.commit('a', 2);
    expect([run.sent('a'), run.sent('b')]).toEqual([['stop_generation'], ['abort']]);
    run.on({ kind: 'interrupt', signal: 'SIGTERM', atOnce: false });
    run.say('a', { type: 'last_committed', generation: 1, step: 2 });
    run.say('a', { type: 'checkpointed', step: 2, path: '/out/checkpoints/step-2', error: null });
    expect(run.error?.message).toBe(
      'Interrupted by SIGTERM after step 2. Continue with --resume /out/checkpoints/step-2',
    );
    expect(run.status).toBe(143);
  });

  it('ends with status 130 if it is interrupted', () => {
    const run = Run.running();
    run.commit('b', 1);
    run.on({ kind: 'interrupt', signal: 'SIGINT', atOnce: false });
    expect([run.sent('a'), run.sent('b')]).toEqual([['stop_generation'], ['stop_generation']]);
    run.say('a', { type: 'last_committed', generation: 1, step: 0 });
    run.say('b', { type: 'last_committed', generation: 1, step: 1 });
    // Only `b` has the last step.
    expect([run.sent('a'), run.sent('b')]).toEqual([['stop_generation'], ['stop_generation', 'checkpoint']]);
    run.say('b', { type: 'checkpointed', step: 1, path: '/out/checkpoints/step-1', error: null });
    expect(run.error).toEqual({
      event: 'error',
      code: 'INTERRUPTED',
      message: 'Interrupted by SIGINT after step 1. Continue with --resume /out/checkpoints/step-1',
    });
    expect(run.status).toBe(130);
  });

  it('waits for the last checkpoint as long as a piece of it is written within the timeout', () => {
    const run = Run.running();
    run.commit('a', 1);
    run.on({ kind: 'interrupt', signal: 'SIGTERM', atOnce: false });
    for (const from of ['a', 'b']) run.say(from, { type: 'last_committed', generation: 1, step: 1 });
    // The timeout is 5 s. A piece takes 4 s, and the whole checkpoint 40 s.
    const wait = (ms: number, ticks: number): void => {
      for (let passed = 0; passed < ms; passed += 500) {
        run.nowMs += 500;
        for (const from of ['a', 'b'])
          run.say(from, {
            type: 'heartbeat',
            generation: 1,
            ticks: from === 'a' ? ticks : 0,
            waitingFor: '',
          });
        run.on({ kind: 'timer' });
      }
    };
    for (let piece = 1; piece <= 10; piece++) wait(4_000, piece);
    expect(run.status).toBeUndefined();
    wait(6_000, 10);
    expect(run.error).toMatchObject({
      code: 'DEADLINE',
      message: 'Stopped, but the last checkpoint made no progress for 5.0 s.',
    });
  });

  it('replaces a writer that makes no progress while it saves the model', () => {
    const run = Run.running(2, { maxSteps: 1 });
    const finished = { type: 'finished', generation: 1, steps: 1, weightsSha256: sha('f') } as const;
    for (const from of ['a', 'b']) run.commit(from, 1);
    for (const from of ['a', 'b']) run.say(from, finished);
    expect(run.phase).toBe('saving');
    // The timeout is 5 s. A piece takes 4 s, and the whole model 40 s.
    const wait = (ms: number, ticks: number): void => {
      for (let passed = 0; passed < ms; passed += 500) {
        run.nowMs += 500;
        const beat = { type: 'heartbeat', generation: 1, waitingFor: '' } as const;
        run.say('a', { ...beat, ticks });
        run.say('b', { ...beat, ticks: 0 });
        run.on({ kind: 'timer' });
      }
    };
    for (let piece = 1; piece <= 10; piece++) wait(4_000, piece);
    expect(run.phase).toBe('saving');
    run.actions = [];
    wait(6_000, 10);
    expect(run.sent('a')).toContain('abort');
    expect(run.sent('b')).toContain('stop_generation');
    expect(run.phase).toBe('reconfiguring');
  });

  it('waits for the checkpoint of the last step while an earlier one is in progress', () => {
    const run = Run.running();
    for (const step of [1, 2]) run.commit('a', step);
    run.on({ kind: 'interrupt', signal: 'SIGINT', atOnce: false });
    for (const from of ['a', 'b']) run.say(from, { type: 'last_committed', generation: 1, step: 2 });
    run.say('a', { type: 'checkpointed', step: 1, path: '/out/checkpoints/step-1', error: null });
    expect(run.status).toBeUndefined();
    run.say('a', { type: 'checkpointed', step: 1, path: '', error: 'no room' });
    expect([run.status, run.warnings]).toEqual([undefined, ['no room']]);
    run.say('a', { type: 'checkpointed', step: 2, path: '/out/checkpoints/step-2', error: null });
    expect(run.error?.message).toMatch(/--resume \/out\/checkpoints\/step-2$/);
    expect(run.status).toBe(130);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
    ['SIGUSR1', 75],
    ['the end of its launcher', 75],
  ])('writes one checkpoint if %s comes repeatedly, and ends with status %i', (signal, status) => {
    const run = Run.running();
    run.commit('a', 1);
    for (let i = 0; i < 3; i++) run.on({ kind: 'interrupt', signal, atOnce: false });
    for (const from of ['a', 'b']) run.say(from, { type: 'last_committed', generation: 1, step: 1 });
    run.on({ kind: 'interrupt', signal: 'SIGTERM', atOnce: false });
    const sent = [...run.sent('a'), ...run.sent('b')];
    expect(sent.filter((type) => type === 'checkpoint')).toHaveLength(1);
    run.say('a', { type: 'checkpointed', step: 1, path: '/out/checkpoints/step-1', error: null });
    expect(run.error?.message).toMatch(new RegExp(`^Interrupted by ${signal} after step 1. Continue`));
    expect(run.status).toBe(status);
  });

  it('has status 1 if it is stopped at once and loses steps, and if the last checkpoint fails', () => {
    const twice = Run.running();
    twice.commit('a', 1);
    for (const atOnce of [false, true]) twice.on({ kind: 'interrupt', signal: 'SIGINT', atOnce });
    expect(twice.error?.message).toBe(
      'Interrupted by SIGINT after step 1. The state after step 0 is not saved.',
    );
    expect(twice.status).toBe(1);
    const full = Run.running();
    full.commit('a', 1);
    full.on({ kind: 'interrupt', signal: 'SIGINT', atOnce: false });
    for (const from of ['a', 'b']) full.say(from, { type: 'last_committed', generation: 1, step: 1 });
    full.say('a', { type: 'checkpointed', step: 1, path: '', error: 'no room' });
    expect(full.error).toMatchObject({ code: 'CHECKPOINT', message: 'no room' });
    expect(full.status).toBe(1);
  });

  it('removes leaving workers; the last one writes a checkpoint first, from which others continue', () => {
    const run = Run.running();
    run.commit('a', 1);
    run.say('b', { type: 'leave' });
    expect(run.sent('b')).toEqual(['abort']);
    run.say('a', { type: 'leave' });
    expect(run.sent('a')).toEqual(['stop_generation']);
    run.say('a', { type: 'last_committed', generation: 1, step: 1 });
    expect(run.sent('a')).toEqual(['stop_generation', 'checkpoint']);
    run.say('a', { type: 'checkpointed', step: 1, path: '/out/1', error: null });
    expect(run.sent('a').at(-1)).toBe('abort');
    expect(run.warnings).toEqual(['Waiting for workers: 0 of at least 1 are connected (after step 1).']);
    run.join('c', 3);
    run.ready('c');
    expect(run.plans(2)).toEqual([{ to: 'c', rank: 0, world: 1, step: 1, source: 0 }]);
  });
});
