/** Writes a sample of the user's code into the buffers of a batch, after a check of each value's type and of every length. */

import type { SampleBuffers, TensorSpec } from '../../shared/data/training-data.js';
import { DataError } from '../../shared/errors.js';
import { elementCount } from '../../shared/model/layout.js';
import { show } from './known-options.js';

/** @param place names the data set and the sample, for messages @throws DataError naming the tensor and the value's position */
export function writeSample(
  place: string,
  specs: { readonly inputs: readonly TensorSpec[]; readonly targets: readonly TensorSpec[] },
  sample: unknown,
  into: SampleBuffers,
  at: number,
): void {
  if (typeof sample !== 'object' || sample === null || sample instanceof Promise) {
    const remedy =
      sample instanceof Promise
        ? 'Use `generate` instead of `get` for samples that are read asynchronously.'
        : 'Return { inputs: [...], targets: [...] }.';
    throw new DataError(`${place}: expected { inputs, targets }, got ${show(sample)}. ${remedy}`);
  }
  const given = sample as Partial<Record<'inputs' | 'targets', unknown>>;
  for (const kind of ['inputs', 'targets'] as const) {
    const tensors = given[kind];
    const expected = specs[kind].length;
    if (!Array.isArray(tensors) || tensors.length !== expected) {
      throw new DataError(
        `${place}: expected ${kind} to be a list of ${expected}, one per tensor that the data set declares, got ${show(tensors)}.`,
      );
    }
    for (const [i, spec] of specs[kind].entries()) {
      const name = `${place}, ${kind.slice(0, -1)}${expected === 1 ? '' : ` ${i + 1}`}`;
      const values = valuesOf(name, spec, tensors[i]);
      const size = values.length;
      const buffer = into[kind][i];
      if (isNumericArray(values)) {
        buffer?.set(values, at * size);
        continue;
      }
      for (let j = 0; j < size; j++) {
        const value: unknown = values[j];
        if (typeof value !== 'number') throw wrongType(name, spec, j, value);
        if (buffer) buffer[at * size + j] = value;
      }
    }
  }
}

/** True for a typed array of numbers, which needs no check of each value's type. One of BigInt values has none. */
function isNumericArray(values: ArrayLike<unknown>): values is ArrayLike<number> {
  return ArrayBuffer.isView(values) && typeof values[0] === 'number';
}

function valuesOf(name: string, { shape }: TensorSpec, value: unknown): ArrayLike<unknown> {
  const size = elementCount(shape);
  const dimensions = `${size} ${size === 1 ? 'number' : 'numbers'} (${shape.join('x') || 'one'})`;
  if (typeof value === 'object' && value !== null && 'length' in value) {
    const values = value as ArrayLike<unknown>;
    if (values.length === size) return values;
    const nested = Array.isArray(values[0]) ? ' lists. Write the numbers of all dimensions in one list' : '';
    throw new DataError(`${name}: expected ${dimensions}, got ${values.length}${nested}.`);
  }
  if (size === 1) return [value];
  throw new DataError(`${name}: expected ${dimensions}, got ${show(value)}.`);
}

function wrongType(name: string, { dtype, classes }: TensorSpec, at: number, value: unknown): DataError {
  const expected =
    classes === undefined
      ? dtype === 'int32'
        ? 'a whole number'
        : 'a number'
      : `a class number from 0 to ${classes - 1}`;
  const remedy =
    typeof value === 'string' && classes !== undefined
      ? 'Map each label to its number, and give the labels as `classNames`.'
      : 'Convert the value.';
  return new DataError(`${name}: expected ${expected} at position ${at}, got ${show(value)}. ${remedy}`);
}
