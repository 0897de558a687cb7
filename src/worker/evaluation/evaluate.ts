/**
 * Evaluates each sample of a split exactly once. The shards are distributed over the workers; sums are kept per shard and
 * combined in the shard tree, so the result does not depend on the number of workers.
 */

import { combine, portable } from '../../shared/collectives/reduction.js';
import { DataError } from '../../shared/errors.js';
import { foldTree, rootLevel } from '../../shared/sharding/tree.js';
import type { Interruptible } from '../mailbox.js';
import type { EvaluationContext } from '../training/generation-context.js';
import type { AnswerSink } from './misclassified-collector.js';
import type { Results } from '../objective/objective.js';
import { shardTotals, type Evaluator, type Split } from './shard-totals.js';

export interface Evaluation extends Results {
  /** Number of samples. */
  readonly count: number;
}

/**
 * Evaluates this worker's shards and combines the sums of all workers; every worker of the generation must call it.
 * Communicates one all-reduce of a few float64 values.
 * @param mailbox interrupts the evaluation while samples are read and after each batch
 * @param answers receives the predictions for this worker's own samples
 * @throws GenerationEnded if the generation ends before the sums of all workers are combined
 */
export async function evaluate(
  context: EvaluationContext,
  split: Split,
  step: number,
  mailbox: Interruptible,
  answers?: AnswerSink,
): Promise<Evaluation> {
  const { evaluation, localShards, communicator } = context;
  const ticking: Interruptible = {
    during: (work) => mailbox.during(work),
    yieldToEventLoop: () => {
      communicator.tick();
      return mailbox.yieldToEventLoop();
    },
  };
  for (let shard = localShards.start; shard < localShards.end; shard++) {
    const totals = await shardTotals(context, split, shard, ticking, answers);
    evaluation.inputs[shard - localShards.start]?.set(totals);
  }
  evaluation.start(step);
  evaluation.wait();
  return resultsOf(context, evaluation.output as Float64Array);
}

/**
 * Computes the same numbers, to the bit, in one process that evaluates every shard.
 * @param answers receives the predictions for all samples
 */
export async function evaluateAlone(
  evaluator: Evaluator,
  split: Split,
  answers?: AnswerSink,
): Promise<Evaluation> {
  const { data, config } = evaluator.replica;
  const { shards } = config;
  if (data[split].count === 0)
    throw new DataError(
      `${data.name}: expected a ${split} set to evaluate, got none. Evaluate its training set with --split train.`,
    );
  const totals: Float64Array[] = [];
  for (let shard = 0; shard < shards; shard++) {
    totals.push(await shardTotals(evaluator, split, shard, undefined, answers));
  }
  const leaf = ({ level, index }: { level: number; index: number }): Float64Array | undefined =>
    level === 0 ? totals[index] : undefined;
  const root = { level: rootLevel(shards), index: 0 };
  const sums = foldTree(root, shards, leaf, (left, right) =>
    combine('sum-float64', portable, left, left, right),
  );
  return resultsOf(evaluator, sums);
}

function resultsOf({ replica: { objective } }: Pick<Evaluator, 'replica'>, sums: Float64Array): Evaluation {
  const count = sums.at(-1) ?? 0;
  return { ...objective.results(sums, count), count };
}
