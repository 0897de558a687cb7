/** `arrays`: samples that are lists of numbers in memory. */

import { DataError } from '../../shared/errors.js';
import type { TrainingData } from '../../shared/data/training-data.js';
import type { DataSource } from '../define-training.js';
import { checkOptionNames, show } from './known-options.js';
import { memoryData, type Column, type Columns } from './memory-data.js';

/** A number, or lists of numbers of one length, nested as the shape of a sample. */
export type NestedNumbers = number | readonly NestedNumbers[] | Float32Array | Int32Array;

/** The samples of one tensor. A typed array has one number per sample. */
export type ArrayColumn = readonly NestedNumbers[] | Float32Array | Int32Array;

/** The samples of one tensor, or of several: `{ a: [...], b: [...] }` in the order of the model's inputs or outputs. */
export type ArrayColumns = ArrayColumn | Readonly<Record<string, ArrayColumn>>;

export interface ArraySet {
  /** One entry per sample. */
  readonly inputs: ArrayColumns;
  readonly targets: ArrayColumns;
}

export interface ArraysOptions extends ArraySet {
  /** Default: none; only the training set is evaluated then. */
  readonly test?: ArraySet;
  /** Number of classes, if the targets are class numbers or one-hot lists. */
  readonly classes?: number;
  readonly classNames?: readonly string[];
  /** True for inputs that are whole numbers, for example for an Embedding. */
  readonly integers?: boolean;
  readonly name?: string;
}

/**
 * A data set of lists of numbers. Its content is hashed, so that workers and resumed runs compare it.
 * @example
 * data: arrays({ inputs: [[0, 0], [0, 1], [1, 0], [1, 1]], targets: [0, 1, 1, 0], classes: 2 })
 */
export function arrays(options: ArraysOptions & { readonly test: ArraySet }): DataSource<TrainingData>;
export function arrays(options: ArraysOptions): DataSource;
export function arrays(options: ArraysOptions): DataSource {
  const names = ['inputs', 'targets', 'test', 'classes', 'classNames', 'integers', 'name'];
  checkOptionNames('arrays', options, names);
  const { test, classes, classNames, integers = false, name = 'arrays' } = options;
  if (test) checkOptionNames('arrays: test', test, ['inputs', 'targets']);
  return {
    load: async () => {
      // An error rejects the promise instead of being thrown.
      await Promise.resolve();
      const read = (set: ArraySet, label: string): Columns => {
        const inputs = columnsOf(`${name}, ${label} inputs`, set.inputs, integers ? 'int32' : 'float32');
        const targets = columnsOf(`${name}, ${label} targets`, set.targets, 'float32');
        return { count: countOf(set.inputs), inputs, targets };
      };
      return memoryData({ name, classes, classNames }, read(options, 'training'), test && read(test, 'test'));
    },
  };
}

const isList = (columns: ArrayColumns): columns is ArrayColumn =>
  Array.isArray(columns) || ArrayBuffer.isView(columns);

const listsOf = (columns: ArrayColumns): ArrayColumn[] =>
  isList(columns) ? [columns] : Object.values(columns);

const countOf = (columns: ArrayColumns): number => listsOf(columns)[0]?.length ?? 0;

function columnsOf(place: string, columns: ArrayColumns, dtype: Column['dtype']): Column[] {
  return listsOf(columns).map((samples) => {
    const shape = shapeOf(samples[0] ?? 0);
    const values: number[] = [];
    for (const [index, sample] of samples.entries())
      flatten(`${place}, sample ${index}`, sample, shape, values);
    return { shape, dtype, values: dtype === 'int32' ? whole(place, values) : Float32Array.from(values) };
  });
}

function shapeOf(sample: NestedNumbers): number[] {
  // A text has a first character, which is a text again.
  if (typeof sample !== 'object') return [];
  const [first = 0] = sample as readonly NestedNumbers[];
  return [sample.length, ...shapeOf(first)];
}

/** @throws DataError if the sample has another shape than the first one, or a value that is no number */
function flatten(place: string, sample: NestedNumbers, shape: readonly number[], into: number[]): void {
  const [length, ...inner] = shape;
  if (length === undefined) {
    if (typeof sample !== 'number')
      throw new DataError(`${place}: expected a number, got ${show(sample)}. All samples have one shape.`);
    into.push(sample);
    return;
  }
  if (typeof sample !== 'object' || sample.length !== length)
    throw new DataError(
      `${place}: expected a list of ${length}, as in the first sample, got ${show(sample)}. All samples have one shape.`,
    );
  for (const value of sample as readonly NestedNumbers[]) flatten(place, value, inner, into);
}

/** @throws DataError naming the first value that is no whole number */
function whole(place: string, values: readonly number[]): Int32Array {
  const wrong = values.find((value) => !Number.isInteger(value));
  if (wrong !== undefined)
    throw new DataError(`${place}: expected whole numbers, got ${wrong}. Leave \`integers\` out.`);
  return Int32Array.from(values);
}
