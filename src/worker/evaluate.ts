/**
 * Distributed evaluation: each sample of a split exactly once, by the worker that owns its shard, with the running
 * statistics. Sums are kept a shard and combined in the shard tree, so the result doesn't depend on the workers.
 */

import type { Tensor2D } from '@tensorflow/tfjs';
import { partition } from '../shared/sharding/ranges.js';
import type { Participation } from './replica.js';
import { readSamples, sum } from './train-step.js';

export interface Evaluation {
  /** Mean over the split. */
  readonly loss: number;
  readonly correct: number;
  readonly count: number;
}

/** Yields between batches, so that the caller can attend to its event loop; the last value is the result. */
export async function evaluate(
  { replica, executor, evaluation, localShards, communicator }: Participation,
  split: 'train' | 'test',
  step: number,
  breathe: () => Promise<void>,
): Promise<Evaluation> {
  const { tf } = replica.engine;
  const { shards, evalBatchSize } = replica.config;
  const data = replica.data[split];
  for (let shard = localShards.start; shard < localShards.end; shard++) {
    const range = partition(data.count, shards, shard);
    const totals = evaluation.inputs[shard - localShards.start];
    totals?.fill(0);
    for (let start = range.start; start < range.end; start += evalBatchSize) {
      const count = Math.min(evalBatchSize, range.end - start);
      const indices = Int32Array.from({ length: count }, (_, i) => start + i);
      const { inputs, labels, shape } = readSamples(data, indices);
      tf.tidy(() => {
        const context = { training: false, step: 0, shards: [{ local: 0, start: 0, count }], gradient: () => undefined };
        const [[logits] = []] = executor.infer(context, [[tf.tensor(inputs, shape)]]);
        const labelTensor = tf.tensor1d(labels, 'int32');
        const { losses } = replica.kernels.softmaxCrossEntropy(logits as Tensor2D, labelTensor);
        const correct = tf.sum(tf.equal(tf.argMax(logits as Tensor2D, 1), labelTensor).cast('int32'));
        if (totals) {
          totals[0] = (totals[0] ?? 0) + sum(losses);
          totals[1] = (totals[1] ?? 0) + (correct.dataSync()[0] ?? 0);
          totals[2] = (totals[2] ?? 0) + count;
        }
      });
      communicator.tick();
      await breathe();
    }
  }
  evaluation.start(step);
  evaluation.wait();
  const [loss = 0, correct = 0, count = 0] = evaluation.output;
  return { loss: loss / count, correct, count };
}
