import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { checkpointsFolder } from '../../src/shared/checkpoint/manifest.js';
import { findCheckpoint } from '../../src/shared/checkpoint/read-checkpoint.js';
import { PhiloxSequence, philoxKey } from '../../src/shared/random/philox.js';
import { weightsOf } from '../support/elastic-run.js';
import { eventually } from '../support/eventually.js';
import { Lockstep, descendants, lockstep, temporaryFolder } from '../support/lockstep.js';
import { hasCompiler, slowDisk } from '../support/slow-disk.js';
import { writeSmallTraining } from '../support/small-training.js';

/** Three million parameters: a training state of 36 MB. */
const model = `({ tf }) =>
    tf.sequential({
      layers: [
        tf.layers.flatten({ inputShape: [8, 8, 1] }),
        tf.layers.dense({ units: 1600, activation: 'relu' }),
        tf.layers.dense({ units: 1800, activation: 'relu' }),
        tf.layers.dense({ units: 10 }),
      ],
    })`;
const stateBytes = 36e6;
const steps = 30;

let folder: string;
let out: string;
let config: string;
/** The hash of the weights after all steps, without a fault and on a fast disk. */
let undisturbed: string;

async function writeTraining(): Promise<void> {
  folder = await temporaryFolder();
  out = join(folder, 'run');
  const { data } = await writeSmallTraining(folder);
  config = join(folder, 'large.config.ts');
  await writeFile(
    config,
    `import { defineTraining } from 'lockstep';
export default defineTraining({ data: ${JSON.stringify(data)}, batchSize: 8, model: ${model} });
`,
  );
}

const training = ['--shards', '2', '--threads', '1', '--evaluate', 'none', '--json'];
const length = ['--epochs', '1000', '--max-steps', String(steps)];
const optionsOf = (command: 'train' | 'coordinator', workers: number): string[] =>
  [command, '--config', config, '--out', out, '--workers', String(workers)].concat(training, length);

beforeAll(async () => {
  await writeTraining();
  undisturbed = weightsOf(await lockstep([...optionsOf('train', 1), '--single-process']));
});

beforeEach(writeTraining);

const drafts = async (): Promise<string[]> =>
  (await readdir(join(out, checkpointsFolder)).catch((): string[] => [])).filter((name) =>
    name.includes('.partial-'),
  );

async function killAll(command: Lockstep): Promise<void> {
  for (const pid of [command.pid, ...(await descendants(command.pid))]) process.kill(pid, 'SIGKILL');
  await command.ended;
}

describe.skipIf(!hasCompiler)('on a slow disk', () => {
  it('a checkpoint that takes longer than every timeout is completed, at a stop and at the end', async () => {
    // Nine seconds for a checkpoint, and two for a piece of it.
    const env = slowDisk(folder, stateBytes / 1e6 / 9);
    const timeouts = ['--step-timeout-ms', '6000', '--checkpoint-every', '1000steps'];
    const stopped = new Lockstep([...optionsOf('train', 2), ...timeouts], { env });
    await stopped.event('step', ({ step }) => step >= 3);
    stopped.kill('SIGTERM');
    const { status, stderr, events } = await stopped.ended;
    expect(status, stderr).toBe(143);
    const saved = events.findLast((event) => event.event === 'checkpoint');
    expect(saved?.seconds).toBeGreaterThan(7);
    const ended = await lockstep([...optionsOf('train', 2), ...timeouts], { env });
    const last = ended.events.findLast((event) => event.event === 'checkpoint');
    expect(last).toMatchObject({ step: steps });
    expect(last?.seconds).toBeGreaterThan(7);
    expect(ended.events.filter((event) => event.event === 'worker' && event.state === 'lost')).toEqual([]);
    expect(weightsOf(ended)).toBe(undisturbed);
  });

  it('a save that SIGKILL cuts off 2 s after SIGTERM leaves the older checkpoint', async () => {
    const first = new Lockstep([...optionsOf('train', 1), '--checkpoint-every', '2steps']);
    const { step } = await first.event('checkpoint');
    await killAll(first);
    const env = slowDisk(folder, stateBytes / 1e6 / 12);
    const second = new Lockstep([...optionsOf('train', 1), '--checkpoint-every', '1000steps'], { env });
    await second.event('step', (event) => event.step >= 5);
    second.kill('SIGTERM');
    // On a busy machine the save begins later.
    await Promise.all([
      new Promise((resolve) => setTimeout(resolve, 2_000)),
      eventually('an unfinished checkpoint', async () => (await drafts()).length > 0),
    ]);
    await killAll(second);
    const { manifest, skipped } = await findCheckpoint(out);
    expect(manifest.step).toBeGreaterThanOrEqual(step);
    expect(skipped).toEqual([]);
    const third = new Lockstep([...optionsOf('train', 1), '--checkpoint-every', '1000steps']);
    const resumed = await third.event('resumed');
    expect(resumed.step).toBe(manifest.step);
    await third.event('step');
    await eventually('no unfinished checkpoint', async () => (await drafts()).length === 0);
    expect(weightsOf(await third.ended)).toBe(undisturbed);
  });

  it('the older checkpoint survives kills at random moments of the next save', async () => {
    const env = slowDisk(folder, stateBytes / 1e6 / 6);
    const random = new PhiloxSequence(philoxKey(7, 'faults'), 1);
    let newest = 0;
    for (let kill = 0; kill < 4; kill++) {
      const run = new Lockstep([...optionsOf('train', 1), '--checkpoint-every', '1steps'], { env });
      // At the first kill, there is an older checkpoint only after the first save.
      if (kill === 0) await run.event('checkpoint');
      await eventually('an unfinished checkpoint', async () => (await drafts()).length > 0);
      await new Promise((resolve) => setTimeout(resolve, random.below(4_000)));
      await killAll(run);
      const { manifest, skipped } = await findCheckpoint(out);
      expect(skipped).toEqual([]);
      expect(manifest.step).toBeGreaterThanOrEqual(newest);
      newest = manifest.step;
    }
    expect(weightsOf(await lockstep(optionsOf('train', 1)))).toBe(undisturbed);
  });

  it('the last worker, started by hand, stays as long as its save makes progress', async () => {
    // Longer than the time that the worker waits for the coordinator, and nearly four seconds for a piece.
    const env = slowDisk(folder, stateBytes / 1e6 / 17);
    const address = `ipc://${join(folder, 'coordinator')}`;
    const coordinator = new Lockstep([
      ...optionsOf('coordinator', 1),
      '--listen',
      address,
      '--checkpoint-every',
      '1000steps',
    ]);
    const worker = new Lockstep(['worker', '--coordinator', address, '--device', 'cpu'], { env });
    await coordinator.event('step', ({ step }) => step >= 3);
    worker.kill('SIGTERM');
    const { status, stderr } = await worker.ended;
    expect(status, stderr).toBe(143);
    const saved = coordinator.events.findLast((event) => event.event === 'checkpoint');
    expect(saved?.seconds).toBeGreaterThan(13);
    expect((await findCheckpoint(out)).manifest.step).toBe(saved?.step);
  });
});
