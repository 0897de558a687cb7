import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { readFaultRecord, requestFault } from '../../src/shared/faults/fault-request.js';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { Lockstep, descendants, lockstep, temporaryFolder, type Ended } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';

/** Every rule that keeps something between steps, so that all of it has to travel. */
const rules = `
  optimizer: { kind: 'sgd', learningRate: 0.05, momentum: 0.9, nesterov: true, weightDecay: 0.001 },
  clipNorm: 1,
  accumulate: 3,
  augment: [
    { kind: 'affine', rotate: 10, scale: 0.1, shear: 5 },
    { kind: 'crop', padding: 1 },
    { kind: 'flip' },
    { kind: 'cutout', size: 2 },
    ({ inputs, random }) => { inputs[0][random.below(64)] += 0.1 * random.unit(); },
  ],
  ema: { decay: 0.95 },
  schedule: { kind: 'plateau', patience: 0, factor: 0.5, threshold: 0.2 },
  warmup: { steps: 5 },
  earlyStopping: { patience: 3, threshold: 0.1 },
`;

const of = <Name extends RunEvent['event']>({ events }: Ended, name: Name) =>
  events.filter((event): event is Extract<RunEvent, { event: Name }> => event.event === name);

function traceOf(run: Ended) {
  expect(run.status, run.stderr).toBe(0);
  return {
    steps: of(run, 'step').map(({ step, loss, learningRate }) => ({ step, loss, learningRate })),
    evaluations: of(run, 'eval').map(({ split, epoch, loss, correct }) => ({ split, epoch, loss, correct })),
    weightsSha256: of(run, 'done')[0]?.weightsSha256,
  };
}

describe('a run with momentum, regularizers, clipping, accumulation, augmentation, averages, a plateau and early stopping', () => {
  let config = '';
  let expected: ReturnType<typeof traceOf> | undefined;
  const args = (...more: readonly string[]): string[] => [
    'train',
    '--config',
    config,
    '--shards',
    '4',
    '--threads',
    '1',
    '--epochs',
    '60',
    '--json',
    ...more,
  ];

  beforeEach(async () => {
    // 70 = 64 + 6: the last batch has a sample or two a part, so that some shards have none.
    ({ config } = await writeSmallTraining(await temporaryFolder(), {
      extra: rules,
      hidden: 'kernelRegularizer: tf.regularizers.l1l2({ l1: 1e-4, l2: 1e-3 })',
    }));
    expected ??= traceOf(await lockstep(args('--single-process', '--out', join(config, '..', 'alone'))));
  });

  it('reduces its learning rate and stops by the results on the test set', () => {
    const { steps = [], evaluations = [] } = expected ?? {};
    const rates = steps.map(({ learningRate }) => learningRate);
    // Two steps an epoch: the second evaluation, after step 4, is the first that may find no better loss.
    expect(rates.slice(0, 4)).toEqual(
      [0.01, 0.208, 0.406, 0.604].map((part) => expect.closeTo(0.05 * part, 6) as number),
    );
    expect(new Set(rates.slice(5)).size).toBeGreaterThan(2);
    expect(steps.length).toBeLessThan(120);
    // The training set after the last epoch, though nobody knew that it would be the last.
    expect(evaluations.at(-1)).toMatchObject({ split: 'train', epoch: steps.length / 2 });
  });

  it('has the same bits on 2 workers', async () => {
    const run = await lockstep(args('--workers', '2', '--out', join(config, '..', 'two')));
    expect(traceOf(run)).toEqual(expected);
  });

  it('has the same bits on 3 workers of which one is killed', async () => {
    const faults = join(config, '..', 'faults');
    requestFault(faults, { id: 'kill', kind: 'kill', point: 'mid-commit', step: 8, rank: 1 });
    const out = join(config, '..', 'killed');
    const run = new Lockstep(args('--workers', '3', '--out', out, '--fault-requests', faults));
    const ended = await run.ended;
    expect(readFaultRecord(faults, 'kill')).toMatchObject({ step: 8, rank: 1 });
    expect(of(ended, 'generation').length).toBeGreaterThan(0);
    expect(traceOf(ended)).toEqual(expected);
    expect(await descendants(run.pid)).toEqual([]);
  });

  it('has the same bits when it resumes from a checkpoint, on another number of workers', async () => {
    const out = join(config, '..', 'resumed');
    const cut = ['--max-steps', '13', '--checkpoint-every', '4steps', '--evaluate', 'test'];
    expect((await lockstep(args('--workers', '1', ...cut, '--out', out))).status).toBe(0);
    const rest = ['--resume', out, '--max-steps', '1000', '--evaluate', 'both', '--workers', '2', '--json'];
    const { steps, evaluations, weightsSha256 } = traceOf(
      await lockstep(['train', '--config', config, ...rest, '--out', out]),
    );
    expect(steps).toEqual(expected?.steps.slice(13));
    expect(evaluations.at(-1)).toEqual(expected?.evaluations.at(-1));
    expect(weightsSha256).toBe(expected?.weightsSha256);
  });
});
