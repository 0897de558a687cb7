import { describe, expect, it } from 'vitest';
import type { InheritedState } from '../../src/coordinator/types.js';
import { readyOf } from '../../src/coordinator/workers.js';
import { CoordinatedRun, fingerprint, runId } from '../support/coordinated-run.js';

const inherited: InheritedState = { runId, step: 1, evaluated: { step: 0, splits: [] }, checkpoint: null };
const successor = (): CoordinatedRun => new CoordinatedRun(2, {}, inherited);
const anotherRun = '00000000-0000-4000-8000-000000000001';

describe('a coordinator that takes over a run', () => {
  it('identifies the workers, ends their generation, and continues from the latest step', () => {
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

  it('sends one `identify` per connection, whatever messages arrive before the answer', () => {
    const run = successor();
    for (let ticks = 1; ticks <= 100; ticks++) for (const name of 'ab') run.beat(name, ticks);
    run.commit('a', 2);
    expect([run.sent('a'), run.sent('b')]).toEqual([['identify'], ['identify']]);
    // A new connection: nothing that was sent on the old one may have arrived.
    run.beat('c', 101);
    expect(run.sent('c')).toEqual(['identify']);
  });

  it('warns of code that its workers run and it does not, and compares workers that join with theirs', () => {
    const run = new CoordinatedRun(2, {}, inherited, {
      code: { 'dist/a.js': '9', 'dist/b.js': '2' },
      definition: { 'config.ts': '3' },
    });
    run.beat('a', 1);
    run.rejoin('a', 0, { worldSize: 1 });
    expect(run.warnings).toEqual([
      expect.stringMatching(
        /^The run continues with what its workers run.*dist\/a\.js: expected 9, got 1 from/,
      ),
    ]);
    run.say('a', { type: 'last_committed', generation: 1, step: 2 });
    run.join('c', 3);
    run.ready('c');
    expect(run.sent('c')).toEqual(['welcome']);
    run.join('d', 4);
    run.ready('d', { fingerprint: { ...fingerprint, code: { 'dist/a.js': '9', 'dist/b.js': '2' } } });
    expect(run.sent('d')).toEqual(['welcome', 'abort']);
  });

  it('stores one fingerprint for all members that have the same', () => {
    const run = successor();
    for (const [rank, name] of ['a', 'b'].entries())
      run.rejoin(name, rank, { ready: structuredClone(run.beingReady(name)) });
    const [a, b] = [...run.state.workers.values()].map(readyOf);
    expect(a?.fingerprint).toEqual(fingerprint);
    expect(b?.fingerprint).toBe(a?.fingerprint);
  });

  it('waits for all members although another worker becomes ready meanwhile', () => {
    const run = successor();
    run.rejoin('a', 0);
    run.join('c', 3);
    run.ready('c');
    expect(run.sent('a')).not.toContain('stop_generation');
    run.rejoin('b', 1);
    expect([run.sent('a').at(-1), run.sent('b').at(-1)]).toEqual(['stop_generation', 'stop_generation']);
    expect(run.sent('b')).not.toContain('abort');
  });

  it('warns of steps whose reports no worker has kept', () => {
    const run = successor();
    for (const name of 'ab') run.beat(name, 5);
    run.rejoin('a', 0);
    for (const step of [2, 5, 6]) run.commit('a', step);
    const shown = run.actions.flatMap((action) =>
      action.kind === 'emit' && ['step', 'warning'].includes(action.event.event) ? [action.event] : [],
    );
    expect(shown).toMatchObject([
      { event: 'step', step: 2 },
      { event: 'warning', message: expect.stringContaining('lacks steps 3 to 4') as string },
      { event: 'step', step: 5 },
      { event: 'step', step: 6 },
    ]);
  });

  it('accepts a `last_committed` that is sent again', () => {
    const run = successor();
    run.rejoin('a', 0);
    run.rejoin('b', 1);
    for (const name of 'ab') run.say(name, { type: 'last_committed', generation: 1, step: 2 });
    // A repeated message has no effect.
    run.say('a', { type: 'last_committed', generation: 1, step: 2 });
    expect(run.plans(2).map(({ to, step }) => [to, step])).toEqual([
      ['a', 2],
      ['b', 2],
    ]);
    expect(run.warnings).toEqual([]);
  });

  it('continues without a member that died with the previous coordinator', () => {
    const run = successor();
    run.rejoin('a', 0);
    run.tick(700);
    expect(run.sent('a')).not.toContain('stop_generation');
    run.tick(900);
    expect(run.sent('a').at(-1)).toBe('stop_generation');
    run.say('a', { type: 'last_committed', generation: 1, step: 2 });
    expect(run.plans(2)).toEqual([{ to: 'a', rank: 0, world: 1, step: 2, source: null }]);
    // The member returns too late: its generation is over.
    run.rejoin('b', 1);
    expect(run.sent('b')).toEqual(['abort']);
  });

  it('refuses a member of another run and does not count it', () => {
    const run = successor();
    run.rejoin('x', 0, { runId: anotherRun });
    expect(run.sent('x')).toEqual(['abort']);
    run.rejoin('a', 0);
    expect(run.sent('a')).not.toContain('abort');
    expect(run.sent('a')).not.toContain('stop_generation');
    run.rejoin('b', 1);
    expect(run.sent('b').at(-1)).toBe('stop_generation');
  });

  it('accepts members of two generations if the previous coordinator died while it sent the plan', () => {
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

  it('waits for as many workers as the newest generation has members', () => {
    const run = successor();
    run.rejoin('a', 0, { generation: 2, worldSize: 3 });
    run.rejoin('b', 1, { generation: 1, worldSize: 2 });
    expect(run.sent('a')).not.toContain('stop_generation');
    run.rejoin('c', 2, { generation: 2, worldSize: 3 });
    for (const name of 'abc') expect(run.sent(name).at(-1)).toBe('stop_generation');
  });

  it('refuses a member that rejoins after the takeover is complete', () => {
    const run = successor();
    run.rejoin('a', 0);
    run.rejoin('b', 1);
    run.rejoin('c', 2);
    expect(run.sent('c')).toEqual(['abort']);
    expect(run.sent('a')).not.toContain('abort');
  });

  it('takes over no worker without inherited state', () => {
    const run = new CoordinatedRun(2);
    run.rejoin('a', 0);
    expect(run.sent('a')).toEqual(['abort']);
  });
});
