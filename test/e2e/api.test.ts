import { execFile } from 'node:child_process';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Tensor } from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import type * as api from '../../src/index.js';
import { alive, descendants, lockstep, temporaryFolder } from '../support/lockstep.js';
import { writeTinyTraining } from '../support/tiny-training.js';

const { evaluate, exportModel, listRuns, loadRun, predict, readEvents, train } = (await import(
  fileURLToPath(new URL('../../dist/index.js', import.meta.url))
)) as typeof api;

const example = (name: string): string =>
  fileURLToPath(new URL(`../../examples/api/${name}`, import.meta.url));
const fast = { engine: 'wasm', shards: 2, threads: 1 } as const;
/** Signals whose listeners would change the program that trains. */
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'exit', 'uncaughtException'];
const listeners = (): number[] => signals.map((signal) => process.listenerCount(signal));

describe('train()', () => {
  it('is stopped by its signal, resumed and read in a script of ten lines, as if it had not been stopped', async () => {
    const folder = await temporaryFolder();
    const env = { ...process.env, LOCKSTEP_ENGINE: 'wasm', LOCKSTEP_THREADS: '1' };
    const script = example('stop-and-resume.mjs');
    const { stdout } = await promisify(execFile)(process.execPath, [script, join(folder, 'stopped')], {
      env,
    });
    const [first = '', ...epochs] = stdout.trim().split('\n');
    expect(first).toMatch(/^interrupted after step (7\d|[89]\d|1\d\d)$/);
    const undisturbed = ['--config', example('lockstep.config.ts'), '--out', join(folder, 'whole')];
    const options = ['--workers', '2', '--epochs', '4', '--threads', '1', '--engine', 'wasm', '--json'];
    const { events } = await lockstep(['train', ...undisturbed, ...options]);
    const means = [1, 2, 3, 4].map((epoch) => {
      const losses = events.flatMap((event) =>
        event.event === 'step' && event.epoch === epoch ? [event.loss] : [],
      );
      expect(losses).toHaveLength(60);
      const test = events.find((one) => one.event === 'eval' && one.split === 'test' && one.epoch === epoch);
      const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
      return [epoch, mean, (test as api.Evaluation).loss] as const;
    });
    expect(epochs).toHaveLength(4);
    for (const [i, [epoch, mean, test]] of means.entries()) {
      const [, number, loss, tested] = /^epoch (\d): (.+), test (.+)$/.exec(epochs[i] ?? '') ?? [];
      expect(Number(number)).toBe(epoch);
      expect(Number(loss)).toBeCloseTo(mean, 12);
      expect(Number(tested)).toBe(test);
    }
    const resumed = await loadRun(join(folder, 'stopped'));
    const end = events.find((event) => event.event === 'done');
    expect(resumed).toMatchObject({ outcome: 'done', steps: 240, weightsSha256: end?.weightsSha256 });
  });

  it('trains several runs at once and leaves no process, listener, variable or tensor behind', async () => {
    const folder = await temporaryFolder();
    const config = await writeTinyTraining(folder);
    const before = { listeners: listeners(), env: { ...process.env }, exp: Math.exp };
    const out = (name: string): string => join(folder, 'runs', name);
    const seen: string[] = [];
    const runs = [1, 2].map((workers) =>
      train(config, { ...fast, workers, epochs: 2, seed: 7, out: out(`w${workers}`) }),
    );
    for await (const event of runs[0]!) seen.push(event.event);
    const [one, two] = await Promise.all(runs);
    expect(seen.filter((name) => name === 'step')).toHaveLength(4);
    expect(seen.at(-1)).toBe('done');
    expect(one!.weightsSha256).toMatch(/^[0-9a-f]{64}$/);
    expect(two!.weightsSha256).toBe(one!.weightsSha256);
    expect(one!.history.map(({ epoch, step }) => [epoch, step])).toEqual([
      [1, 2],
      [2, 4],
    ]);
    expect((await listRuns(join(folder, 'runs'))).map(({ name }) => name).sort()).toEqual(['w1', 'w2']);
    expect(await alive(await descendants(process.pid))).toEqual([]);
    expect(listeners()).toEqual(before.listeners);
    expect({ ...process.env }).toEqual(before.env);
    expect(Math.exp).toBe(before.exp);
    const { memory, tensor2d } = await import('@tensorflow/tfjs');
    const model = await one!.model();
    const input = tensor2d([[Math.sin(4), Math.cos(8)]]);
    const output = model.predict(input) as Tensor;
    expect(output.shape).toEqual([1, 3]);
    input.dispose();
    output.dispose();
    model.dispose();
    expect(memory().numTensors).toBe(0);
  });

  it('rejects with the code of the error, and the iteration as well', async () => {
    const folder = await temporaryFolder();
    const config = await writeTinyTraining(folder);
    const wrong = train(config, { ...fast, batchSize: 0, out: join(folder, 'run') });
    await expect(wrong).rejects.toMatchObject({ code: 'CONFIG', name: 'ConfigError' });
    await expect(wrong).rejects.toThrow(/batchSize: .* got 0 \(from train\(\)\)/);
    await expect(async () => {
      for await (const event of wrong) expect(event.event).not.toBe('done');
    }).rejects.toThrow(/batchSize/);
    await writeFile(join(folder, 'none.config.js'), 'throw new Error("mine")');
    await expect(train(join(folder, 'none.config.js'), { out: join(folder, 'run') })).rejects.toThrow(/mine/);
    expect(await readdir(folder)).not.toContain('run');
  });

  it('rejects with the reason of a signal that was aborted before, and for a definition without a file', async () => {
    const signal = AbortSignal.abort(new Error('no longer wanted'));
    await expect(train(example('lockstep.config.ts'), { signal })).rejects.toThrow('no longer wanted');
    const { defineTraining } = await import('../../src/index.js');
    const made = defineTraining({ model: ({ tf }) => tf.sequential() });
    const key = Object.getOwnPropertySymbols(made).find(
      ({ description }) => description === 'lockstep.place',
    )!;
    await expect(train({ ...made, [key]: undefined })).rejects.toThrow(
      /expected a training definition of a file/,
    );
  });
});

describe('evaluate(), predict() and exportModel()', () => {
  it('use a saved run, and throw errors with a code', async () => {
    const folder = await temporaryFolder();
    const out = join(folder, 'run');
    const run = await train(example('lockstep.config.ts'), { ...fast, workers: 1, epochs: 1, out });
    const last = run.evaluations.findLast(({ split }) => split === 'test');
    const { loss, metrics, count } = await evaluate(run, { engine: 'wasm' });
    expect({ loss, metrics, count }).toEqual({ loss: last?.loss, metrics: last?.metrics, count: 48 });
    const path = await exportModel(out, { format: 'onnx', engine: 'wasm' });
    expect(await readdir(out)).toContain('model.onnx');
    expect(path).toBe(join(out, 'model.onnx'));
    await expect(predict(run, [join(folder, 'none.png')], { engine: 'wasm' })).rejects.toMatchObject({
      code: 'MODEL',
    });
    // From JavaScript, an option can have any value.
    await expect(exportModel(out, { format: 'tflite' as 'onnx' })).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringMatching(/'tflite' is invalid\. Allowed choices are tfjs, safetensors/) as string,
    });
    await expect(evaluate(join(folder, 'none'), { engine: 'wasm' })).rejects.toMatchObject({ code: 'MODEL' });
    const events: string[] = [];
    for await (const { event } of readEvents(out, { skip: ['status'] })) events.push(event);
    expect(events.filter((name) => name === 'step')).toHaveLength(60);
    await expect(readEvents(join(folder, 'none')).next()).rejects.toMatchObject({ code: 'CONFIG' });
    await expect(loadRun(join(folder, 'none'))).rejects.toThrow(/expected the log/);
  });
});
