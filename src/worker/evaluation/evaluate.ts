/**
 * Evaluation: each sample of a split exactly once, with the running statistics; distributed over the workers that own the
 * shards. Sums are kept a shard and combined in the shard tree, so the result doesn't depend on the workers.
 */

import type { Tensor } from '@tensorflow/tfjs';
import { combine, portable } from '../../shared/collectives/reduction.js';
import { partition } from '../../shared/sharding/ranges.js';
import { foldTree, rootLevel } from '../../shared/sharding/tree.js';
import type { AnswerSink } from './misclassified-collector.js';
import type { Executor } from '../executor/executor.js';
import type { GenerationContext, Replica } from '../training/replica.js';
import { readSamples, toTensors } from '../data/batch-reader.js';

export interface Evaluation {
  /** Mean over the split. */
  readonly loss: number;
  /** Means over the split, by name. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Samples that were classified right; null where `accuracy` is none of the metrics. */
  readonly correct: number | null;
  readonly count: number;
}

export type Split = 'train' | 'test';

/** What an evaluation needs of a worker. */
export interface Evaluator {
  readonly replica: Pick<Replica, 'engine' | 'config' | 'data' | 'objective'>;
  readonly executor: Pick<Executor, 'infer'>;
}

/** Calls `breathe` between batches, so that the caller can attend to its event loop; `answers` is told this worker's own. */
export async function evaluate(
  participation: GenerationContext,
  split: Split,
  step: number,
  breathe: () => Promise<void>,
  answers?: AnswerSink,
): Promise<Evaluation> {
  const { evaluation, localShards, communicator } = participation;
  for (let shard = localShards.start; shard < localShards.end; shard++) {
    const afterBatch = async (): Promise<void> => {
      communicator.tick();
      await breathe();
    };
    const totals = await shardTotals(participation, split, shard, afterBatch, answers);
    evaluation.inputs[shard - localShards.start]?.set(totals);
  }
  evaluation.start(step);
  evaluation.wait();
  return means(participation, evaluation.output as Float64Array);
}

/** The same numbers, to the bit, from one process that computes every shard; `answers` is told all. */
export async function evaluateAlone(
  evaluator: Evaluator,
  split: Split,
  answers?: AnswerSink,
): Promise<Evaluation> {
  const { shards } = evaluator.replica.config;
  const totals: Float64Array[] = [];
  for (let shard = 0; shard < shards; shard++) {
    totals.push(await shardTotals(evaluator, split, shard, () => Promise.resolve(), answers));
  }
  const leaf = ({ level, index }: { level: number; index: number }): Float64Array | undefined =>
    level === 0 ? totals[index] : undefined;
  const root = { level: rootLevel(shards), index: 0 };
  const sums = foldTree(root, shards, leaf, (left, right) =>
    combine('sum-float64', portable, left, left, right),
  );
  return means(evaluator, sums);
}

/** Elements of what one shard gives: the sums of the loss and of each metric, and the count. */
export function sumCount({ objective }: Pick<Replica, 'objective'>): number {
  return objective.metricNames.length + 2;
}

async function shardTotals(
  { replica, executor }: Evaluator,
  split: Split,
  shard: number,
  afterBatch: () => Promise<void>,
  answers?: AnswerSink,
): Promise<Float64Array> {
  const { tf } = replica.engine;
  const { shards, evalBatchSize } = replica.config;
  const data = replica.data[split];
  const range = partition(data.count, shards, shard);
  const totals = new Float64Array(sumCount(replica));
  for (let start = range.start; start < range.end; start += evalBatchSize) {
    const count = Math.min(evalBatchSize, range.end - start);
    const indices = Int32Array.from({ length: count }, (_, i) => start + i);
    const { inputs, targets } = await readSamples(data, indices);
    tf.tidy(() => {
      const context = {
        training: false,
        step: 0,
        shards: [{ local: 0, start: 0, count }],
        gradient: () => undefined,
      };
      const given = toTensors(tf, data.inputs, inputs, count).map((tensor) => [tensor]);
      const outputs = executor.infer(context, given).map(([tensor]) => tensor as Tensor);
      const [logits] = outputs;
      if (answers && logits?.rank === 2) {
        answers.add({
          indices,
          labels: targets[0] ?? [],
          predicted: tf.argMax(logits, 1).dataSync<'int32'>(),
          logits: logits.dataSync<'float32'>(),
          inputs: inputs[0] ?? [],
          sampleShape: data.inputs[0]?.shape ?? [],
        });
      }
      const sums = replica.objective.measure(outputs, toTensors(tf, data.targets, targets, count));
      for (const [i, value] of [...sums, count].entries()) totals[i] = (totals[i] ?? 0) + value;
    });
    await afterBatch();
  }
  return totals;
}

function means({ replica: { objective } }: Pick<Evaluator, 'replica'>, sums: Float64Array): Evaluation {
  const count = sums.at(-1) ?? 0;
  const names = objective.metricNames;
  const place = names.indexOf('accuracy');
  return {
    loss: (sums[0] ?? 0) / count,
    metrics: Object.fromEntries(names.map((name, i) => [name, (sums[i + 1] ?? 0) / count])),
    correct: place < 0 ? null : (sums[place + 1] ?? 0),
    count,
  };
}
