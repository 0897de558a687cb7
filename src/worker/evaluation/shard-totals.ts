/** Evaluates the samples of one shard of a split and sums their losses and metrics. */

import type { Tensor } from '@tensorflow/tfjs-core';
import { partition } from '../../shared/sharding/ranges.js';
import { readSamples, toTensors, type Samples } from '../data/batch-reader.js';
import type { Executor } from '../executor/executor.js';
import type { Interruptible } from '../mailbox.js';
import type { Replica } from '../training/replica.js';
import type { AnswerSink } from './misclassified-collector.js';

export type Split = 'train' | 'test';

/** The part of a worker that an evaluation uses. */
export interface Evaluator {
  readonly replica: Pick<Replica, 'engine' | 'config' | 'data' | 'objective'>;
  readonly executor: Pick<Executor, 'infer'>;
}

/** Number of totals per shard: the sums of the objective, and the number of samples. */
export function sumCount({ objective }: Pick<Replica, 'objective'>): number {
  return objective.sumCount + 1;
}

/**
 * Evaluates one shard in batches of `evalBatchSize`, with the running statistics. Leaves no tensors behind.
 * @param mailbox interrupts the evaluation while samples are read and after each batch; undefined: nothing interrupts it
 * @param answers receives the predictions of a model with one output [batch, classes]
 * @returns [sums of the objective ..., number of samples]
 */
export async function shardTotals(
  evaluator: Evaluator,
  split: Split,
  shard: number,
  mailbox: Interruptible | undefined,
  answers?: AnswerSink,
): Promise<Float64Array> {
  const { replica } = evaluator;
  const { tf } = replica.engine;
  const { shards, evalBatchSize } = replica.config;
  const data = replica.data[split];
  const range = partition(data.count, shards, shard);
  const totals = new Float64Array(sumCount(replica));
  for (let start = range.start; start < range.end; start += evalBatchSize) {
    const count = Math.min(evalBatchSize, range.end - start);
    const indices = Int32Array.from({ length: count }, (_, i) => start + i);
    const read = Promise.resolve(readSamples(data, indices));
    const samples = await (mailbox?.during(read) ?? read);
    tf.tidy(() => {
      const sums = batchSums(evaluator, split, indices, samples, answers);
      for (const [i, value] of [...sums, count].entries()) totals[i] = (totals[i] ?? 0) + value;
    });
    await mailbox?.yieldToEventLoop();
  }
  return totals;
}

/** The sums of the losses and metrics of one batch. Must run inside a tidy. */
function batchSums(
  { replica, executor }: Evaluator,
  split: Split,
  indices: Int32Array,
  { inputs, targets, count }: Samples,
  answers: AnswerSink | undefined,
): Float64Array {
  const { tf } = replica.engine;
  const data = replica.data[split];
  const context = {
    training: false,
    step: 0,
    shards: [{ local: 0, start: 0, count }],
    gradient: () => undefined,
  };
  const inputTensors = toTensors(tf, data.inputs, inputs, count).map((tensor) => [tensor]);
  const outputs = executor.infer(context, inputTensors).map(([tensor]) => tensor as Tensor);
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
  return replica.objective.measure(outputs, toTensors(tf, data.targets, targets, count));
}
