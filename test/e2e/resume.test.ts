import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { endless, range, stepsIn, training, undisturbed, weightsOf } from '../support/elastic-run.js';
import { eventually } from '../support/eventually.js';
import { Lockstep, alive, descendants, lockstep, temporaryFolder } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';

it('a run whose processes are all killed resumes in mid-epoch, on another number of workers, with the same bits', async () => {
  const { config } = await writeSmallTraining(await temporaryFolder());
  const out = join(await temporaryFolder(), 'run');
  const first = new Lockstep([
    'train',
    '--config',
    config,
    '--workers',
    '2',
    '--out',
    out,
    '--evaluate',
    'none',
    '--checkpoint-every',
    '7steps',
    '--keep',
    '2',
    ...training,
    ...endless,
  ]);
  await first.event('checkpoint', ({ step }) => step >= 70);
  const everyone = [...(await descendants(first.pid)), first.pid];
  for (const pid of everyone) process.kill(pid, 'SIGKILL');
  await first.ended;
  await eventually('all processes to end', async () => (await alive(everyone)).length === 0);

  const newest = Math.max(
    ...(await readdir(join(out, 'checkpoints'))).map((name) => Number(/step-(\d+)/.exec(name)?.[1] ?? 0)),
  );
  const end = newest + 101;
  const args = ['--resume', 'auto', '--out', out, '--workers', '3', '--max-steps', String(end), '--json'];
  const second = await lockstep(['train', '--config', config, ...args]);
  expect(weightsOf(second)).toBe(await undisturbed(end));
  const from = second.events.flatMap((event) => (event.event === 'resumed' ? [event.step] : []))[0] ?? 0;
  // The last that was announced, or one that was written and not announced any more.
  const announced = first.events.findLast((event) => event.event === 'checkpoint')?.step;
  expect(from).toBeGreaterThanOrEqual(announced ?? Infinity);
  // A checkpoint that is due while the previous one is being written is taken after a later step, which need not be a multiple of 7.
  expect(from).toBeLessThanOrEqual(newest);
  expect(stepsIn(second.events)).toEqual(range(from + 1, end));
  // The log of the run goes on as well, and the last checkpoint is that of the end.
  const log = (await readFile(join(out, 'events.ndjson'), 'utf8')).trim().split('\n');
  expect(stepsIn(log.map((line) => JSON.parse(line) as RunEvent))[0]).toBe(1);
  expect(second.events.findLast((event) => event.event === 'checkpoint')?.step).toBe(end);
});
