/** The range of each value of a sample, as the data's description, the model and the loss define it, and the check of one value. */

import type { LayersModel } from '@tensorflow/tfjs-layers';
import { float32Max } from '../../shared/arithmetic/finite.js';
import { lossOfOutputs } from '../../shared/config/loss-config.js';
import type { RunConfig } from '../../shared/config/run-config.js';
import type { DataSplit, TensorSpec } from '../../shared/data/training-data.js';
import { buildGraph } from '../executor/graph.js';
import { fieldsOf, type Layer } from '../executor/layer.js';

/** Rule of all values of one tensor. */
export interface ValueRule {
  /** Name in messages, for example "input 2". */
  readonly tensor: string;
  readonly shape: readonly number[];
  /** A term for one value, for example "a class number". */
  readonly kind: string;
  readonly integer: boolean;
  readonly min: number;
  /** Largest permitted value. */
  readonly max: number;
  readonly remedy: (value: number) => string;
}

export interface SplitRules {
  readonly inputs: readonly ValueRule[];
  readonly targets: readonly ValueRule[];
}

/** @param config losses of the model's outputs */
export function rulesOf(
  { inputs, targets }: Pick<DataSplit, 'inputs' | 'targets'>,
  model: LayersModel,
  config: Pick<RunConfig, 'loss'>,
): SplitRules {
  const tokens = tokenCounts(model);
  const names = model.outputs.map((output) => output.sourceLayer.name);
  const losses = lossOfOutputs(config.loss, names);
  const name = (kind: string, specs: readonly unknown[], i: number): string =>
    specs.length === 1 ? kind : `${kind} ${i + 1}`;
  return {
    inputs: inputs.map((spec, i) => {
      const count = tokens[i];
      const tensor = name('input', inputs, i);
      return count === undefined ? plainRule(tensor, spec) : tokenRule(tensor, spec, count);
    }),
    targets: targets.map((spec, i) => {
      const tensor = name('target', targets, i);
      const loss = losses[i]?.kind;
      const units = model.outputs[i]?.shape.at(-1) ?? 0;
      const classes = spec.classes ?? (loss === 'softmaxCrossEntropy' && units > 0 ? units : undefined);
      if (classes !== undefined) return classRule(tensor, spec, classes);
      return loss === 'binaryCrossEntropy' ? probabilityRule(tensor, spec) : plainRule(tensor, spec);
    }),
  };
}

/** The rule that the description of a tensor defines by itself. */
export function specRule(tensor: string, spec: TensorSpec): ValueRule {
  return spec.classes === undefined ? plainRule(tensor, spec) : classRule(tensor, spec, spec.classes);
}

/** True if the values of a tensor are restricted further than by its type and its classes. */
export function isRestricted(rule: ValueRule, { classes }: TensorSpec): boolean {
  const known = classes === undefined ? [plainMin(rule.integer), plainMax(rule.integer)] : [0, classes - 1];
  return rule.min !== known[0] || rule.max !== known[1];
}

/** Returns the position of the first value that violates the rule; -1 if there is none. */
export function firstViolation(values: ArrayLike<number>, { integer, min, max }: ValueRule): number {
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    // NaN fails both comparisons.
    if (!(value >= min && value <= max) || (integer && !Number.isInteger(value))) return i;
  }
  return -1;
}

/** Describes a permitted value, for example "a class number from 0 to 2". */
export function expectedBy({ kind, min, max }: ValueRule): string {
  return max === plainMax(false) || max === plainMax(true) ? kind : `${kind} from ${min} to ${max}`;
}

const plainMax = (integer: boolean): number => (integer ? 2 ** 31 - 1 : float32Max);
const plainMin = (integer: boolean): number => (integer ? -(2 ** 31) : -float32Max);

function plainRule(tensor: string, { shape, dtype }: TensorSpec): ValueRule {
  const integer = dtype === 'int32';
  return {
    tensor,
    shape,
    integer,
    min: plainMin(integer),
    max: plainMax(integer),
    kind: integer ? 'a whole number of 32 bits' : 'a finite number',
    remedy: () =>
      integer
        ? "Correct the value, or declare the tensor's dtype as float32."
        : 'Correct or remove the sample.',
  };
}

function classRule(tensor: string, { shape }: TensorSpec, classes: number): ValueRule {
  return {
    tensor,
    shape,
    integer: true,
    min: 0,
    max: classes - 1,
    kind: 'a class number',
    remedy: (value) => {
      if (value === classes) return 'Class numbers start at 0: subtract 1 from each, or raise `classes`.';
      return 'Number the classes 0, 1, 2, ..., and set `classes` to their count.';
    },
  };
}

function tokenRule(tensor: string, { shape }: TensorSpec, count: number): ValueRule {
  return {
    tensor,
    shape,
    integer: true,
    min: 0,
    max: count - 1,
    kind: "an index of the model's Embedding",
    remedy: (value) =>
      Number.isInteger(value) && value >= count
        ? `Set the Embedding's inputDim to more than the largest index, or replace rare tokens by one index.`
        : 'Indices are whole numbers from 0; correct the value.',
  };
}

function probabilityRule(tensor: string, { shape }: TensorSpec): ValueRule {
  return {
    tensor,
    shape,
    integer: false,
    min: 0,
    max: 1,
    kind: 'a probability',
    remedy: () => 'binaryCrossEntropy needs targets from 0 to 1; convert them, or choose another loss.',
  };
}

/** Layers whose output consists of values of their input. */
const passing = new Set(['Reshape', 'Flatten', 'Permute', 'RepeatVector', 'Cropping2D']);

/** Returns the smallest `inputDim` of the Embedding layers that read each input of the model; undefined without one. */
function tokenCounts(model: LayersModel): (number | undefined)[] {
  const { inputs, nodes } = buildGraph(model);
  return inputs.map((input) => {
    const carried = new Set([input]);
    const counts: number[] = [];
    // The nodes are in topological order.
    for (const { layer, inputs: read, outputs } of nodes) {
      if (!read.some((value) => carried.has(value))) continue;
      const count = embeddingSize(layer);
      if (count !== undefined) counts.push(count);
      else if (passing.has(layer.getClassName())) for (const output of outputs) carried.add(output);
    }
    return counts.length === 0 ? undefined : Math.min(...counts);
  });
}

/** Returns the `inputDim` of an Embedding, also inside TimeDistributed. */
function embeddingSize(layer: Layer): number | undefined {
  const { layer: inner } = fieldsOf<{ readonly layer?: Layer }>(layer);
  if (layer.getClassName() === 'TimeDistributed' && inner) return embeddingSize(inner);
  if (layer.getClassName() !== 'Embedding') return undefined;
  return fieldsOf<{ readonly inputDim: number }>(layer).inputDim;
}
