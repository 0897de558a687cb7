import { describe, expect, it } from 'vitest';
import { protocolVersion } from '../../src/shared/protocol/messages.js';
import { readyOf } from '../../src/coordinator/workers.js';
import { CoordinatedRun as Run, fingerprint, identity, sha } from '../support/coordinated-run.js';

describe('membership', () => {
  it('assigns adjacent ranks to the workers of one host, beginning with the host of the coordinator', () => {
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

  it('welcomes workers, plans when all are ready, and starts when all are connected', () => {
    const run = new Run();
    run.join('a', 1, 'elsewhere');
    expect(run.sent('a')).toEqual(['welcome']);
    run.join('b', 2);
    run.ready('a');
    expect(run.phase).toBe('gathering');
    run.ready('b');
    const plans = run.actions.flatMap((action) =>
      action.kind === 'send' && action.message.type === 'plan'
        ? [[action.to, run.rankIn(action.message.plan, action.to)]]
        : [],
    );
    // Rank 0 saves the model, so it is a worker on the coordinator's host.
    expect(plans).toEqual([
      ['b', 0],
      ['a', 1],
    ]);
    run.say('a', { type: 'connected', generation: 1, sharesMemory: true });
    expect(run.phase).toBe('connecting');
    run.say('b', { type: 'connected', generation: 1, sharesMemory: true });
    expect(run.phase).toBe('running');
    expect(run.sent('a').at(-1)).toBe('start_generation');
  });

  it('asks the writer for a checkpoint that a user requests, and only while the run trains', () => {
    const run = Run.running();
    run.on({ kind: 'checkpoint' });
    expect(run.sent('a')).toEqual(['request_checkpoint']);
    expect(run.sent('b')).toEqual([]);
    expect(run.phase).toBe('running');
    const gathering = new Run();
    gathering.on({ kind: 'checkpoint' });
    expect(gathering.warnings).toEqual([
      'The requested checkpoint is not written, because the run is in phase gathering.',
    ]);
  });

  it('refuses another protocol, a repeated join, and unknown peers', () => {
    const run = new Run(2);
    run.join('old', 3, 'box', protocolVersion + 1);
    expect(run.sent('old')).toEqual(['abort']);
    run.join('a', 1);
    // A message that is received twice adds no second worker.
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

  it('waits for --min-workers, reports it once, and continues with them', () => {
    const run = Run.running(2, { minWorkers: 2 });
    run.on({ kind: 'exited', pid: 2, how: 'died', final: false });
    run.say('a', { type: 'last_committed', generation: 1, step: 2 });
    run.beat('a', 7);
    expect(run.warnings).toEqual(['Waiting for workers: 1 of at least 2 are connected (after step 0).']);
    expect(run.plans(2)).toEqual([]);
    run.join('c', 3);
    run.ready('c');
    expect(run.plans(2).map(({ to, step, source }) => [to, step, source])).toEqual([
      ['a', 2, 0],
      ['c', 2, 0],
    ]);
  });

  it('keeps a worker without a shard on standby and uses it if another is lost', () => {
    const run = Run.running();
    run.join('c', 3);
    run.ready('c');
    expect(run.phase).toBe('running');
    run.on({ kind: 'exited', pid: 2, how: 'died', final: false });
    run.say('a', { type: 'last_committed', generation: 1, step: 0 });
    expect(run.plans(2).map(({ to }) => to)).toEqual(['a', 'c']);
  });

  it('removes only the newcomer if a newcomer disagrees or fails', () => {
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

  it('removes only the member whose device is lost, and ends the run for other failures of an engine', () => {
    const run = Run.running();
    run.say('b', { type: 'failed', error: { code: 'DEVICE_LOST', message: 'the GPU was lost' } });
    expect(run.error).toBeUndefined();
    run.say('a', { type: 'last_committed', generation: 1, step: 0 });
    expect(run.plans(2).map(({ to }) => to)).toEqual(['a']);
    run.say('a', { type: 'failed', error: { code: 'ENGINE', message: 'no memory' } });
    expect(run.error).toMatchObject({ code: 'ENGINE' });
  });

  it.each([
    ['tensorflow 2.21.0', /Choose the same kind of device for every worker with --devices/],
    [
      'webgpu 0.6.2, tfjs-backend-webgpu 4.22.0',
      /same adapter for every worker with LOCKSTEP_WEBGPU_ADAPTERS/,
    ],
  ])('refuses a worker with another adapter, names both, and names a remedy for %s', (engine, remedy) => {
    const run = new Run();
    run.join('a', 1);
    run.join('b', 2);
    run.ready('a', { identity: { ...identity, engine, device: 'gpu nvidia, hopper, H200' } });
    run.ready('b', { identity: { ...identity, engine, device: 'gpu intel, gen-12lp, Iris Xe' } });
    expect(run.error).toMatchObject({ code: 'ENGINE' });
    expect(run.error?.message).toMatch(
      /differ in their device: expected gpu nvidia, hopper, H200, got gpu intel, gen-12lp, Iris Xe/,
    );
    expect(run.error?.message).toMatch(remedy);
  });

  it('refuses a worker whose machine would change the bits, or warns and continues', () => {
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
        // The worker that is ready last is refused, even if it was the first to join.
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

  it.each([
    [
      'code',
      { 'dist/a.js': '1', 'dist/b.js': '9' },
      'ENGINE',
      'different code of Lockstep: dist/b.js: expected 2, got 9',
    ],
    ['engine', { 'tfjs version': '5' }, 'ENGINE', 'tfjs version: expected 4, got 5'],
    ['definition', { 'config.ts': '3', 'lib.ts': '1' }, 'CONFIG', 'lib.ts: expected none, got 1'],
    ['functions', { loss: '7' }, 'MODEL', 'loss: expected none, got 7'],
    ['layers', { 'layer "dense" (Dense)': '5' }, 'MODEL', 'layer "dense" (Dense): expected 4, got 5'],
  ] as const)('refuses a worker that runs another %s, naming the entry', (group, entries, code, text) => {
    const run = new Run();
    for (const [i, name] of ['a', 'b'].entries()) run.join(name, i + 1);
    run.ready('a');
    run.ready('b', { fingerprint: { ...fingerprint, [group]: entries } });
    expect(run.error).toMatchObject({ code, message: expect.stringContaining(text) as string });
    expect(run.status).toBe(2);
  });

  it('accepts a left-over file of Lockstep that no common file imports', () => {
    const run = new Run();
    for (const [i, name] of ['a', 'b'].entries()) run.join(name, i + 1);
    run.ready('a');
    run.ready('b', { fingerprint: { ...fingerprint, code: { ...fingerprint.code, 'dist/old.js': '5' } } });
    expect(run.phase).toBe('connecting');
  });

  it('compares a replacement with what has trained, although no worker is left', () => {
    const run = Run.running(1);
    run.commit('a', 1);
    run.say('a', { type: 'checkpointed', step: 1, path: '/out/1', error: null });
    run.on({ kind: 'exited', pid: 1, how: 'died', final: false });
    run.join('b', 2);
    run.ready('b', { fingerprint: { ...fingerprint, code: { 'dist/a.js': '9', 'dist/b.js': '2' } } });
    expect(run.sent('b')).toEqual(['welcome', 'abort']);
    run.join('c', 3);
    run.ready('c');
    expect(run.sent('c')).toEqual(['welcome', 'plan']);
  });

  it('shares the fingerprint of equal workers in memory', () => {
    const run = Run.running(2);
    const [a, b] = ['a', 'b'].map((name) => readyOf(run.state.workers.get(name)!)?.fingerprint);
    expect(a).toBeDefined();
    expect(b).toBe(a);
  });
});
