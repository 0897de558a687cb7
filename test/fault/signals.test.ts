import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { alive, descendants, temporaryFolder } from '../support/lockstep.js';
import { HeldRun, moments, roles, type Moment, type Role } from '../support/moments.js';

/** The exit statuses of docs/exit-status.md. */
const statuses = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129, SIGUSR1: 75, SIGUSR2: 75 } as const;
type Signal = keyof typeof statuses;

/** Each role receives every signal, at another moment. */
const signals: readonly Signal[] = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGTERM', 'SIGUSR1', 'SIGUSR2'];
const table = roles.flatMap((role, r) =>
  moments.map((moment, m) => ({ role, moment, signal: signals[(m + r) % signals.length] ?? 'SIGTERM' })),
);

const last = (events: readonly RunEvent[], name: 'step' | 'checkpoint'): number =>
  events.flatMap((event) => (event.event === name && 'step' in event ? [event.step] : [])).at(-1) ?? 0;

/** The run has stopped with the state of its last step in a checkpoint, by one message. */
function expectSaved(events: readonly RunEvent[], signal: Signal): void {
  const errors = events.filter((event) => event.event === 'error');
  expect(errors).toMatchObject([{ code: 'INTERRUPTED', message: expect.stringContaining(signal) as string }]);
  expect(last(events, 'checkpoint')).toBe(last(events, 'step'));
  const steps = events.flatMap((event) => (event.event === 'step' ? [event.step] : []));
  expect(steps).toEqual(steps.map((_, i) => i + 1));
}

async function expectEnd(run: HeldRun, role: Role, moment: Moment, signal: Signal): Promise<void> {
  const { status, stderr, events } = await run.subject.ended;
  expect(status, stderr).toBe(moment === 'end' ? 0 : statuses[signal]);
  if (moment === 'end') return;
  if (role !== 'worker') {
    if (moment !== 'start') expectSaved(events, signal);
    // The coordinator dismisses its worker with the saved state. It has none before it has loaded.
    if (run.worker) expect((await run.worker.ended).status).toBe(75);
  } else if (moment !== 'start' && moment !== 'load') {
    // The coordinator waits for another worker, with the state of the last one.
    await run.leader.event('worker', ({ state }) => state === 'left');
    expect(last(run.leader.events, 'checkpoint')).toBe(last(run.leader.events, 'step'));
    expect(last(run.leader.events, 'checkpoint')).toBeGreaterThan(0);
  }
}

describe('a process that receives a signal', () => {
  it.each(table)('$role, $moment, $signal', async ({ role, moment, signal }) => {
    const folder = await temporaryFolder();
    const run = await HeldRun.at(moment, role, folder);
    const children = await descendants(run.subject.pid);
    await run.storm(signal);
    if (moment === 'save') run.release();
    await expectEnd(run, role, moment, signal);
    expect(await alive(children)).toEqual([]);
    if (moment !== 'start') expect(await readdir(join(folder, 'run'))).toContain('events.ndjson');
  });
});
