import { describe, expect, it } from 'vitest';
import type { InheritedState } from '../../src/coordinator/state.js';
import { CoordinatedRun, runId } from '../support/coordinated-run.js';

const inherited: InheritedState = { runId, step: 1, evaluated: { step: 0, splits: [] }, checkpoint: null };
const successor = (): CoordinatedRun => new CoordinatedRun(2, {}, inherited);
const anotherRun = '00000000-0000-4000-8000-000000000001';

describe("a coordinator's successor", () => {
  it('asks who speaks to it, ends the generation that it is told of, and goes on from the furthest step', () => {
    const run = successor();
    for (const name of 'ab') run.beat(name, 5);
    expect([run.sent('a'), run.sent('b')]).toEqual([['identify'], ['identify']]);
    run.rejoin('a', 0);
    expect(run.sent('a')).not.toContain('stop_generation');
    run.rejoin('b', 1);
    expect([run.sent('a').at(-1), run.sent('b').at(-1)]).toEqual(['stop_generation', 'stop_generation']);
    run.say('a', { type: 'last_committed', generation: 1, step: 2 });
    expect(run.plans(2)).toEqual([]);
    run.say('b', { type: 'last_committed', generation: 1, step: 3 });
    // Rank 0 is on the coordinator's host, as all are; the state comes from the one that is a step ahead.
    expect(run.plans(2)).toEqual([
      { to: 'a', rank: 0, world: 2, step: 3, source: 1 },
      { to: 'b', rank: 1, world: 2, step: 3, source: 1 },
    ]);
    expect(run.status).toBeUndefined();
  });

  it('asks each connection once, whatever else it says before its answer comes', () => {
    const run = successor();
    for (let ticks = 1; ticks <= 100; ticks++) for (const name of 'ab') run.beat(name, ticks);
    run.commit('a', 2);
    expect([run.sent('a'), run.sent('b')]).toEqual([['identify'], ['identify']]);
    // Connected anew: nothing that was sent before may have arrived.
    run.beat('c', 101);
    expect(run.sent('c')).toEqual(['identify']);
  });

  it('takes over a standing that was meant for its predecessor and is said again', () => {
    const run = successor();
    run.rejoin('a', 0);
    run.rejoin('b', 1);
    for (const name of 'ab') run.say(name, { type: 'last_committed', generation: 1, step: 2 });
    // Repeated in answer to a second regroup: counts once.
    run.say('a', { type: 'last_committed', generation: 1, step: 2 });
    expect(run.plans(2).map(({ to, step }) => [to, step])).toEqual([
      ['a', 2],
      ['b', 2],
    ]);
    expect(run.warnings).toEqual([]);
  });

  it('goes on without a member that died with its predecessor', () => {
    const run = successor();
    run.rejoin('a', 0);
    run.tick(700);
    expect(run.sent('a')).not.toContain('stop_generation');
    run.tick(900);
    expect(run.sent('a').at(-1)).toBe('stop_generation');
    run.say('a', { type: 'last_committed', generation: 1, step: 2 });
    expect(run.plans(2)).toEqual([{ to: 'a', rank: 0, world: 1, step: 2, source: null }]);
    // And it comes back too late: that generation is over.
    run.rejoin('b', 1);
    expect(run.sent('b')).toEqual(['abort']);
  });

  it("refuses another run's member, which counts for nothing", () => {
    const run = successor();
    run.rejoin('x', 0, { runId: anotherRun });
    expect(run.sent('x')).toEqual(['abort']);
    run.rejoin('a', 0);
    expect(run.sent('a')).not.toContain('abort');
    expect(run.sent('a')).not.toContain('stop_generation');
    run.rejoin('b', 1);
    expect(run.sent('b').at(-1)).toBe('stop_generation');
  });

  it('waits for the newer generation when its predecessor died while it told of the next plan', () => {
    const run = successor();
    run.rejoin('a', 0);
    run.rejoin('b', 1, { generation: 2 });
    for (const name of 'ab') expect(run.sent(name).at(-1)).toBe('stop_generation');
    for (const name of 'ab') run.say(name, { type: 'last_committed', generation: 2, step: 2 });
    expect(run.plans(3).map(({ to, step }) => [to, step])).toEqual([
      ['a', 2],
      ['b', 2],
    ]);
  });

  it('adopts nobody when it succeeds nobody', () => {
    const run = new CoordinatedRun(2);
    run.rejoin('a', 0);
    expect(run.sent('a')).toEqual(['abort']);
  });
});
