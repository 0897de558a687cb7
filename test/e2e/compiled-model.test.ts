import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { lockstep, temporaryFolder } from '../support/lockstep.js';

const evaluations = (events: readonly RunEvent[]) =>
  events.filter((event) => event.event === 'eval' && event.split === 'test');

it.each(['--single-process', '--workers=2'])(
  'a run with model.compile keeps its loss and metrics for eval and for resume (%s)',
  async (workers) => {
    const folder = await temporaryFolder();
    const config = join(folder, 'lockstep.config.ts');
    await writeFile(
      config,
      `import { defineTraining, samples } from 'lockstep';
const get = (i: number) => ({ inputs: [[i / 24, 1]], targets: [[i % 2]] });
export default defineTraining({
  batchSize: 8, epochs: 2,
  data: samples({ name: 'points', version: '1', inputs: [{ shape: [2], dtype: 'float32' }],
    targets: [{ shape: [1], dtype: 'float32' }], train: { count: 24, get }, test: { count: 8, get } }),
  model: ({ tf }) => {
    const model = tf.sequential({ layers: [tf.layers.dense({ units: 1, inputShape: [2], activation: 'sigmoid' })] });
    model.compile({ optimizer: tf.train.momentum(0.1, 0.9), loss: 'binaryCrossentropy', metrics: ['acc', 'mae'] });
    return model;
  },
});
`,
    );
    const run = ['train', '--config', config, '--engine', 'wasm', '--shards', '2', workers, '--json'];
    const out = join(folder, 'run');
    const whole = await lockstep([...run, '--out', out, '--checkpoint-every', '2steps']);
    expect(whole.status, whole.stderr).toBe(0);
    const warnings = whole.events.flatMap((event) => (event.event === 'warning' ? [event.message] : []));
    expect(warnings.join('\n')).toMatch(/model.compile is taken over: optimizer .*sgd/);
    const [last] = evaluations(whole.events).slice(-1);
    expect(last).toMatchObject({ metrics: { accuracy: expect.any(Number) as number } });
    // The run's folder, and the saved model alone, whose choices are in a file beside it.
    for (const saved of [out, join(out, 'model'), join(out, 'model', 'model.json')]) {
      const again = await lockstep(['eval', saved, '--config', config, '--engine', 'wasm', '--json']);
      expect(again.status, again.stderr).toBe(0);
      const [evaluated] = evaluations(again.events);
      expect(evaluated).toMatchObject({
        loss: (last as { loss: number }).loss,
        metrics: (last as { metrics: Record<string, number> }).metrics,
      });
    }
    // A run that is resumed in its middle ends with the same weights.
    const half = join(folder, 'half');
    await lockstep([...run, '--out', half, '--checkpoint-every', '2steps', '--max-steps', '4']);
    const rest = await lockstep([...run, '--resume', half, '--out', join(folder, 'rest')]);
    expect(rest.status, rest.stderr).toBe(0);
    // Another rate is applied and logged, another kind of optimizer or loss is refused by name.
    const source = await readFile(config, 'utf8');
    const resumed = async (from: string, to: string) => {
      await writeFile(config, source.replace(from, to));
      return lockstep([...run, '--resume', half, '--out', await temporaryFolder()]);
    };
    const other = await resumed('momentum(0.1, 0.9)', 'momentum(0.05, 0.9)');
    expect(other.status, other.stderr).toBe(0);
    expect(other.events.filter(({ event }) => event === 'changed')).toMatchObject([
      { field: 'maxSteps', before: 4, now: null, step: 4 },
      { field: 'optimizer.learningRate', before: 0.1, now: 0.05, step: 4 },
    ]);
    const adam = await resumed('momentum(0.1, 0.9)', 'adam(0.1)');
    expect(adam.status).toBe(2);
    expect(adam.events.find(({ event }) => event === 'error')).toMatchObject({
      code: 'CONFIG',
      message: expect.stringMatching(/model\.compile .*optimizer: .*sgd with momentum.* adam/) as string,
    });
    await writeFile(config, source);
    const hashOf = (events: readonly RunEvent[]) =>
      events.flatMap((event) => (event.event === 'done' ? [event.weightsSha256] : []));
    expect(hashOf(rest.events)).toEqual(hashOf(whole.events));
  },
);
