import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Lockstep, lockstep, temporaryFolder } from '../support/lockstep.js';

/** Products over 1,600 inputs, for which oneDNN uses a workspace on the heap; native/signals.cc explains the fault. */
const definition = `import { defineTraining, samples } from 'lockstep';
const wave = (i, size) => Array.from({ length: size }, (_, k) => Math.sin(i * 0.37 + k * 0.11));
const get = (i) => ({ inputs: [wave(i, 784)], targets: [i % 10] });
export default defineTraining({
  data: samples({
    name: 'waves', version: '1',
    inputs: [{ shape: [784], dtype: 'float32' }], targets: [{ shape: [], dtype: 'int32', classes: 10 }],
    train: { count: 64, get }, test: { count: 4, get },
  }),
  batchSize: 8, epochs: 100, schedule: { kind: 'constant' },
  model: ({ tf }) => tf.sequential({ layers: [
    tf.layers.dense({ units: 1600, activation: 'relu', inputShape: [784] }),
    tf.layers.dense({ units: 1600, activation: 'relu' }),
    tf.layers.dense({ units: 10 }),
  ] }),
});
`;

describe('signals that arrive during matrix products', () => {
  it('lose no worker and change no bit', { timeout: 240_000 }, async () => {
    const folder = await temporaryFolder();
    const config = join(folder, 'lockstep.config.js');
    await writeFile(config, definition);
    const options = [
      'train',
      '--config',
      config,
      '--engine',
      'tensorflow',
      '--workers',
      '2',
      '--shards',
      '2',
    ];
    options.push('--threads', '1', '--evaluate', 'none', '--max-steps', '60', '--json');

    const undisturbed = await lockstep([...options, '--out', join(folder, 'undisturbed')]);
    const run = new Lockstep([...options, '--out', join(folder, 'disturbed')]);
    const workers = await Promise.all(
      [0, 1].map(async (rank) => (await run.event('worker', (event) => event.rank === rank)).pid),
    );
    // Launched workers leave SIGTERM to their launcher.
    const sender = setInterval(() => {
      for (const pid of workers) {
        try {
          process.kill(pid, 'SIGTERM');
        } catch {
          // It has ended.
        }
      }
    }, 1);
    const ended = await run.ended.finally(() => clearInterval(sender));

    expect(ended.events.filter((event) => event.event === 'worker' && event.state === 'lost')).toEqual([]);
    expect(ended.status).toBe(0);
    const weights = [undisturbed, ended].map(
      ({ events }) => events.find((event) => event.event === 'done')?.weightsSha256,
    );
    expect(weights[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(weights[1]).toBe(weights[0]);
  });
});
