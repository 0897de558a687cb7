/**
 * Finds the first difference between two runs. Within a step, values are compared in the order in which they are computed (the
 * shards' losses, their gradients, then the weights), so that the cause is reported and not its consequences.
 */

import type { RunLedger, StepRecord } from './read-ledger.js';

export interface Difference {
  readonly step: number;
  readonly kind: 'parameters' | 'shards' | 'loss' | 'gradient' | 'weights' | 'statistics' | 'workers';
  readonly shard?: number;
  readonly parameter?: string;
  /** Number of other parameters of the same shard that differ in this step. */
  readonly others?: number;
  readonly a: string;
  readonly b: string;
}

export interface Comparison {
  /** Number of steps that both runs have. */
  readonly steps: number;
  /** Number of shards in these steps whose entries one of the runs lacks, for example because a worker was killed. */
  readonly missing: number;
  readonly difference: Difference | undefined;
}

export function compareLedgers(a: RunLedger, b: RunLedger): Comparison {
  const common = [...a.steps.keys()].filter((step) => b.steps.has(step)).sort((x, y) => x - y);
  const [names, others] = [a.parameters.join(', '), b.parameters.join(', ')];
  // Hashes of different models cannot be compared.
  if (names !== others) {
    const difference = { step: 0, kind: 'parameters', a: names, b: others } as const;
    return { steps: common.length, missing: 0, difference };
  }
  if (a.shardCount !== b.shardCount && common[0] !== undefined) {
    const [x, y] = [`${a.shardCount} shards`, `${b.shardCount} shards`];
    return {
      steps: common.length,
      missing: 0,
      difference: { step: common[0], kind: 'shards', a: x, b: y },
    };
  }
  let missing = 0;
  for (const step of common) {
    const [left, right] = [a.steps.get(step), b.steps.get(step)];
    const difference = left && right && compareStep(step, left, right, a.parameters);
    if (difference) return { steps: common.length, missing, difference };
    missing += 2 * a.shardCount - (left?.shards.size ?? 0) - (right?.shards.size ?? 0);
  }
  return { steps: common.length, missing, difference: undefined };
}

function compareStep(
  step: number,
  a: StepRecord,
  b: StepRecord,
  parameters: readonly string[],
): Difference | undefined {
  const shards = [...a.shards.keys()].filter((shard) => b.shards.has(shard)).sort((x, y) => x - y);
  for (const shard of shards) {
    const [left, right] = [a.shards.get(shard)?.loss, b.shards.get(shard)?.loss];
    if (!Object.is(left, right)) return { step, kind: 'loss', shard, a: String(left), b: String(right) };
  }
  for (const shard of shards) {
    const [left = '', right = ''] = [a.shards.get(shard)?.gradients, b.shards.get(shard)?.gradients];
    const difference = firstDifference(left, right, parameters);
    if (difference) return { step, kind: 'gradient', shard, ...difference };
  }
  const [left, right] = [weightsOf(step, a, parameters), weightsOf(step, b, parameters)];
  if (typeof left === 'object') return left;
  if (typeof right === 'object') return right;
  if (left === undefined || right === undefined || left === right) return undefined;
  const difference = firstDifference(left, right, parameters);
  if (difference) return { step, kind: 'weights', ...difference };
  const statistics = 16 * parameters.length;
  return { step, kind: 'statistics', a: left.slice(statistics), b: right.slice(statistics) };
}

/** Returns the first parameter whose hash differs, and the number of other ones. */
function firstDifference(
  left: string,
  right: string,
  parameters: readonly string[],
): Pick<Difference, 'parameter' | 'others' | 'a' | 'b'> | undefined {
  if (left === right) return undefined;
  const hash = (hashes: string, i: number): string => hashes.slice(16 * i, 16 * i + 16);
  const different = parameters.flatMap((parameter, i) =>
    hash(left, i) === hash(right, i) ? [] : [{ parameter, a: hash(left, i), b: hash(right, i) }],
  );
  const [first] = different;
  return first && { ...first, others: different.length - 1 };
}

/** Returns the hashes of a run's weights after a step, or a difference if the run's own workers do not agree. */
function weightsOf(
  step: number,
  { weights }: StepRecord,
  parameters: readonly string[],
): string | Difference | undefined {
  const [first, ...rest] = [...weights];
  const other = rest.find(([, hash]) => hash !== first?.[1]);
  if (!first || !other) return first?.[1];
  const { parameter = "BatchNorm's statistics" } = firstDifference(first[1], other[1], parameters) ?? {};
  return { step, kind: 'workers', parameter, a: `rank ${first[0]}`, b: `rank ${other[0]}` };
}
