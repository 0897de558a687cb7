/**
 * The tensors of a checkpoint's state file. They are cut from the named vectors of the training state: one tensor per weight,
 * `VECTOR/WEIGHT` for the other vectors (such as `adam.first/dense/kernel`), and one float64 `number/NAME` per number of the
 * scheduler state.
 */

import { CheckpointError } from '../errors.js';
import { elementCount } from '../model/layout.js';
import type { NamedVectors, VectorName } from '../model/named-vectors.js';
import type { NamedTensor } from './safetensors.js';

const numberPrefix = 'number/';

/** The position of one tensor of the file in a vector of the training state. */
export interface TensorSlice {
  /** The tensor's name in the file. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly vector: VectorName;
  /** Elements of the vector before the tensor. */
  readonly offset: number;
}

/** Every tensor of a model's training state, in the order of the file. Each vector is covered without gaps. */
export type StateLayout = readonly TensorSlice[];

/** A training state outside of a replica. */
export interface CheckpointState {
  readonly vectors: NamedVectors;
  /** Numbers of the learning-rate schedule and of early stopping, by name. */
  readonly schedulerState: ReadonlyMap<string, number>;
}

/** The tensors are views of the state's vectors. */
export function tensorsOf(
  layout: StateLayout,
  { vectors, schedulerState }: CheckpointState,
): Map<string, NamedTensor> {
  const tensors = new Map<string, NamedTensor>();
  for (const { name, shape, vector, offset } of layout) {
    const values = vectors.get(vector) ?? new Float32Array(0);
    tensors.set(name, { shape, values: values.subarray(offset, offset + elementCount(shape)) });
  }
  for (const [name, value] of schedulerState)
    tensors.set(`${numberPrefix}${name}`, { shape: [], values: Float64Array.of(value) });
  return tensors;
}

/**
 * Joins the tensors of a file to new vectors.
 * @param numbers names of the scheduler state's numbers
 * @param path the checkpoint, for errors
 * @throws CheckpointError naming the first tensor that is missing or has another shape or type
 */
export function stateOf(
  layout: StateLayout,
  numbers: readonly string[],
  tensors: ReadonlyMap<string, NamedTensor>,
  path: string,
): CheckpointState {
  const wrong = (name: string, expected: string): CheckpointError => {
    const got = tensors.get(name)?.shape.join('x') ?? 'none';
    return new CheckpointError(`${path}: expected "${name}" of ${expected}, got ${got}.`);
  };
  const vectors = new Map([...lengthsOf(layout)].map(([name, length]) => [name, new Float32Array(length)]));
  for (const { name, shape, vector, offset } of layout) {
    const found = tensors.get(name);
    const fits = found?.values instanceof Float32Array && found.shape.join('x') === shape.join('x');
    if (!fits) throw wrong(name, `${shape.join('x')} in float32`);
    vectors.get(vector)?.set(found.values, offset);
  }
  const number = (name: string): number => {
    const values = tensors.get(`${numberPrefix}${name}`)?.values;
    if (values instanceof Float64Array && values.length === 1) return values[0] as number;
    throw wrong(`${numberPrefix}${name}`, 'one number in float64');
  };
  return { vectors, schedulerState: new Map(numbers.map((name) => [name, number(name)])) };
}

function lengthsOf(layout: StateLayout): Map<VectorName, number> {
  const lengths = new Map<VectorName, number>();
  for (const { shape, vector, offset } of layout)
    lengths.set(vector, Math.max(lengths.get(vector) ?? 0, offset + elementCount(shape)));
  return lengths;
}
