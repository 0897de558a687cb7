/** `tensors` and `fromDataset`: samples in tfjs's tensors, and the elements of a `tf.data.Dataset`. */

import type { Tensor } from '@tensorflow/tfjs-core';
import { DataError } from '../../shared/errors.js';
import type { DataSource } from '../define-training.js';
import { checkInteger, checkOptionNames, show } from './known-options.js';
import { memoryData, type Column, type Columns } from './memory-data.js';

/** One tensor, a list, or one tensor per input or output by name, in the order of the model. */
export type TensorColumns = Tensor | readonly Tensor[] | Readonly<Record<string, Tensor>>;

export interface TensorSet {
  /** The first dimension is that of the samples. */
  readonly inputs: TensorColumns;
  readonly targets: TensorColumns;
}

export interface TensorsOptions extends TensorSet {
  /** Default: none; only the training set is evaluated then. */
  readonly test?: TensorSet;
  /** Number of classes, if the targets are class numbers or one-hot. */
  readonly classes?: number;
  readonly classNames?: readonly string[];
  readonly name?: string;
}

/**
 * A data set of tensors. They are read when the data are loaded and stay the caller's. A function is called when a worker loads the
 * data, so that no other process makes the tensors; those that it returns are disposed.
 * @example
 * data: tensors(() => ({ inputs: tf.randomNormal([60, 4], 0, 1, 'float32', 7), targets: tf.zeros([60, 1]) }))
 */
export function tensors(
  source: TensorsOptions | (() => TensorsOptions | Promise<TensorsOptions>),
): DataSource {
  return {
    load: async () => {
      const options = typeof source === 'function' ? await source() : source;
      checkOptionNames('tensors', options, ['inputs', 'targets', 'test', 'classes', 'classNames', 'name']);
      const { test, classes, classNames, name = 'tensors' } = options;
      const read = (set: TensorSet): Columns => readSet(name, set);
      try {
        return memoryData({ name, classes, classNames }, read(options), test && read(test));
      } finally {
        if (typeof source === 'function')
          for (const set of test ? [options, test] : [options])
            for (const tensor of [...listOf(set.inputs), ...listOf(set.targets)]) tensor.dispose();
      }
    },
  };
}

const isTensor = (value: unknown): value is Tensor =>
  typeof value === 'object' && value !== null && 'dataSync' in value && 'shape' in value;

function listOf(columns: TensorColumns): readonly Tensor[] {
  if (isTensor(columns)) return [columns];
  return Array.isArray(columns)
    ? (columns as readonly Tensor[])
    : Object.values(columns as Record<string, Tensor>);
}

function readSet(name: string, { inputs, targets }: TensorSet): Columns {
  const read = (tensor: unknown): Column => {
    if (!isTensor(tensor) || tensor.rank === 0)
      throw new DataError(
        `${name}: expected tensors whose first dimension is that of the samples, got ${show(tensor)}.`,
      );
    return columnOf(tensor);
  };
  const columns = { inputs: listOf(inputs).map(read), targets: listOf(targets).map(read) };
  return { count: listOf(inputs)[0]?.shape[0] ?? 0, ...columns };
}

function columnOf(tensor: Tensor): Column {
  const shape = tensor.shape.slice(1);
  const values = tensor.dataSync();
  return tensor.dtype === 'int32'
    ? { shape, dtype: 'int32', values: Int32Array.from(values) }
    : { shape, dtype: 'float32', values: Float32Array.from(values) };
}

/** The part of a `tf.data.Dataset` that is used. */
export interface ElementSource {
  iterator(): Promise<{ next(): Promise<{ value: unknown; done?: boolean }> }>;
}

export interface FromDatasetOptions {
  /** Number of elements, each of them one sample. They are read once and held in memory. */
  readonly count: number;
  /** Elements of a test set; default: none. */
  readonly test?: { readonly dataset: ElementSource; readonly count: number };
  /** Number of classes, if the targets are class numbers or one-hot. */
  readonly classes?: number;
  readonly classNames?: readonly string[];
  readonly name?: string;
}

/**
 * The elements `{ xs, ys }` of a `tf.data.Dataset` that is not batched. Every worker reads them, so the dataset must yield the same
 * elements in each process: shuffle it with a seed, or not at all.
 * @example
 * data: fromDataset(tf.data.generator(points), { count: 500, classes: 3 })
 */
export function fromDataset(
  dataset: ElementSource | (() => ElementSource | Promise<ElementSource>),
  options: FromDatasetOptions,
): DataSource {
  checkOptionNames('fromDataset', options, ['count', 'test', 'classes', 'classNames', 'name']);
  const { count, test, classes, classNames, name = 'dataset' } = options;
  checkInteger('fromDataset: count', count, { min: 1 });
  if (test) checkInteger('fromDataset: test.count', test.count, { min: 1 });
  return {
    load: async () => {
      const opened = typeof dataset === 'function' ? await dataset() : dataset;
      const train = await readElements(`${name}, training set`, opened, count);
      const held = test && (await readElements(`${name}, test set`, test.dataset, test.count));
      return memoryData({ name, classes, classNames }, train, held);
    },
  };
}

async function readElements(place: string, dataset: ElementSource, count: number): Promise<Columns> {
  const iterator = await dataset.iterator();
  const read: { readonly inputs: Column[]; readonly targets: Column[] }[] = [];
  while (read.length < count) {
    const { value, done } = await iterator.next();
    if (done === true)
      throw new DataError(
        `${place}: expected ${count} elements, got ${read.length}. Give their number as \`count\`.`,
      );
    if (typeof value !== 'object' || value === null || !('xs' in value) || !('ys' in value))
      throw new DataError(`${place}, element ${read.length}: expected { xs, ys }, got ${show(value)}.`);
    read.push({ inputs: elementOf(place, value.xs), targets: elementOf(place, value.ys) });
  }
  const joined = (kind: 'inputs' | 'targets'): Column[] =>
    (read[0]?.[kind] ?? []).map((first, i) =>
      joinColumn(
        place,
        first,
        read.map((one) => one[kind][i]),
      ),
    );
  return { count, inputs: joined('inputs'), targets: joined('targets') };
}

/** Returns the tensors of one element, which are disposed; a number or a list of numbers counts as one. */
function elementOf(place: string, value: unknown): Column[] {
  if (isTensor(value)) {
    const values =
      value.dtype === 'int32' ? Int32Array.from(value.dataSync()) : Float32Array.from(value.dataSync());
    const column: Column = {
      shape: [...value.shape],
      dtype: value.dtype === 'int32' ? 'int32' : 'float32',
      values,
    };
    value.dispose();
    return [column];
  }
  if (typeof value === 'number') return [{ shape: [], dtype: 'float32', values: Float32Array.of(value) }];
  if (Array.isArray(value) && value.every((one) => typeof one === 'number'))
    return [{ shape: [value.length], dtype: 'float32', values: Float32Array.from(value) }];
  if (typeof value === 'object' && value !== null)
    return Object.values(value).flatMap((inner) => elementOf(place, inner));
  throw new DataError(`${place}: expected tensors or numbers, got ${show(value)}.`);
}

function joinColumn(place: string, first: Column, parts: readonly (Column | undefined)[]): Column {
  const size = first.values.length;
  const values =
    first.dtype === 'int32' ? new Int32Array(size * parts.length) : new Float32Array(size * parts.length);
  for (const [i, part] of parts.entries()) {
    if (part?.shape.join() !== first.shape.join())
      throw new DataError(
        `${place}, element ${i}: expected the shape of the first one, [${first.shape.join(', ')}], got ` +
          `${part ? `[${part.shape.join(', ')}]` : 'none'}. Resize or pad the elements with map().`,
      );
    values.set(part.values, i * size);
  }
  return { shape: first.shape, dtype: first.dtype, values };
}
