import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { Lockstep, descendants, temporaryFolder } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';

/** Clock ticks of user and system time; Linux has 100 a second. */
async function processorTicks(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

async function residentBytes(pid: number): Promise<number> {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

describe('a worker', () => {
  it('computes on the configured number of threads', async () => {
    const out = await temporaryFolder();
    const common = [
      'train',
      '--workers',
      '1',
      '--threads',
      '1',
      '--evaluate',
      'none',
      '--out',
      out,
      '--json',
    ];
    const run = new Lockstep([...common, '--max-steps', '60']);
    const { pid } = await run.event('worker');
    await run.event('step', ({ step }) => step === 10);
    const [ticks, startedMs] = [await processorTicks(pid), performance.now()];
    await run.event('step', ({ step }) => step === 50);
    const busySeconds = ((await processorTicks(pid)) - ticks) / 100;
    const seconds = (performance.now() - startedMs) / 1000;
    // The communicator's thread adds a little to the one of TensorFlow.
    expect(busySeconds).toBeLessThan(1.35 * seconds);
    // A lower bound in CPU time, which a busy machine does not change.
    expect(busySeconds).toBeGreaterThan(0.2);
    expect((await run.ended).status).toBe(0);
  });

  it('has constant memory over 1500 steps, as the other processes have', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder, { count: 640 });
    const run = new Lockstep([
      'train',
      '--config',
      config,
      '--workers',
      '2',
      '--threads',
      '1',
      '--epochs',
      '310',
      '--evaluate',
      'none',
      '--out',
      `${folder}/run`,
      '--json',
    ]);
    const memory = async (step: number): Promise<Map<number, number>> => {
      await run.event('step', (event) => event.step >= step);
      const pids = [run.pid, ...(await descendants(run.pid))];
      return new Map(await Promise.all(pids.map(async (pid) => [pid, await residentBytes(pid)] as const)));
    };
    // V8 enlarges its heaps during the first 1500 steps.
    const before = await memory(1500);
    const after = await memory(3000);
    expect(before.size).toBe(4);
    for (const [pid, bytes] of after) {
      // V8's heap varies by some MB. A leak of one activation per step would be ten times as much.
      expect(bytes - before.get(pid)!, `pid ${pid}`).toBeLessThan(24 * 2 ** 20);
    }
    expect((await run.ended).status).toBe(0);
  });
});
