/**
 * Checks every value of a data set before it reaches a kernel, at each read of a sample. Samples in memory are also read once before
 * the first step, so that a wrong value ends the run before it starts.
 */

import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { RunConfig } from '../../shared/config/run-config.js';
import {
  withFill,
  type DataSplit,
  type SampleBuffers,
  type TensorSpec,
  type TrainingData,
} from '../../shared/data/training-data.js';
import { DataError } from '../../shared/errors.js';
import { elementCount } from '../../shared/model/layout.js';
import { readSamples } from './batch-reader.js';
import { expectedBy, firstViolation, isRestricted, rulesOf, type ValueRule } from './value-rules.js';

/** Longest duration of the check before the first step. Samples that it does not reach are checked when they are read. */
const aheadMs = 2_000;
/** Approximate number of values per read of the check before the first step. */
const valuesPerRead = 2 ** 18;

/**
 * Returns the data with splits that check each sample that they read. Data whose source has checked the values (`verified`) are
 * checked only against what the model adds, such as the size of an Embedding.
 */
export function withChecks(
  data: TrainingData,
  model: LayersModel,
  config: Pick<RunConfig, 'loss'>,
): TrainingData {
  const checked = (split: DataSplit, label: string): DataSplit => {
    const rules = rulesOf(split, model, config);
    const all = (values: readonly ValueRule[], specs: readonly TensorSpec[]): (ValueRule | undefined)[] =>
      values.map((rule, i) =>
        split.verified === true && !isRestricted(rule, specs[i] as TensorSpec) ? undefined : rule,
      );
    const inputs = all(rules.inputs, split.inputs);
    const targets = all(rules.targets, split.targets);
    if ([...inputs, ...targets].every((rule) => rule === undefined)) return split;
    const check = (indices: Int32Array, buffers: SampleBuffers): void => {
      for (const [kind, group] of [['inputs', inputs] as const, ['targets', targets] as const]) {
        for (const [i, rule] of group.entries()) {
          if (rule) checkTensor(`${data.name}, ${label}`, split, indices, buffers[kind][i] ?? [], rule);
        }
      }
    };
    return withFill(split, (indices, into) => fillChecked(split, indices, into, check));
  };
  return {
    ...data,
    train: checked(data.train, 'training sample'),
    test: checked(data.test, 'test sample'),
  };
}

/**
 * Reads the samples of both splits once, so that a wrong value ends the run before its first step. Stops after two seconds, or
 * after one sample if `fill` returns a promise, because such samples are not in memory.
 * @throws DataError naming the sample and the value
 */
export async function checkAhead({ train, test }: TrainingData): Promise<void> {
  const end = performance.now() + aheadMs;
  for (const split of [train, test]) {
    if (split.verified === true) continue;
    const size = [...split.inputs, ...split.targets].reduce((sum, { shape }) => sum + elementCount(shape), 0);
    const most = Math.min(split.count, Math.max(1, Math.floor(valuesPerRead / size)));
    for (let start = 0; start < split.count && performance.now() < end;) {
      // The first read shows whether the samples are in memory.
      const count = start === 0 ? 1 : Math.min(most, split.count - start);
      const samples = readSamples(
        split,
        Int32Array.from({ length: count }, (_, i) => start + i),
      );
      if (samples instanceof Promise) {
        await samples;
        break;
      }
      start += count;
    }
  }
}

/**
 * Fills int32 tensors through float64 buffers, because an Int32Array would truncate a fraction and turn text into 0 before the
 * value could be checked.
 */
function fillChecked(
  split: DataSplit,
  indices: Int32Array,
  into: SampleBuffers,
  check: (indices: Int32Array, buffers: SampleBuffers) => void,
): void | Promise<void> {
  const wide = (values: SampleBuffers['inputs'][number]) =>
    values instanceof Int32Array ? new Float64Array(values.length) : values;
  const buffers = { inputs: into.inputs.map(wide), targets: into.targets.map(wide) };
  const finish = (): void => {
    check(indices, buffers);
    for (const kind of ['inputs', 'targets'] as const) {
      for (const [i, values] of buffers[kind].entries()) {
        if (values !== into[kind][i]) into[kind][i]?.set(values);
      }
    }
  };
  const filled = split.fill(indices, buffers);
  if (filled instanceof Promise) return filled.then(finish);
  finish();
}

/** @throws DataError naming the first value of `values` that violates the rule */
function checkTensor(
  place: string,
  split: DataSplit,
  indices: Int32Array,
  values: ArrayLike<number>,
  rule: ValueRule,
): void {
  const at = firstViolation(values, rule);
  if (at < 0) return;
  const size = elementCount(rule.shape);
  const index = indices[Math.floor(at / size)] ?? 0;
  const value = values[at] ?? Number.NaN;
  const origin = split.origin?.(index);
  const where = `${place} ${index}${origin === undefined ? '' : ` (${origin})`}, ${rule.tensor}${positionIn(rule.shape, at % size)}`;
  throw new DataError(`${where}: expected ${expectedBy(rule)}, got ${value}. ${rule.remedy(value)}`, {
    index,
    value: String(value),
    tensor: rule.tensor,
  });
}

/** Describes the position in a sample's tensor, for example " at [3, 0]"; nothing for a tensor of one value. */
function positionIn(shape: readonly number[], at: number): string {
  if (elementCount(shape) === 1) return '';
  const indices: number[] = [];
  for (const size of [...shape].reverse()) {
    indices.unshift(at % size);
    at = Math.floor(at / size);
  }
  return ` at [${indices.join(', ')}]`;
}
