/**
 * Evaluation: each sample of a split exactly once, with the running statistics; distributed over the workers that own the
 * shards. Sums are kept a shard and combined in the shard tree, so the result doesn't depend on the workers.
 */

import type { Tensor2D } from '@tensorflow/tfjs';
import { combine, portable } from '../shared/collectives/reduction.js';
import { partition } from '../shared/sharding/ranges.js';
import { foldTree, rootLevel } from '../shared/sharding/tree.js';
import type { Executor } from './executor/executor.js';
import type { Participation, Replica } from './replica.js';
import { readSamples, sum } from './train-step.js';

export interface Evaluation {
  /** Mean over the split. */
  readonly loss: number;
  readonly correct: number;
  readonly count: number;
}

export type Split = 'train' | 'test';

/** What an evaluation needs of a worker. */
export interface Evaluator {
  readonly replica: Pick<Replica, 'engine' | 'config' | 'kernels' | 'data'>;
  readonly executor: Pick<Executor, 'infer'>;
}

/** Calls `breathe` between batches, so that the caller can attend to its event loop. */
export async function evaluate(
  participation: Participation,
  split: Split,
  step: number,
  breathe: () => Promise<void>,
): Promise<Evaluation> {
  const { evaluation, localShards, communicator } = participation;
  for (let shard = localShards.start; shard < localShards.end; shard++) {
    const totals = await shardTotals(participation, split, shard, async () => {
      communicator.tick();
      await breathe();
    });
    evaluation.inputs[shard - localShards.start]?.set(totals);
  }
  evaluation.start(step);
  evaluation.wait();
  return means(evaluation.output as Float64Array);
}

/** The same numbers, to the bit, from one process that computes every shard. */
export async function evaluateAlone(evaluator: Evaluator, split: Split): Promise<Evaluation> {
  const { shards } = evaluator.replica.config;
  const totals: Float64Array[] = [];
  for (let shard = 0; shard < shards; shard++) {
    totals.push(await shardTotals(evaluator, split, shard, () => Promise.resolve()));
  }
  const leaf = ({ level, index }: { level: number; index: number }): Float64Array | undefined =>
    level === 0 ? totals[index] : undefined;
  const root = { level: rootLevel(shards), index: 0 };
  return means(
    foldTree(root, shards, leaf, (left, right) => combine('sum-float64', portable, left, left, right)),
  );
}

/** [sum of losses, correct, count] of one shard. */
async function shardTotals(
  { replica, executor }: Evaluator,
  split: Split,
  shard: number,
  afterBatch: () => Promise<void>,
): Promise<Float64Array> {
  const { tf } = replica.engine;
  const { shards, evalBatchSize } = replica.config;
  const data = replica.data[split];
  const range = partition(data.count, shards, shard);
  const totals = new Float64Array(3);
  for (let start = range.start; start < range.end; start += evalBatchSize) {
    const count = Math.min(evalBatchSize, range.end - start);
    const indices = Int32Array.from({ length: count }, (_, i) => start + i);
    const { inputs, labels, shape } = readSamples(data, indices);
    tf.tidy(() => {
      const context = {
        training: false,
        step: 0,
        shards: [{ local: 0, start: 0, count }],
        gradient: () => undefined,
      };
      const [[logits] = []] = executor.infer(context, [[tf.tensor(inputs, shape)]]);
      const labelTensor = tf.tensor1d(labels, 'int32');
      const { losses } = replica.kernels.softmaxCrossEntropy(logits as Tensor2D, labelTensor);
      const correct = tf.sum(tf.equal(tf.argMax(logits as Tensor2D, 1), labelTensor).cast('int32'));
      const batch = [sum(losses), correct.dataSync()[0] ?? 0, count];
      batch.forEach((value, i) => (totals[i] = (totals[i] ?? 0) + value));
    });
    await afterBatch();
  }
  return totals;
}

function means([loss = 0, correct = 0, count = 0]: Float64Array): Evaluation {
  return { loss: loss / count, correct, count };
}
