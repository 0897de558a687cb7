import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startOf, survivors } from '../../src/chaos/processes.js';
import { nobodySurvived, recoveryMs } from '../../src/chaos/recovery.js';
import { chaosFaults, drawScenario, type PlannedFault } from '../../src/chaos/scenario.js';
import { tableOf, summarize } from '../../src/chaos/chaos-table.js';
import type { Timed, Training } from '../../src/chaos/training-process.js';
import { injectWithin, tooManyUnfired } from '../../src/chaos/unfired.js';
import {
  claimFaultRequest,
  faultPoints,
  pendingFaultRequests,
  requestFault,
  readFaultRecord,
  writeFaultRecord,
} from '../../src/shared/faults/fault-request.js';
import { FaultInjector, type RequestedLinkFault } from '../../src/worker/faults/fault-injector.js';
import { temporaryFolder } from '../support/lockstep.js';

const options = {
  seed: 3,
  faults: chaosFaults,
  points: [],
  workers: [2, 3, 4],
  steps: 100,
  together: 1,
} as const;

describe('the processes that a run leaves behind', () => {
  it.runIf(process.platform === 'linux')(
    'do not include a stranger that has the PID of a process of the run',
    async () => {
      const child = spawn('sleep', ['60'], { stdio: 'ignore' });
      const pid = child.pid ?? 0;
      try {
        const start = startOf(pid) ?? '';
        const bootSeconds = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
        expect(Math.abs(bootSeconds - Number(start) / 100)).toBeLessThan(30);
        expect(survivors(new Map([[pid, start]]))).toEqual([pid]);
        expect(survivors(new Map([[pid, String(Number(start) - 1)]]))).toEqual([]);
      } finally {
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        await ended;
      }
      expect(startOf(pid)).toBeUndefined();
    },
  );
});

describe('the faults of a soak that do not fire', () => {
  const [planned] = drawScenario({ ...options, faults: ['kill'], points: ['reduce'] }, 0).faults;
  const fired = { planned: planned!, atMs: 5 };
  const unfired = { planned: planned!, atMs: undefined };
  const faults = (firedCount: number, unfiredCount: number) => [
    ...Array.from({ length: firedCount }, () => fired),
    ...Array.from({ length: unfiredCount }, () => unfired),
  ];

  it.each([
    [1, 0],
    [1, 1],
    [18, 2],
  ])('are no failure if %i fired and %i did not', (firedCount, unfiredCount) => {
    expect(tooManyUnfired(faults(firedCount, unfiredCount))).toEqual([]);
  });

  it.each([
    [0, 1, '1 of 1 faults did not fire: first (kill at reduce)'],
    [1, 2, '2 of 3 faults did not fire: first (kill at reduce), first (kill at reduce)'],
  ])('fail it if %i fired and %i did not', (firedCount, unfiredCount, problem) => {
    expect(tooManyUnfired(faults(firedCount, unfiredCount))).toEqual([problem]);
  });

  it('fail it if there is no fault at all', () => {
    expect(tooManyUnfired([])).toEqual(['no fault was injected']);
  });

  it('are withdrawn, so that no process claims them later, unless one has claimed them already', async () => {
    const folder = await temporaryFolder();
    const training = { over: false, step: 0 } as unknown as Training;
    const late = injectWithin(50, training, folder, planned!);
    expect(await late).toEqual({ planned, atMs: undefined, pid: 0 });
    expect(pendingFaultRequests(folder)).toEqual([]);

    const other = { ...planned!, id: 'second', request: { ...planned!.request!, id: 'second' } };
    const claimed = injectWithin(50, training, folder, other);
    const [request] = pendingFaultRequests(folder);
    expect(claimFaultRequest(folder, request!)).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 100));
    writeFaultRecord(folder, 'second', { atMs: 7, pid: 3, point: 'reduce', step: 1, rank: 0 });
    expect(await claimed).toMatchObject({ planned: other, atMs: 7, pid: 3 });
  });
});

describe('the scenarios of lockstep chaos', () => {
  it('are determined by the seed and the number of the run', () => {
    expect(drawScenario(options, 7)).toEqual(drawScenario(options, 7));
    expect(drawScenario(options, 7)).not.toEqual(drawScenario(options, 8));
    expect(drawScenario(options, 7)).not.toEqual(drawScenario({ ...options, seed: 4 }, 7));
  });

  it('cover every fault and every point', () => {
    const faults = Array.from({ length: 600 }, (_, run) => drawScenario(options, run)).flatMap(
      (scenario) => scenario.faults,
    );
    expect(new Set(faults.map(({ kind }) => kind))).toEqual(new Set(chaosFaults));
    expect(new Set(faults.map(({ point }) => point))).toEqual(new Set([...faultPoints, 'random']));
    for (const { request, point, trigger } of faults) {
      expect(request === undefined).toBe(point === 'random');
      // Points that are reached only in a recovery have a fault that causes one.
      expect(trigger !== undefined).toBe(
        ['generation-ended', 'peers-connected', 'state-transfer', 'join'].includes(point),
      );
      expect(request?.after ?? undefined).toBe(trigger?.id);
    }
  });

  it('draw two faults at the same step, or the second one during the recovery from the first', () => {
    for (let run = 0; run < 200; run++) {
      const { faults } = drawScenario({ ...options, faults: ['kill', 'coordinator'], together: 2 }, run);
      expect(faults).toHaveLength(2);
      const [first, second] = faults as [PlannedFault, PlannedFault];
      expect(second.step).toBe(first.step);
      if (second.request?.after != null) expect(['first', 'second-trigger']).toContain(second.request.after);
    }
  });
});

describe('a fault request', () => {
  it('is injected once, by one process', async () => {
    const folder = await temporaryFolder();
    requestFault(folder, { id: 'x', kind: 'drop', point: 'reduce', step: 5, rank: 1, skip: 1 });
    const done: RequestedLinkFault[] = [];
    const worker = (rank: number): FaultInjector => {
      const faults = new FaultInjector(folder, (fault) => done.push(fault));
      faults.joinedGeneration({ rank, worldSize: 3 });
      return faults;
    };
    const [other, own] = [worker(0), worker(1)];
    other.faultPointHit('reduce', 9);
    own.faultPointHit('reduce', 4);
    own.faultPointHit('mid-commit', 9);
    own.faultPointHit('reduce', 5);
    expect(done).toEqual([]);
    own.faultPointHit('reduce', 5);
    own.faultPointHit('reduce', 6);
    worker(1).faultPointHit('reduce', 7);
    expect(done).toEqual([expect.objectContaining({ kind: 'drop', link: 2, step: 5 })]);
    // No message has been hit yet, so there is no record.
    expect(readFaultRecord(folder, 'x')).toBeUndefined();
  });

  it('is not injected before the request that it follows', async () => {
    const folder = await temporaryFolder();
    requestFault(folder, {
      id: 'y',
      kind: 'delay',
      point: 'generation-ended',
      after: 'x',
      link: 'coordinator',
    });
    const done: RequestedLinkFault[] = [];
    const faults = new FaultInjector(folder, (fault) => done.push(fault));
    faults.faultPointHit('generation-ended', 3);
    expect(done).toEqual([]);
    writeFaultRecord(folder, 'x', { atMs: 1, pid: 1, point: 'commit', step: 2, rank: 0 });
    faults.faultPointHit('generation-ended', 3);
    expect(done).toHaveLength(1);
  });

  it('is claimed by one of two processes', async () => {
    const folder = await temporaryFolder();
    requestFault(folder, { id: 'z', kind: 'kill', point: 'join' });
    const [request] = pendingFaultRequests(folder);
    expect([claimFaultRequest(folder, request!), claimFaultRequest(folder, request!)]).toEqual([true, false]);
    expect(pendingFaultRequests(folder)).toEqual([]);
    expect(() => requestFault(join(folder, 'w'), { id: '../z', kind: 'kill', point: 'join' })).toThrow();
  });
});

describe('the recovery time', () => {
  const step = (number: number, atMs: number): Timed => ({
    event: 'step',
    epoch: 1,
    step: number,
    loss: 1,
    learningRate: 1,
    imagesPerSecond: 1,
    seconds: 1,
    samples: 1,
    atMs,
  });
  const generation = (atMs: number, ...pids: number[]): Timed => ({
    event: 'generation',
    generation: 2,
    step: 1,
    seconds: 0,
    reason: 'membership',
    workers: pids.map((pid, rank) => ({ rank, pid, host: 'h', shards: { start: 0, end: 1 }, shardMs: null })),
    atMs,
  });
  const fault = (kind: PlannedFault['kind'], pid: number, atMs: number) => {
    const planned: PlannedFault = {
      id: 'first',
      kind,
      point: 'reduce',
      step: 1,
      rank: 0,
      request: undefined,
      trigger: undefined,
      delayMs: 0,
      wakesSoon: false,
      pauseMs: 0,
    };
    return { planned, atMs, pid };
  };
  const events = [
    generation(0, 1, 2),
    step(1, 100),
    step(2, 205),
    generation(900, 1),
    step(3, 1000),
    step(4, 1100),
  ];

  it('ends with the first step of the next generation if a member was killed', () => {
    // The report of step 2 was in flight when its worker was killed.
    expect(recoveryMs(fault('kill', 2, 200), events)).toBe(800);
  });

  it('is the longest time without a step for other faults', () => {
    expect(recoveryMs(fault('kill', 3, 200), events)).toBe(795);
    expect(recoveryMs(fault('drop', 2, 1010), events)).toBe(90);
    expect(recoveryMs(fault('drop', 2, 1200), events)).toBeUndefined();
  });

  it('includes the start of an engine if every member was lost', () => {
    const lost = [generation(0, 1, 2), step(1, 100), generation(6000, 3, 4), step(2, 6100)];
    expect(nobodySurvived(fault('kill', 2, 200), lost)).toBe(true);
    // The first membership has no event of its own.
    const joined = [1, 2].map((pid): Timed => ({
      event: 'worker',
      state: 'joined',
      rank: pid - 1,
      pid,
      host: 'h',
      device: 'CPU',
      engine: 'e',
      generation: 1,
      atMs: 0,
    }));
    expect(nobodySurvived(fault('kill', 2, 200), [...joined, ...lost.slice(1)])).toBe(true);
    expect(nobodySurvived(fault('kill', 2, 200), [...joined, ...events.slice(1)])).toBe(false);
    expect(nobodySurvived(fault('kill', 2, 200), events)).toBe(false);
    expect(nobodySurvived(fault('kill', 2, 200), events.slice(0, 3))).toBe(false);
  });

  it('is summarized by fault and point, including failures and faults that did not occur', () => {
    const report = (atMs: number | undefined, ms: number, problems: string[], nobodySurvived = false) => ({
      run: 0,
      weightsSha256: '',
      ettr: null,
      problems,
      scenario: { workers: 2, resumeWorkers: 1, sharedMemory: 'auto' as const, faults: [] },
      faults: [
        { ...fault('kill', 1, 0), atMs, recoveryMs: atMs === undefined ? undefined : ms, nobodySurvived },
      ],
    });
    const rows = summarize(
      [
        report(0, 1000, []),
        report(0, 3000, []),
        report(0, 9000, [], true),
        report(undefined, 0, ['did not fire']),
      ],
      ({ planned: { kind, point } }) => ({ kind, point }),
    );
    expect(rows).toEqual([
      {
        kind: 'kill',
        point: 'reduce',
        asked: 4,
        fired: 3,
        failed: 1,
        restarts: 1,
        medianMs: 2000,
        maximumMs: 3000,
      },
    ]);
    expect(tableOf(rows).at(-1)).toMatch(/kill +reduce +4 +3 +1 +1 +2\.00 +3\.00/);
  });
});
