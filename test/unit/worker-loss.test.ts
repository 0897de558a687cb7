import { describe, expect, it } from 'vitest';
import { CoordinatedRun as Run } from '../support/coordinated-run.js';

describe('the loss of workers', () => {
  it('continues without a worker that exited, from the latest step, and admits its replacement', () => {
    const run = Run.running();
    run.commit('a', 1);
    run.on({ kind: 'exited', pid: 2, how: 'was killed by SIGKILL', final: false });
    expect(run.lost).toEqual(['Worker lost: rank 1 (pid 2 on box) was killed by SIGKILL.']);
    expect(run.sent('a').at(-1)).toBe('stop_generation');
    expect(run.phase).toBe('reconfiguring');
    run.say('a', { type: 'last_committed', generation: 1, step: 1 });
    expect(run.plans(2)).toEqual([{ to: 'a', rank: 0, world: 1, step: 1, source: null }]);
    run.say('a', { type: 'connected', generation: 2, sharesMemory: true });
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

  it('takes the state from the worker that is one step ahead', () => {
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

  it('survives losses during a reconfiguration: while members stop and while they connect', () => {
    const run = Run.running(4);
    run.on({ kind: 'exited', pid: 1, how: 'died', final: false });
    run.on({ kind: 'exited', pid: 2, how: 'died', final: false });
    run.say('c', { type: 'last_committed', generation: 1, step: 0 });
    run.say('d', { type: 'last_committed', generation: 1, step: 0 });
    expect(run.plans(2).map(({ to }) => to)).toEqual(['c', 'd']);
    run.say('c', { type: 'connected', generation: 2, sharesMemory: true });
    run.on({ kind: 'exited', pid: 4, how: 'died', final: false });
    // A report about the previous generation has no effect.
    run.say('c', { type: 'last_committed', generation: 1, step: 0 });
    expect(run.plans(3)).toEqual([]);
    run.say('c', { type: 'last_committed', generation: 2, step: 0 });
    expect(run.plans(3)).toEqual([{ to: 'c', rank: 0, world: 1, step: 0, source: null }]);
  });

  it('refuses a worker location with five losses within a minute', () => {
    const run = Run.running();
    for (let life = 0; life < 5; life++) {
      run.say(`f${life}`, { ...run.joining(9), workerId: `00000000-0000-4000-8000-00000000001${life}` });
      run.on({ kind: 'exited', pid: 9, how: 'died', final: false });
    }
    run.join('f6', 9);
    expect(run.sent('f6')).toEqual(['abort']);
    expect(run.warnings.at(-1)).toMatch(
      /refused: its worker location \(box 9\) lost 5 workers within a minute/,
    );
    expect(run.phase).toBe('running');
    run.nowMs = 61_000;
    run.join('f7', 9);
    expect(run.sent('f7')).toEqual(['welcome']);
  });

  it('ends the run if all workers are lost after a step, or if none can join any more', () => {
    const run = Run.running();
    run.commit('a', 1);
    for (const pid of [1, 2]) run.on({ kind: 'exited', pid, how: 'died', final: false });
    expect(run.error?.message).toMatch(/All workers that had the training state were lost/);
    expect(run.status).toBe(1);
    const early = new Run();
    early.on({ kind: 'exited', pid: 7, how: 'exited with status 1', final: true });
    expect(early.error?.message).toMatch(/pid 7 exited with status 1 before it had joined\. It was started/);
  });

  it('ends the run if only workers without the state are left, and there is no checkpoint', () => {
    const run = Run.running(1, { shards: 2 });
    for (const step of [1, 2]) run.commit('a', step);
    run.join('b', 2);
    run.ready('b');
    run.say('a', { type: 'last_committed', generation: 1, step: 2 });
    expect(run.plans(2)).toMatchObject([{ to: 'a' }, { to: 'b', step: 2, source: 0 }]);
    for (const name of 'ab') run.say(name, { type: 'connected', generation: 2, sharesMemory: true });
    // The only worker with the state dies before b has received it.
    run.on({ kind: 'exited', pid: 1, how: 'died', final: false });
    run.say('b', { type: 'last_committed', generation: 2, step: 0 });
    expect(run.error?.message).toMatch(/All workers that had the training state were lost.* after step 2/);
    expect(run.status).toBe(1);
  });

  it('counts failed attempts anew after a step that is repeated from a checkpoint', () => {
    const run = Run.running(1, { shards: 2 });
    run.say('a', { type: 'checkpointed', step: 1, path: '/out/checkpoints/step-1', error: null });
    for (const step of [1, 2, 3]) run.commit('a', step);
    run.join('b', 2);
    run.ready('b');
    run.say('a', { type: 'last_committed', generation: 1, step: 3 });
    run.on({ kind: 'exited', pid: 1, how: 'died', final: false });
    run.say('b', { type: 'last_committed', generation: 2, step: 0 });
    expect(run.plans(3)).toMatchObject([{ to: 'b', step: 1 }]);
    run.say('b', { type: 'connected', generation: 3, sharesMemory: true });
    // A stall ends generation 3.
    run.say('b', { type: 'heartbeat', generation: 3, ticks: 1, waitingFor: 'loss' });
    for (let waitedMs = 0; waitedMs < 4_000; waitedMs += 500) {
      run.say('b', { type: 'heartbeat', generation: 3, ticks: 1, waitingFor: 'loss' });
      run.tick(run.nowMs + 500);
    }
    expect(run.state.reconfiguration.failedAttempts).toBe(1);
    run.say('b', { type: 'last_committed', generation: 3, step: 1 });
    run.say('b', { type: 'connected', generation: 4, sharesMemory: true });
    run.say('b', { type: 'committed', generation: 4, step: 2, epoch: 1, loss: 1, learningRate: 0.1 });
    expect(run.state.reconfiguration.failedAttempts).toBe(0);
  });

  it('removes the silent worker after a broken connection, not the reporter', () => {
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

  it('tries new connections if both ends of a broken one are alive, then removes one of them', () => {
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
    for (const from of ['a', 'b']) run.say(from, { type: 'connected', generation: 2, sharesMemory: true });
    breakLink(2);
    expect(run.lost).toEqual([expect.stringMatching(/rank 0 can't reach rank 1/)]);
    expect(run.sent('b').at(-1)).toBe('abort');
  });

  it('distinguishes a slow worker from a hung one by the ticks of its main thread', () => {
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

  it('starts a new generation if all workers wait and no frame arrives, after a longer time at each repetition', () => {
    const run = Run.running(2, { stepTimeoutMs: 60_000 });
    /** The duration of a generation in which both workers wait for each other. */
    const stall = (generation: number): number => {
      const startMs = run.nowMs;
      const before = run.warnings.length;
      for (const from of ['a', 'b']) run.say(from, { type: 'connected', generation, sharesMemory: true });
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
    expect(run.warnings.at(-1)).toMatch(
      /no worker makes progress. rank 0 .* waits for gradients.*Trying again/,
    );
    expect(run.lost).toEqual([]);
  });

  it('detects no stall while a worker computes', () => {
    const run = Run.running(2, { stepTimeoutMs: 60_000 });
    for (let atMs = 100; atMs < 50_000; atMs += 100) {
      run.nowMs = atMs;
      run.beat('a', 1, 'gradients/0 from rank 1');
      run.beat('b', 1);
      run.tick(atMs);
    }
    expect([run.phase, run.warnings, run.lost]).toEqual(['running', [], []]);
  });

  it('reports a worker that is silent and workers that never joined', () => {
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
      message:
        'Workers missing after 9.0 s: expected 3, got 1 (a worker (pid 1 on box) loads the training definition, for 9.0 s); ' +
        'the others have not connected. Start the others, or lower --workers. If they need this time, raise joinTimeoutMs (--join-timeout-ms).',
    });
  });

  it('reports what each worker does that is not ready in time, with the remedies', () => {
    const run = new Run(3);
    for (const [i, name] of ['a', 'b', 'c'].entries()) run.join(name, i + 1);
    run.tick(1000);
    run.say('a', { type: 'loading', stage: 'engine' });
    run.tick(4000);
    run.say('a', { type: 'loading', stage: 'model' });
    run.say('b', { type: 'loading', stage: 'model' });
    run.ready('c');
    run.tick(9001);
    const { code, message } = run.error ?? {};
    expect(code).toBe('DEADLINE');
    expect(message).toBe(
      'Workers not ready after 9.0 s: a worker (pid 1 on box) loads the data and builds the model, for 5.0 s; ' +
        'a worker (pid 2 on box) loads the data and builds the model, for 5.0 s. ' +
        'Check the functions `data` and `model` of the definition, and the disk or network that the data come from. ' +
        'If they need this time, raise joinTimeoutMs (--join-timeout-ms).',
    );
  });

  it('does not count the time in which another process installs the engine, and reports it once per installation', () => {
    const run = new Run(2);
    run.join('a', 1);
    run.join('b', 2);
    const wait = { type: 'loading', stage: 'installation', lock: '/cache/tf.lock' } as const;
    for (let atMs = 500; atMs <= 60_000; atMs += 500) {
      run.tick(atMs);
      run.say('a', wait);
      run.say('b', wait);
    }
    expect([run.phase, run.lost]).toEqual(['gathering', []]);
    expect(run.warnings).toEqual([
      'A worker (pid 1 on box) waits until another process has installed TensorFlow (its lock: /cache/tf.lock). ' +
        'This time does not count against joinTimeoutMs.',
    ]);
    run.tick(62_000);
    run.say('a', { type: 'loading', stage: 'engine' });
    run.say('b', { type: 'loading', stage: 'engine' });
    run.tick(71_000);
    expect(run.phase).toBe('gathering');
    run.tick(71_001);
    expect(run.error?.message).toMatch(
      /^Workers not ready after 9\.0 s: .*pid 1 on box\) loads the engine, for 9\.0 s; /,
    );
  });

  it('ends the wait for an installation that a worker reports for more than an hour', () => {
    const run = new Run(1);
    run.join('a', 1);
    for (let atMs = 0; atMs < 3_620_000 && run.phase === 'gathering'; atMs += 4_000) {
      run.tick(atMs);
      run.say('a', { type: 'loading', stage: 'installation', lock: '/cache/tf.lock' });
    }
    expect(run.error).toMatchObject({ code: 'DEADLINE' });
    expect(run.error?.message).toMatch(
      /waits until another process has installed TensorFlow \(its lock: \/cache\/tf\.lock\), for 36\d\d\.0 s\. Wait until `lockstep engine install` has ended/,
    );
  });

  it('removes a replacement that reports an installation and is then silent', () => {
    const run = Run.running();
    run.join('c', 3);
    for (let atMs = 500; atMs <= 20_000; atMs += 500) {
      run.tick(atMs);
      run.beat('a', atMs);
      run.beat('b', atMs);
      run.say('c', { type: 'loading', stage: 'installation', lock: '/cache/tf.lock' });
    }
    expect(run.lost).toEqual([]);
    for (let atMs = 20_500; atMs <= 29_500; atMs += 500) {
      run.beat('a', atMs);
      run.beat('b', atMs);
      run.tick(atMs);
    }
    expect(run.lost).toEqual([expect.stringMatching(/pid 3 on box\) has not answered for 9\.5 s/)]);
  });

  it('measures the silence of a worker that loads for long from its `ready`', () => {
    const run = new Run(2);
    run.join('a', 1);
    run.tick(3000);
    run.ready('a');
    run.tick(3900);
    expect(run.lost).toEqual([]);
    run.tick(4001);
    expect(run.lost).toEqual([expect.stringMatching(/pid 1 on box\) has not answered for 1\.0 s/)]);
  });
});
