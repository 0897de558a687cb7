import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { freePort } from '../support/free-port.js';
import { Lockstep, lockstep, temporaryFolder, type Ended } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';

describe('a worker that would compute other bits', () => {
  /** A run of one thread a worker, whose second worker has `second` besides. */
  async function meet(options: readonly string[], second: readonly string[]): Promise<Ended[]> {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder);
    const endpoint = `tcp://127.0.0.1:${await freePort()}`;
    const run = ['--config', config, '--workers', '2', '--threads', '1', '--epochs', '1', '--json'];
    const coordinator = new Lockstep([
      'coordinator',
      '--listen',
      endpoint,
      ...run,
      ...options,
      '--out',
      join(folder, 'run'),
    ]);
    const workers = [[], second].map((more) =>
      lockstep(['worker', '--coordinator', endpoint, '--config', config, ...more]),
    );
    return Promise.all([coordinator.ended, ...workers]);
  }

  it('is refused with the name of the field, both values and the remedy', async () => {
    const [coordinator, ...workers] = await meet([], ['--threads', '2']);
    expect(coordinator?.status).toBe(2);
    expect(coordinator?.events.at(-1)).toMatchObject({ event: 'error', code: 'ENGINE' });
    // Which of them came first is the one to compare with.
    const refusal = /differ in their threads: expected [12], got [12] from .*--threads.*--on-mismatch warn/;
    for (const { stderr } of [...workers]) expect(stderr).toMatch(refusal);
    expect(workers.map(({ status }) => status)).toEqual([2, 2]);
  });

  it('is accepted with a warning with --on-mismatch warn', async () => {
    const [coordinator, ...workers] = await meet(['--on-mismatch', 'warn'], ['--threads', '2']);
    expect([coordinator, ...workers].map((ended) => ended?.status)).toEqual([0, 0, 0]);
    const warnings = coordinator?.events.flatMap((event) => (event.event === 'warning' ? [event] : []));
    expect(warnings?.map(({ message }) => message)).toEqual([expect.stringContaining('threads')]);
  });

  it('has a number of threads at all', async () => {
    const { status, stderr } = await lockstep(['worker', '--threads', 'many']);
    expect(status).toBe(2);
    expect(stderr).toContain('--threads: expected a whole number from 1 to 1024, got "many"');
  });
});
