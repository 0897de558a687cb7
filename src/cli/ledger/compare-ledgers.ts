/**
 * Where two runs first part. Pure. Looks at each step in the order in which things happen: the shards' losses, their
 * gradients, then the weights; so what is named is the cause and not what came of it.
 */

import type { RunLedger, StepRecord } from './read-ledger.js';

export interface Difference {
  readonly step: number;
  readonly what: 'parameters' | 'shards' | 'loss' | 'gradient' | 'weights' | 'statistics' | 'workers';
  readonly shard?: number;
  readonly parameter?: string;
  /** How many other parameters of the same shard differ in this step. */
  readonly others?: number;
  readonly a: string;
  readonly b: string;
}

export interface Comparison {
  /** Steps that both have. */
  readonly steps: number;
  readonly difference: Difference | undefined;
}

export function compareLedgers(a: RunLedger, b: RunLedger): Comparison {
  const common = [...a.steps.keys()].filter((step) => b.steps.has(step)).sort((x, y) => x - y);
  const [names, others] = [a.parameters.join(', '), b.parameters.join(', ')];
  // Of two models no hash can be compared, and a name would be another's.
  if (names !== others) {
    return { steps: common.length, difference: { step: 0, what: 'parameters', a: names, b: others } };
  }
  for (const step of common) {
    const [left, right] = [a.steps.get(step), b.steps.get(step)];
    const difference = left && right && compareStep(step, left, right, a.parameters);
    if (difference) return { steps: common.length, difference };
  }
  return { steps: common.length, difference: undefined };
}

function compareStep(
  step: number,
  a: StepRecord,
  b: StepRecord,
  parameters: readonly string[],
): Difference | undefined {
  const shards = [...a.shards.keys()].sort((x, y) => x - y);
  const others = [...b.shards.keys()].sort((x, y) => x - y);
  if (shards.join() !== others.join())
    return { step, what: 'shards', a: `shards ${shards.join(', ')}`, b: `shards ${others.join(', ')}` };
  for (const shard of shards) {
    const [left, right] = [a.shards.get(shard)?.loss, b.shards.get(shard)?.loss];
    if (!Object.is(left, right)) return { step, what: 'loss', shard, a: String(left), b: String(right) };
  }
  for (const shard of shards) {
    const [left = '', right = ''] = [a.shards.get(shard)?.gradients, b.shards.get(shard)?.gradients];
    const difference = firstOf(left, right, parameters);
    if (difference) return { step, what: 'gradient', shard, ...difference };
  }
  const [left, right] = [weightsOf(step, a, parameters), weightsOf(step, b, parameters)];
  if (typeof left === 'object') return left;
  if (typeof right === 'object') return right;
  if (left === undefined || right === undefined || left === right) return undefined;
  const difference = firstOf(left, right, parameters);
  if (difference) return { step, what: 'weights', ...difference };
  const statistics = 16 * parameters.length;
  return { step, what: 'statistics', a: left.slice(statistics), b: right.slice(statistics) };
}

/** The first parameter whose hash differs, and how many others' do. */
function firstOf(
  left: string,
  right: string,
  parameters: readonly string[],
): Pick<Difference, 'parameter' | 'others' | 'a' | 'b'> | undefined {
  if (left === right) return undefined;
  const hash = (of: string, i: number): string => of.slice(16 * i, 16 * i + 16);
  const different = parameters.flatMap((parameter, i) =>
    hash(left, i) === hash(right, i) ? [] : [{ parameter, a: hash(left, i), b: hash(right, i) }],
  );
  const [first] = different;
  return first && { ...first, others: different.length - 1 };
}

/** A run's weights after a step; a difference when its own workers don't agree. */
function weightsOf(
  step: number,
  { weights }: StepRecord,
  parameters: readonly string[],
): string | Difference | undefined {
  const [first, ...rest] = [...weights];
  const other = rest.find(([, hash]) => hash !== first?.[1]);
  if (!first || !other) return first?.[1];
  const { parameter = "BatchNorm's statistics" } = firstOf(first[1], other[1], parameters) ?? {};
  return { step, what: 'workers', parameter, a: `rank ${first[0]}`, b: `rank ${other[0]}` };
}
