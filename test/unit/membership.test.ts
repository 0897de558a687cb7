import { describe, expect, it } from 'vitest';
import { protocolVersion } from '../../src/shared/protocol/messages.js';
import { CoordinatedRun as Run, identity, sha } from '../support/coordinated-run.js';

describe('membership', () => {
  it('ranks the workers of one host in a row, and first those of the host of the coordinator', () => {
    const run = new Run(4, { shards: 4 });
    for (const [i, host] of ['far', 'box', 'far', 'box'].entries()) run.join('abcd'[i]!, i + 1, host);
    for (const name of 'abcd') run.ready(name);
    expect(
      run
        .plans(1)
        .map(({ to, rank }) => `${to}${rank}`)
        .sort(),
    ).toEqual(['a2', 'b0', 'c3', 'd1']);
  });

  it('welcomes workers, plans when all are ready, and starts when all have met', () => {
    const run = new Run();
    run.join('a', 1, 'elsewhere');
    expect(run.sent('a')).toEqual(['welcome']);
    run.join('b', 2);
    run.ready('a');
    expect(run.phase).toBe('gathering');
    run.ready('b');
    const plans = run.actions.flatMap((action) =>
      action.kind === 'send' && action.message.type === 'plan' ? [[action.to, action.message.plan.rank]] : [],
    );
    // Rank 0 saves the model, so it is a worker on the coordinator's own host.
    expect(plans).toEqual([
      ['b', 0],
      ['a', 1],
    ]);
    run.say('a', { type: 'connected', generation: 1, sharing: true });
    expect(run.phase).toBe('connecting');
    run.say('b', { type: 'connected', generation: 1, sharing: true });
    expect(run.phase).toBe('running');
    expect(run.sent('a').at(-1)).toBe('start_generation');
  });

  it('turns away who speaks another protocol, who joins twice, and strangers', () => {
    const run = new Run(2);
    run.join('old', 3, 'box', protocolVersion + 1);
    expect(run.sent('old')).toEqual(['abort']);
    run.join('a', 1);
    // A message that came twice is no second worker.
    run.join('a', 1);
    run.join('again', 1);
    expect(run.sent('again')).toEqual(['abort']);
    run.say('stranger', { type: 'heartbeat', generation: 1, ticks: 1, waitingFor: '' });
    expect(run.sent('stranger')).toEqual(['abort']);
    expect(run.phase).toBe('gathering');
    expect(run.sent('a')).toEqual(['welcome']);
  });

  it.each([
    ['layoutHash', 'LAYOUT_MISMATCH', /parameters/],
    ['weightsSha256', 'LAYOUT_MISMATCH', /initial weights/],
    ['dataSha256', 'DATA', /data/],
  ] as const)('refuses to start when workers differ in %s', (field, code, words) => {
    const run = new Run();
    run.join('a', 1);
    run.join('b', 2);
    run.ready('a');
    run.ready('b', { [field]: sha('e') });
    expect(run.error).toMatchObject({ code, message: expect.stringMatching(words) as string });
    expect(run.status).toBe(2);
    expect(run.sent('a').at(-1)).toBe('abort');
  });

  it('goes on without a worker that exited, from the furthest step, and takes in the one that replaces it', () => {
    const run = Run.running();
    run.commit('a', 1);
    run.on({ kind: 'exited', pid: 2, how: 'was killed by SIGKILL', final: false });
    expect(run.lost).toEqual(['Worker lost: rank 1 (pid 2 on box) was killed by SIGKILL.']);
    expect(run.sent('a').at(-1)).toBe('stop_generation');
    expect(run.phase).toBe('reconfiguring');
    run.say('a', { type: 'last_committed', generation: 1, step: 1 });
    expect(run.plans(2)).toEqual([{ to: 'a', rank: 0, world: 1, step: 1, source: null }]);
    run.say('a', { type: 'connected', generation: 2, sharing: true });
    expect(run.phase).toBe('running');

    run.join('c', 3);
    run.ready('c');
    expect(run.sent('a').at(-1)).toBe('stop_generation');
    run.say('a', { type: 'last_committed', generation: 2, step: 2 });
    expect(run.plans(3)).toEqual([
      { to: 'a', rank: 0, world: 2, step: 2, source: 0 },
      { to: 'c', rank: 1, world: 2, step: 2, source: 0 },
    ]);
  });

  it('takes the state from the one that is a step ahead', () => {
    const run = Run.running(3);
    run.commit('b', 1);
    run.on({ kind: 'exited', pid: 1, how: 'exited with status 1', final: false });
    run.say('c', { type: 'last_committed', generation: 1, step: 0 });
    expect(run.plans(2)).toEqual([]);
    run.say('b', { type: 'last_committed', generation: 1, step: 1 });
    expect(run.plans(2)).toEqual([
      { to: 'b', rank: 0, world: 2, step: 1, source: 0 },
      { to: 'c', rank: 1, world: 2, step: 1, source: 0 },
    ]);
  });

  it('survives losses during recovery: while members stop, and while they meet', () => {
    const run = Run.running(4);
    run.on({ kind: 'exited', pid: 1, how: 'died', final: false });
    run.on({ kind: 'exited', pid: 2, how: 'died', final: false });
    run.say('c', { type: 'last_committed', generation: 1, step: 0 });
    run.say('d', { type: 'last_committed', generation: 1, step: 0 });
    expect(run.plans(2).map(({ to }) => to)).toEqual(['c', 'd']);
    run.say('c', { type: 'connected', generation: 2, sharing: true });
    run.on({ kind: 'exited', pid: 4, how: 'died', final: false });
    // What it said about the generation before counts no more.
    run.say('c', { type: 'last_committed', generation: 1, step: 0 });
    expect(run.plans(3)).toEqual([]);
    run.say('c', { type: 'last_committed', generation: 2, step: 0 });
    expect(run.plans(3)).toEqual([{ to: 'c', rank: 0, world: 1, step: 0, source: null }]);
  });

  it('waits below the least number of workers, says so once, and goes on with them', () => {
    const run = Run.running(2, { minWorkers: 2 });
    run.on({ kind: 'exited', pid: 2, how: 'died', final: false });
    run.say('a', { type: 'last_committed', generation: 1, step: 2 });
    run.beat('a', 7);
    expect(run.warnings).toEqual(['Waiting for workers: 1 of at least 2 are there (after step 0).']);
    expect(run.plans(2)).toEqual([]);
    run.join('c', 3);
    run.ready('c');
    expect(run.plans(2).map(({ to, step, source }) => [to, step, source])).toEqual([
      ['a', 2, 0],
      ['c', 2, 0],
    ]);
  });

  it('keeps a worker beyond the shards standing by, and uses it when another is lost', () => {
    const run = Run.running();
    run.join('c', 3);
    run.ready('c');
    expect(run.phase).toBe('running');
    run.on({ kind: 'exited', pid: 2, how: 'died', final: false });
    run.say('a', { type: 'last_committed', generation: 1, step: 0 });
    expect(run.plans(2).map(({ to }) => to)).toEqual(['a', 'c']);
  });

  it('refuses a place that loses one worker after the other, for a while', () => {
    const run = Run.running();
    for (let life = 0; life < 5; life++) {
      run.say(`f${life}`, { ...run.joining(9), workerId: `00000000-0000-4000-8000-00000000001${life}` });
      run.on({ kind: 'exited', pid: 9, how: 'died', final: false });
    }
    run.join('f6', 9);
    expect(run.sent('f6')).toEqual(['abort']);
    expect(run.warnings.at(-1)).toMatch(/refused: its place \(box 9\) lost 5 workers within a minute/);
    expect(run.phase).toBe('running');
    run.nowMs = 61_000;
    run.join('f7', 9);
    expect(run.sent('f7')).toEqual(['welcome']);
  });

  it('ends the run when everybody is lost after a step, or nobody can come any more', () => {
    const run = Run.running();
    run.commit('a', 1);
    for (const pid of [1, 2]) run.on({ kind: 'exited', pid, how: 'died', final: false });
    expect(run.error?.message).toMatch(/All workers were lost/);
    expect(run.status).toBe(1);
    const early = new Run();
    early.on({ kind: 'exited', pid: 7, how: 'exited with status 1', final: true });
    expect(early.error?.message).toMatch(/pid 7 exited with status 1 before it had joined\. It was started/);
  });

  it('costs only the newcomer when it is the newcomer that is wrong', () => {
    const run = Run.running();
    run.on({ kind: 'exited', pid: 2, how: 'died', final: false });
    run.join('c', 3);
    run.ready('c', { dataSha256: sha('e') });
    expect(run.sent('c').at(-1)).toBe('abort');
    run.join('d', 4);
    run.say('d', { type: 'failed', error: { code: 'ENGINE', message: 'no engine' } });
    expect(run.error).toBeUndefined();
    run.say('a', { type: 'last_committed', generation: 1, step: 0 });
    expect(run.plans(2).map(({ to }) => to)).toEqual(['a']);
  });

  it('blames who is silent after a broken connection, not who reported it', () => {
    const run = Run.running();
    run.nowMs = 50;
    run.say('a', { type: 'lost', generation: 1, rank: 1, reason: 'closed' });
    run.nowMs = 250;
    run.beat('a', 5);
    run.tick(349);
    expect(run.lost).toEqual([]);
    run.beat('a', 6);
    run.tick(351);
    expect(run.lost).toEqual([
      expect.stringMatching(/rank 1 \(pid 2 on box\) closed its connections and is silent/),
    ]);
  });

  it('tries new connections when both ends of a broken one are alive, then gives up one of them', () => {
    const run = Run.running();
    const breakLink = (generation: number): void => {
      const startMs = run.nowMs;
      run.say('a', { type: 'lost', generation, rank: 1, reason: 'closed' });
      for (const afterMs of [100, 200, 300]) {
        run.nowMs = startMs + afterMs;
        run.beat('a', run.nowMs);
        run.beat('b', run.nowMs);
      }
      run.tick(startMs + 301);
    };
    breakLink(1);
    expect(run.warnings.at(-1)).toMatch(/rank 0 can't reach rank 1 .* although both are alive/);
    for (const from of ['a', 'b']) run.say(from, { type: 'last_committed', generation: 1, step: 0 });
    expect(run.plans(2)).toHaveLength(2);
    for (const from of ['a', 'b']) run.say(from, { type: 'connected', generation: 2, sharing: true });
    breakLink(2);
    expect(run.lost).toEqual([expect.stringMatching(/rank 0 can't reach rank 1/)]);
    expect(run.sent('b').at(-1)).toBe('abort');
  });

  it('tells a slow worker from a hung one by the ticks of its main thread', () => {
    const run = Run.running();
    for (let atMs = 100; atMs <= 6000; atMs += 100) {
      run.nowMs = atMs;
      run.beat('a', 1, 'gradients/0 from rank 1');
      run.beat('b', atMs);
      run.tick(atMs);
    }
    expect(run.lost).toEqual([]);
    for (let atMs = 6100; atMs <= 11_100 && run.lost.length === 0; atMs += 100) {
      run.nowMs = atMs;
      run.beat('a', 1, 'gradients/0 from rank 1');
      run.beat('b', 6000);
      run.tick(atMs);
    }
    expect(run.lost).toEqual([expect.stringMatching(/rank 1 \(pid 2 on box\) made no progress/)]);
  });

  it('gives a lost message up when everybody waits and nothing arrives, later each time', () => {
    const run = Run.running(2, { stepTimeoutMs: 60_000 });
    /** When the generation ends in which both wait for each other. */
    const stall = (generation: number): number => {
      const startMs = run.nowMs;
      const before = run.warnings.length;
      for (const from of ['a', 'b']) run.say(from, { type: 'connected', generation, sharing: true });
      while (run.warnings.length === before && run.nowMs - startMs < 60_000) {
        run.nowMs += 100;
        run.beat('a', generation, 'gradients/0 from rank 1');
        run.beat('b', generation, 'gradients/0 from rank 0');
        run.tick(run.nowMs);
      }
      for (const from of ['a', 'b']) run.say(from, { type: 'last_committed', generation, step: 0 });
      return run.nowMs - startMs;
    };
    expect([stall(1), stall(2), stall(3)]).toEqual([3_200, 6_200, 12_200]);
    expect(run.warnings.at(-1)).toMatch(/nobody makes progress. rank 0 .* waits for gradients.*Trying again/);
    expect(run.lost).toEqual([]);
  });

  it('takes nobody for stuck while one of them computes', () => {
    const run = Run.running(2, { stepTimeoutMs: 60_000 });
    for (let atMs = 100; atMs < 50_000; atMs += 100) {
      run.nowMs = atMs;
      run.beat('a', 1, 'gradients/0 from rank 1');
      run.beat('b', 1);
      run.tick(atMs);
    }
    expect([run.phase, run.warnings, run.lost]).toEqual(['running', [], []]);
  });

  it('names who has not answered, and who never came', () => {
    const run = Run.running();
    run.nowMs = 900;
    run.beat('a', 1);
    run.tick(1001);
    expect(run.lost).toEqual([expect.stringMatching(/rank 1 \(pid 2 on box\) has not answered for 1\.0 s/)]);
    const empty = new Run(3);
    empty.join('a', 1);
    empty.tick(9001);
    expect(empty.error).toMatchObject({
      code: 'DEADLINE',
      message: expect.stringMatching(/expected 3, 1 joined/) as string,
    });
  });

  it('counts the silence of a worker that loaded for long from when it is ready', () => {
    const run = new Run(2);
    run.join('a', 1);
    run.tick(3000);
    run.ready('a');
    run.tick(3900);
    expect(run.lost).toEqual([]);
    run.tick(4001);
    expect(run.lost).toEqual([expect.stringMatching(/pid 1 on box\) has not answered for 1\.0 s/)]);
  });

  it('fails as our own bug when workers report different losses or weights', () => {
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

  it('refuses a worker whose machine would change the bits, or says so and goes on', () => {
    for (const [field, value] of Object.entries({
      ...identity,
      engine: 'js 4',
      threads: '2',
      cpu: 'x64 B 7 2',
    })) {
      const other = { ...identity, [field]: value };
      for (const onMismatch of ['fail', 'warn'] as const) {
        const run = new Run(2, { onMismatch });
        run.join('a', 1);
        run.join('b', 2);
        // Whoever is ready last, also when it was the first to join.
        run.ready(onMismatch === 'fail' ? 'b' : 'a');
        run.ready(onMismatch === 'fail' ? 'a' : 'b', { identity: other });
        const same = value === identity[field as keyof typeof identity];
        if (same || onMismatch === 'warn') expect(run.phase).toBe('connecting');
        else
          expect(run.error).toMatchObject({
            code: 'ENGINE',
            message: expect.stringContaining(field) as string,
          });
        const warnings = run.actions.filter(
          (action) => action.kind === 'emit' && action.event.event === 'warning',
        );
        expect(warnings).toHaveLength(!same && onMismatch === 'warn' ? 1 : 0);
      }
    }
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

  it('ends with status 130 when it is interrupted', () => {
    const run = Run.running();
    run.commit('b', 1);
    run.on({ kind: 'interrupt', signal: 'SIGINT' });
    expect([run.sent('a'), run.sent('b')]).toEqual([['stop_generation'], ['stop_generation']]);
    run.say('a', { type: 'last_committed', generation: 1, step: 0 });
    run.say('b', { type: 'last_committed', generation: 1, step: 1 });
    // Only one of them has the last step.
    expect([run.sent('a'), run.sent('b')]).toEqual([['stop_generation'], ['stop_generation', 'checkpoint']]);
    run.say('b', { type: 'checkpointed', step: 1, path: '/out/checkpoints/step-1', error: null });
    expect(run.error).toEqual({
      event: 'error',
      code: 'INTERRUPTED',
      message: 'Interrupted by SIGINT after step 1. Go on with --resume /out/checkpoints/step-1',
    });
    expect(run.status).toBe(130);
  });

  it('waits for the checkpoint of the last step, whatever was being written when it was interrupted', () => {
    const run = Run.running();
    run.commit('a', 2);
    run.on({ kind: 'interrupt', signal: 'SIGINT' });
    for (const from of ['a', 'b']) run.say(from, { type: 'last_committed', generation: 1, step: 2 });
    run.say('a', { type: 'checkpointed', step: 1, path: '/out/checkpoints/step-1', error: null });
    expect(run.status).toBeUndefined();
    run.say('a', { type: 'checkpointed', step: 1, path: '', error: 'no room' });
    expect([run.status, run.warnings]).toEqual([undefined, ['no room']]);
    run.say('a', { type: 'checkpointed', step: 2, path: '/out/checkpoints/step-2', error: null });
    expect(run.error?.message).toMatch(/--resume \/out\/checkpoints\/step-2$/);
    expect(run.status).toBe(130);
  });

  it('ends at once when it is interrupted twice, and with status 1 when the checkpoint fails', () => {
    const twice = Run.running();
    twice.commit('a', 1);
    for (const signal of ['SIGINT', 'SIGTERM']) twice.on({ kind: 'interrupt', signal });
    expect(twice.error?.message).toBe('Interrupted by SIGTERM after step 1.');
    expect(twice.status).toBe(130);
    const full = Run.running();
    full.commit('a', 1);
    full.on({ kind: 'interrupt', signal: 'SIGINT' });
    for (const from of ['a', 'b']) full.say(from, { type: 'last_committed', generation: 1, step: 1 });
    full.say('a', { type: 'checkpointed', step: 1, path: '', error: 'no room' });
    expect(full.error).toMatchObject({ code: 'CHECKPOINT', message: 'no room' });
    expect(full.status).toBe(1);
  });

  it('lets workers leave; the last one writes the state down first, and others go on from there', () => {
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
    expect(run.warnings).toEqual(['Waiting for workers: 0 of at least 1 are there (after step 1).']);
    run.join('c', 3);
    run.ready('c');
    expect(run.plans(2)).toEqual([{ to: 'c', rank: 0, world: 1, step: 1, source: 0 }]);
  });
});
