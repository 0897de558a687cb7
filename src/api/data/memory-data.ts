/** Data sets in memory: flat lists of values with the shape of a sample. Shared by `arrays`, `tensors` and `fromDataset`. */

import { createHash } from 'node:crypto';
import type { DataSplit, SourceData, TensorSpec } from '../../shared/data/training-data.js';
import { DataError } from '../../shared/errors.js';
import { elementCount } from '../../shared/model/layout.js';

/** One input or one target of all samples. */
export interface Column {
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int32';
  /** The values of the samples, one after the other. */
  readonly values: Float32Array | Int32Array;
}

export interface Columns {
  readonly count: number;
  readonly inputs: readonly Column[];
  readonly targets: readonly Column[];
}

export interface MemoryOptions {
  readonly name: string;
  /** Number of classes of the first target, if it is a class number or one-hot. */
  readonly classes: number | undefined;
  readonly classNames: readonly string[] | undefined;
}

/** @throws DataError if the columns of a set have different numbers of samples, or the sets differ in their shapes */
export function memoryData(
  { name, classes, classNames }: MemoryOptions,
  train: Columns,
  test: Columns | undefined,
): SourceData {
  const hash = createHash('sha256').update(JSON.stringify([name, classes, classNames]));
  const open = (set: Columns, label: string): DataSplit => {
    const targets = set.targets.map((target, i) =>
      i === 0 ? asClasses(name, target, set.count, classes) : target,
    );
    for (const { shape, dtype, values } of [...set.inputs, ...targets]) {
      if (values.length !== set.count * elementCount(shape))
        throw new DataError(
          `${name}: expected ${set.count} samples in each tensor of the ${label} set, got ${values.length / elementCount(shape)}.`,
        );
      hash.update(JSON.stringify([shape, dtype]));
      hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    }
    const described = targets.map((target, i): TensorSpec => {
      const isClass = i === 0 && classes !== undefined;
      return { ...specOf(target), ...(isClass && { classes, ...(classNames && { classNames }) }) };
    });
    return {
      count: set.count,
      inputs: set.inputs.map(specOf),
      targets: described,
      fill: (indices, into) => {
        copy(set.inputs, into.inputs, indices);
        copy(targets, into.targets, indices);
      },
    };
  };
  const [trainSplit, testSplit] = [open(train, 'training'), test && open(test, 'test')];
  return { name, sha256: hash.digest('hex'), train: trainSplit, ...(testSplit && { test: testSplit }) };
}

const specOf = ({ shape, dtype }: Column): TensorSpec => ({ shape, dtype });

function copy(
  columns: readonly Column[],
  into: readonly { set: (from: ArrayLike<number>, at: number) => void }[],
  indices: Int32Array,
): void {
  for (const [i, { shape, values }] of columns.entries()) {
    const size = elementCount(shape);
    for (const [at, index] of indices.entries())
      into[i]?.set(values.subarray(index * size, (index + 1) * size), at * size);
  }
}

/** Converts one-hot rows, and numbers in float32, to class numbers. @throws DataError naming the first sample that is neither */
function asClasses(name: string, target: Column, count: number, classes: number | undefined): Column {
  if (classes === undefined) return target;
  const { shape, values } = target;
  const isOneHot = shape.at(-1) === classes && classes > 1;
  const places = isOneHot ? shape.slice(0, -1) : shape.at(-1) === 1 ? shape.slice(0, -1) : shape;
  if (!isOneHot)
    return { shape: places, dtype: 'int32', values: wholeNumbers(name, values, values.length / count) };
  const rows = values.length / classes;
  const found = new Int32Array(rows);
  for (let row = 0; row < rows; row++) {
    const one = Float32Array.from(values.subarray(row * classes, (row + 1) * classes));
    const at = one.indexOf(1);
    const sum = one.reduce((total, value) => total + Math.abs(value), 0);
    if (at < 0 || sum !== 1)
      throw new DataError(
        `${name}: sample ${Math.floor((row * count) / rows)}: expected a one-hot target of ${classes} values, got ${one.join(', ').slice(0, 80)}. ` +
          'Leave `classes` out for targets that are no classes.',
      );
    found[row] = at;
  }
  return { shape: places, dtype: 'int32', values: found };
}

function wholeNumbers(name: string, values: Column['values'], perSample: number): Int32Array {
  const at = values.findIndex((value) => !Number.isInteger(value));
  if (at >= 0)
    throw new DataError(
      `${name}: sample ${Math.floor(at / perSample)}: expected a class number, got ${String(values[at])}. Number the classes 0, 1, 2, ...`,
    );
  return Int32Array.from(values);
}
