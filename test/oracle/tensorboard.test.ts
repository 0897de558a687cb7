/** Reads the event files of a real run with TensorBoard's own reader. Skipped without a Python that has TensorBoard. */
import { execFileSync } from 'node:child_process';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { TimedEvent } from '../../src/shared/runs/run-events.js';
import { Lockstep, lockstep, temporaryFolder } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';

const python = process.env['LOCKSTEP_PYTHON'] ?? 'python3';
const script = fileURLToPath(new URL('./read-event-files.py', import.meta.url));
const hparamsScript = fileURLToPath(new URL('./read-hparams.py', import.meta.url));

function hasTensorboard(): boolean {
  try {
    execFileSync(python, ['-c', 'import tensorboard.backend.event_processing'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

interface Found {
  readonly fileVersion: number;
  readonly scalars: Readonly<Record<string, readonly (readonly [number, number])[]>>;
  readonly histograms: Readonly<
    Record<string, readonly { step: number; min: number; max: number; num: number; counts: number[] }[]>
  >;
  readonly graph: readonly { name: string; op: string; inputs: string[]; shape: number[] }[];
}

const read = (directory: string): Found =>
  JSON.parse(execFileSync(python, [script, directory], { encoding: 'utf8' })) as Found;

interface Metric {
  readonly folder: string;
  readonly tag: string;
  readonly value: number;
  readonly step: number;
}

interface Trials {
  /** Names of the hyperparameters. */
  readonly hyperparameters: readonly string[];
  /** Folder and tag of each metric. */
  readonly metrics: readonly (readonly [string, string])[];
  readonly groups: readonly {
    readonly hyperparameters: Readonly<Record<string, unknown>>;
    readonly metrics: readonly Metric[];
    readonly sessions: readonly { readonly name: string; readonly status: string }[];
  }[];
}

/** The answers of TensorBoard's plugin for hyperparameters. */
const trialsIn = (directory: string): Trials =>
  JSON.parse(
    execFileSync(python, [hparamsScript, directory], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  ) as Trials;

const of = <Name extends TimedEvent['event']>(
  events: readonly unknown[],
  name: Name,
): Extract<TimedEvent, { event: Name }>[] =>
  (events as TimedEvent[]).filter(
    (event): event is Extract<TimedEvent, { event: Name }> => event.event === name,
  );

/** The last step's, so that the run goes on from an earlier one. */
async function removeNewest(checkpoints: string): Promise<void> {
  const newest = (await readdir(checkpoints)).sort().at(-1) ?? '';
  await rm(join(checkpoints, newest), { recursive: true });
}

describe.skipIf(!hasTensorboard())(
  `TensorBoard's own reader (${python}; skipped without a Python that has tensorboard: LOCKSTEP_PYTHON)`,
  () => {
    it('reads each value of the run, the histograms and the graph, and the run has the same bits as without them', async () => {
      const folder = await temporaryFolder();
      const { config } = await writeSmallTraining(folder, { count: 640 });
      const out = join(folder, 'run');
      const common = [
        'train',
        '--config',
        config,
        '--workers',
        '2',
        '--threads',
        '1',
        '--epochs',
        '2',
        '--json',
      ];
      const run = await lockstep([...common, '--out', out, '--tensorboard']);
      expect(run.status).toBe(0);
      const plain = await lockstep([...common, '--out', join(folder, 'plain')]);
      const [done] = of(run.events, 'done');
      expect(of(plain.events, 'done')[0]?.weightsSha256).toBe(done?.weightsSha256);
      expect(of(plain.events, 'histograms')).toEqual([]);

      const { fileVersion, scalars, histograms, graph } = read(join(out, 'tensorboard'));
      expect(fileVersion).toBe(2);
      const steps = of(run.events, 'step');
      expect(steps).toHaveLength(20);
      expect(scalars['train/loss']).toEqual(steps.map(({ step, loss }) => [step, Math.fround(loss)]));
      expect(scalars['train/learning_rate']?.at(-1)).toEqual([20, Math.fround(0.001)]);
      expect(scalars['train/images_per_second']).toHaveLength(20);
      const tests = of(run.events, 'eval').filter(({ split }) => split === 'test');
      expect(scalars['evaluation/test_accuracy']).toEqual(
        tests.map(({ step, accuracy }) => [step, Math.fround(accuracy ?? Number.NaN)]),
      );
      expect(scalars['evaluation/train_loss']).toHaveLength(1);

      // There is one of every weight and gradient after each epoch; the last layer has 24 x 10 weights.
      expect(Object.keys(histograms).filter((tag) => tag.startsWith('weights/'))).toHaveLength(14);
      expect(Object.keys(histograms).filter((tag) => tag.startsWith('gradients/'))).toHaveLength(10);
      for (const spread of Object.values(histograms)) {
        expect(spread.map(({ step }) => step)).toEqual([10, 20]);
        for (const { num, min, max, counts } of spread) {
          expect(counts.reduce((total, count) => total + count, 0)).toBe(num);
          expect(max).toBeGreaterThanOrEqual(min);
        }
      }
      expect(graph.map(({ op }) => op)).toEqual([
        'InputLayer',
        'Conv2D',
        'BatchNormalization',
        'ReLU',
        'MaxPooling2D',
        'Flatten',
        'Dropout',
        'Dense',
        'BatchNormalization',
        'ReLU',
        'Dense',
      ]);
      expect(graph.at(-1)?.shape).toEqual([-1, 10]);
      for (const [i, { inputs }] of graph.entries())
        expect(inputs).toEqual(i === 0 ? [] : [graph[i - 1]?.name]);
    });

    it('compares runs with their hyperparameters, metrics and outcomes in the plugin for hyperparameters', async () => {
      const folder = await temporaryFolder();
      const { config } = await writeSmallTraining(folder, { count: 640 });
      const runs = join(folder, 'runs');
      const common = ['--config', config, '--workers', '1', '--threads', '1', '--json', '--tensorboard'];
      const interrupted = new Lockstep(['train', ...common, '--epochs', '500', '--out', join(runs, 'first')]);
      await interrupted.event('eval');
      interrupted.kill('SIGINT');
      expect((await interrupted.ended).status).toBe(130);
      expect(trialsIn(runs).groups[0]?.sessions).toMatchObject([
        { name: 'first/tensorboard', status: 'STATUS_FAILURE' },
      ]);

      // The resumed run and the other one end with their epochs.
      const { step } = of(interrupted.events, 'step').at(-1)!;
      const epochs = Math.ceil(step / 10) + 1;
      const resumed = await lockstep([
        'train',
        ...common,
        '--epochs',
        String(epochs),
        '--resume',
        join(runs, 'first'),
      ]);
      expect(resumed.status).toBe(0);
      const rate = ['--set', 'optimizer.learningRate=0.05'];
      const other = await lockstep([
        'train',
        ...common,
        ...rate,
        '--epochs',
        '2',
        '--out',
        join(runs, 'second'),
      ]);
      expect(other.status).toBe(0);

      const { hyperparameters, metrics, groups } = trialsIn(runs);
      expect(hyperparameters).toEqual(
        expect.arrayContaining(['optimizer.learningRate', 'epochs', 'batchSize']),
      );
      expect(hyperparameters).not.toContain('workers');
      for (const found of [
        ['train', 'loss'],
        ['validation', 'loss'],
        ['validation', 'accuracy'],
      ])
        expect(metrics).toContainEqual(found);
      for (const [name, run, wanted] of [
        ['first', resumed, { 'optimizer.learningRate': 0.001, epochs }],
        ['second', other, { 'optimizer.learningRate': 0.05, epochs: 2 }],
      ] as const) {
        const group = groups.find(({ sessions }) => sessions[0]?.name === `${name}/tensorboard`)!;
        expect(group.sessions).toMatchObject([{ status: 'STATUS_SUCCESS' }]);
        expect(group.hyperparameters).toMatchObject(wanted);
        const last = of(run.events, 'eval').findLast(({ split }) => split === 'test')!;
        for (const [tag, value] of [
          ['loss', last.loss],
          ['accuracy', last.accuracy ?? Number.NaN],
        ] as const)
          expect(group.metrics).toContainEqual({
            folder: 'validation',
            tag,
            value: Math.fround(value),
            step: last.step,
          });
      }
    });

    it('omits the steps that a resumed run repeats', async () => {
      const folder = await temporaryFolder();
      const { config } = await writeSmallTraining(folder, { count: 640 });
      const out = join(folder, 'run');
      const common = [
        'train',
        '--config',
        config,
        '--workers',
        '1',
        '--threads',
        '1',
        '--json',
        '--tensorboard',
      ];
      await lockstep([
        ...common,
        '--out',
        out,
        '--max-steps',
        '17',
        '--checkpoint-every',
        '10steps',
        '--keep',
        '9',
      ]);
      await removeNewest(join(out, 'checkpoints'));
      const resumed = await lockstep([...common, '--resume', out, '--epochs', '2', '--max-steps', '20']);
      expect(of(resumed.events, 'resumed')[0]?.step).toBe(10);
      const { scalars } = read(join(out, 'tensorboard'));
      expect(scalars['train/loss']?.map(([step]) => step)).toEqual(
        Array.from({ length: 20 }, (_, i) => i + 1),
      );
    });
  },
);
