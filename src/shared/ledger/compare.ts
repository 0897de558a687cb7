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
    if (left === right) continue;
    const hash = (of: string, i: number): string => of.slice(16 * i, 16 * i + 16);
    const different = parameters.flatMap((name, i) =>
      hash(left, i) === hash(right, i) ? [] : [{ name, a: hash(left, i), b: hash(right, i) }],
    );
    const [first] = different;
    if (!first) continue;
    const { name: parameter, ...hashes } = first;
    return { step, what: 'gradient', shard, parameter, others: different.length - 1, ...hashes };
  }
  const [left, right] = [weightsOf(step, a), weightsOf(step, b)];
  if (typeof left === 'object') return left;
  if (typeof right === 'object') return right;
  if (left === undefined || right === undefined || left === right) return undefined;
  const what = left.slice(0, 16) === right.slice(0, 16) ? 'statistics' : 'weights';
  return { step, what, a: left, b: right };
}

/** A run's weights after a step; a difference when its own workers don't agree. */
function weightsOf(step: number, { weights }: StepRecord): string | Difference | undefined {
  const [first, ...rest] = [...weights];
  const other = rest.find(([, hash]) => hash !== first?.[1]);
  if (!first || !other) return first?.[1];
  return { step, what: 'workers', a: `rank ${first[0]}: ${first[1]}`, b: `rank ${other[0]}: ${other[1]}` };
}
