import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { histogramOf } from '../../src/shared/runs/histogram.js';
import { ConfigError } from '../../src/shared/errors.js';
import type { TimedEvent } from '../../src/shared/runs/run-events.js';
import { EventFile, encodeGraph } from '../../src/tensorboard/event-file.js';
import { hyperparametersOf } from '../../src/tensorboard/hyperparameters.js';
import { graphOf } from '../../src/tensorboard/model-graph.js';
import { TensorboardLog } from '../../src/tensorboard/tensorboard-log.js';
import { temporaryFolder } from '../support/lockstep.js';
import { stepEvent } from '../support/run-events.js';

/**
 * Written by TensorBoard's own `RecordWriter` (tensorboard 2.21), each from an `Event` of its own protocol: the version at
 * 1.5 s; `train/loss` = 0.5 of step 3 at 2.5 s; a histogram `weights/a` of 1, 2.5 and 3; a session's start at step 7.
 */
const golden = {
  version: '1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c',
  scalar: '200000000000000029eda95009000000000000044010032a130a110a0a747261696e2f6c6f7373150000003fef945f2a',
  histogram:
    '6d000000000000003d4de67109000000000000044010032a600a5e0a09776569676874732f612a5109000000000000f03f11' +
    '0000000000000840190000000000000840210000000000001840290000000000002c40321000000000000000400000000000' +
    '0008403a10000000000000f03f0000000000000040a8ab00cf',
  start: '0f000000000000006d532b0909000000000000084010073a02080167edf0c3',
  /** A session of the plugin for hyperparameters: `optimizer.kind` = adam in group g, started at 1.5 s; its success at 3.5 s. */
  sessionStart:
    '6a00000000000000af81ed670900000000000004402a5f0a5d0a1c5f68706172616d735f2f73657373696f6e5f73746172745f696e66' +
    '6f42060801120212004a350a330a0768706172616d7312281a260a180a0e6f7074696d697a65722e6b696e6412061a046164616d2201' +
    '6729000000000000f83f78ccaae0',
  sessionEnd:
    '4d000000000000003d63d4a6090000000000000c402a420a400a1a5f68706172616d735f2f73657373696f6e5f656e645f696e666f42' +
    '060801120212004a1a0a180a0768706172616d73120d220b0801110000000000000c40621fe013',
  /** GraphDef: `dense` of op Dense, fed from `in`, shape [-1, 10]. */
  graph:
    '0a3b0a0564656e7365120544656e73651a02696e2a270a0e5f6f75747075745f73686170657312150a133a11120b08ffff' +
    'ffffffffffffff011202080a22020816',
};

const notify = (message: string): never => {
  throw new Error(message);
};

/** Returns the only event file of a folder, beside that of the hyperparameters, or the latter. */
async function written(directory: string, which: 'values' | 'hyperparameters' = 'values'): Promise<string> {
  const [name = '', ...others] = (await readdir(directory)).filter(
    (one) => one.startsWith('events') && one.endsWith('.hparams') === (which === 'hyperparameters'),
  );
  expect(others).toEqual([]);
  return (await readFile(join(directory, name))).toString('hex');
}

describe('event files', () => {
  it('are byte for byte what TensorBoard itself writes', async () => {
    const directory = await temporaryFolder();
    const file = new EventFile({ directory, host: 'box', startMs: 1_500, notify });
    file.write(2_500, 3, { summary: { value: [{ tag: 'train/loss', simpleValue: 0.5 }] } });
    const histo = { min: 1, max: 3, num: 3, sum: 6, sumSquares: 14, bucketLimit: [2, 3], bucket: [1, 2] };
    file.write(2_500, 3, { summary: { value: [{ tag: 'weights/a', histo }] } });
    file.write(3_000, 7, { sessionLog: { status: 1 } });
    await file.close();
    expect(await written(directory)).toBe(golden.version + golden.scalar + golden.histogram + golden.start);
    expect(await readdir(directory)).toEqual([`events.out.tfevents.0000000001.box.${process.pid}`]);
  });

  it('contain the graph as TensorFlow writes it, with names that TensorFlow accepts', () => {
    const attr = { _output_shapes: { list: { shape: [{ dim: [{ size: -1 }, { size: 10 }] }] } } };
    const node = { name: 'dense', op: 'Dense', input: ['in'], attr };
    expect(Buffer.from(encodeGraph([node])).toString('hex')).toBe(golden.graph);
    const layer = { kind: 'Dense', inputs: ['a b'], shape: [null, 10], parameters: 7 };
    expect(graphOf([{ name: '-odd name', ...layer }])).toEqual([
      { name: '_-odd_name', op: 'Dense', input: ['a_b'], attr: { ...attr, parameters: { i: 7 } } },
    ]);
  });

  it('refuse a folder that is a file', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'taken'), '');
    const options = { directory: join(folder, 'taken'), host: 'box', startMs: 0, notify };
    expect(() => new EventFile(options)).toThrow(ConfigError);
  });

  it('refuse a file that cannot be written', async () => {
    const directory = await temporaryFolder();
    // A folder takes the place of the file.
    await mkdir(join(directory, `events.out.tfevents.0000000002.box.${process.pid}`));
    const options = { directory, host: 'box', startMs: 2_000, notify };
    expect(() => new TensorboardLog(options)).toThrow(/EISDIR/);
  });
});

describe("a run's event file", () => {
  it("contains the values that a callback logs, byte for byte as TensorBoard's own writer has them", async () => {
    const directory = await temporaryFolder();
    const log = new TensorboardLog({ directory, host: 'box', startMs: 1_500, notify });
    log.emit({ event: 'scalars', step: 3, values: { 'train/loss': 0.5 }, timeMs: 2_500 });
    await log.close();
    expect(await written(directory)).toBe(golden.version + golden.scalar);
  });

  it('contains the configuration and the outcome for the plugin of hyperparameters, byte for byte as TensorBoard writes them', async () => {
    const directory = await temporaryFolder();
    const file = new EventFile({ directory, host: 'box', startMs: 1_500, notify });
    // Only the fields that influence the weights are hyperparameters.
    const config = { optimizer: { kind: 'adam' }, clipNorm: null, workers: 2, heartbeatMs: 500 };
    const start = { event: 'run', runId: 'g', config, out: null, timeMs: 1_500 } as unknown as TimedEvent;
    const end: TimedEvent = {
      event: 'done',
      steps: 1,
      seconds: 1,
      imagesPerSecond: 1,
      weightsSha256: '',
      timeMs: 3_500,
    };
    file.write(2_500, 0, { summary: { value: [hyperparametersOf(start)!] } });
    file.write(3_500, 0, { summary: { value: [hyperparametersOf(end)!] } });
    await file.close();
    expect(await written(directory)).toBe(golden.version + golden.sessionStart + golden.sessionEnd);
  });

  it('replaces the hyperparameters and the outcome of the process from which it resumes', async () => {
    const directory = await temporaryFolder();
    const [log, resumed] = [1_500, 2_500].map(
      (startMs) => () => new TensorboardLog({ directory, host: 'box', startMs, notify }),
    ) as [() => TensorboardLog, () => TensorboardLog];
    const config = (kind: string) => ({ optimizer: { kind }, clipNorm: null, workers: 2, heartbeatMs: 500 });
    const start = (kind: string) =>
      ({ event: 'run', runId: 'g', config: config(kind), out: null, timeMs: 1_500 }) as unknown as TimedEvent;
    const first = log();
    first.emit(start('sgd'));
    first.emit({ event: 'error', code: 'INTERRUPTED', message: 'Interrupted.', timeMs: 2_000 });
    await first.close();
    const second = resumed();
    second.emit(start('adam'));
    const done = { steps: 1, seconds: 1, imagesPerSecond: 1, weightsSha256: '' };
    second.emit({ event: 'done', ...done, timeMs: 3_500 });
    await second.close();
    const content = await written(directory, 'hyperparameters');
    expect(content).not.toContain(Buffer.from('sgd').toString('hex'));
    expect(content).toContain(Buffer.from('adam').toString('hex'));
    expect(content).toMatch(new RegExp(`${golden.sessionEnd}$`));
    expect((await readdir(directory)).filter((name) => !name.endsWith('.hparams'))).toHaveLength(2);
  });

  it('compares training and validation in two folders: at each evaluation, the mean of the steps since the last one', async () => {
    const directory = await temporaryFolder();
    const log = new TensorboardLog({ directory, host: 'box', startMs: 1_500, notify });
    log.emit({ ...stepEvent(2, { loss: 0.75, samples: 1 }), timeMs: 2_400 });
    log.emit({ ...stepEvent(3, { loss: 0.375, samples: 2 }), timeMs: 2_450 });
    const result = { split: 'test', epoch: 1, step: 3, loss: 0.5, metrics: {}, count: 10 } as const;
    log.emit({ event: 'eval', ...result, timeMs: 2_500 });
    await log.close();
    for (const split of ['train', 'validation']) {
      const file = new EventFile({
        directory: join(directory, `${split}-alone`),
        host: 'box',
        startMs: 1_500,
        notify,
      });
      file.write(2_500, 3, { summary: { value: [{ tag: 'loss', simpleValue: 0.5 }] } });
      await file.close();
      expect(await written(join(directory, split))).toBe(await written(join(directory, `${split}-alone`)));
    }
  });

  it('contains the values of each step and evaluation, the histograms, and the step at which a run resumes', async () => {
    const directory = await temporaryFolder();
    const log = new TensorboardLog({ directory, host: 'box', startMs: 1_500, notify });
    const layers = [{ name: 'only', kind: 'Dense', inputs: [], shape: [null, 10], parameters: 7 }];
    const events: TimedEvent[] = [
      { ...stepEvent(3, { loss: 0.5 }), timeMs: 2_500 },
      {
        event: 'eval',
        ...({
          split: 'test',
          epoch: 1,
          step: 3,
          loss: 0.5,
          metrics: { accuracy: 0.9 },
          accuracy: 0.9,
          correct: 9,
          count: 10,
        } as const),
        timeMs: 2_500,
      },
      {
        event: 'histograms',
        step: 3,
        histograms: [{ kind: 'weights', name: 'a', histogram: histogramOf(Float32Array.of(1, 3)) }],
        timeMs: 2_500,
      },
      { event: 'model', layers, timeMs: 2_500 },
      { event: 'model', layers, timeMs: 2_600 },
      { event: 'resumed', step: 6, path: '/c', skipped: [], timeMs: 3_000 },
      { event: 'warning', message: 'no figure', timeMs: 3_000 },
    ];
    for (const event of events) log.emit(event);
    await log.close();
    const text = Buffer.from(await written(directory), 'hex').toString('latin1');
    const tags = text.match(/(train|evaluation|weights)\/[a-z_]+/g);
    expect(tags).toEqual([
      'train/loss',
      'train/learning_rate',
      'train/images_per_second',
      'evaluation/test_loss',
      'evaluation/test_accuracy',
      'weights/a',
    ]);
    expect(text.match(/only/g)).toHaveLength(1);
    expect(await written(directory)).toMatch(new RegExp(`${golden.start}$`));
  });
});
