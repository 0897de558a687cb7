import { describe, expect, it } from 'vitest';
import { CoordinatedRun } from '../support/coordinated-run.js';

describe('the sample count of a step', () => {
  it('comes from a member while a worker that joined first still loads', () => {
    const run = new CoordinatedRun(2, { batchSize: 30, maxSteps: 8 });
    run.join('loading', 3);
    for (const [i, name] of ['a', 'b'].entries()) run.join(name, i + 1);
    // 100 samples in batches of 30: the fourth batch of each epoch has 10.
    for (const name of ['a', 'b']) run.ready(name, { trainCount: 100 });
    for (const name of ['a', 'b']) run.say(name, { type: 'connected', generation: 1, sharesMemory: true });
    for (let step = 1; step <= 8; step++) for (const name of ['a', 'b']) run.commit(name, step);
    const samples = run.actions.flatMap((action) =>
      action.kind === 'emit' && action.event.event === 'step' ? [action.event.samples] : [],
    );
    expect(samples).toEqual([30, 30, 30, 10, 30, 30, 30, 10]);
    expect(run.state.progress.samples).toBe(200);
  });
});
