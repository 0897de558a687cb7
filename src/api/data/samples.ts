/**
 * Data of one's own, sample by sample: a function that gives any sample by its index, or an async generator that gives those of
 * a list of indices.
 */

import { createHash } from 'node:crypto';
import type { DataSplit, TensorSpec, TensorValues } from '../../shared/data/training-data.js';
import { DataError } from '../../shared/errors.js';
import { elementCount } from '../../shared/model/layout.js';
import type { DataSource } from '../define-training.js';

/** As many numbers as the spec's shape has; a number stands for a tensor of one. */
export type SampleValues = ArrayLike<number> | number;

/** In the order of the model's inputs and outputs. */
export interface Sample {
  readonly inputs: readonly SampleValues[];
  readonly targets: readonly SampleValues[];
}

/** A set whose samples can be had by index: the same ones for the same index, always. */
export type SampleSet =
  | { readonly count: number; readonly get: (index: number) => Sample }
  | {
      readonly count: number;
      /** Yields the samples `indices`, in their order. Read ahead of the step that wants them. */
      readonly generate: (indices: readonly number[]) => AsyncIterable<Sample>;
    };

export interface SamplesOptions {
  readonly name: string;
  /** Changes whenever the data do: workers of one run compare it, and a resumed run its checkpoint's. */
  readonly version: string;
  readonly inputs: readonly TensorSpec[];
  readonly targets: readonly TensorSpec[];
  readonly train: SampleSet;
  readonly test: SampleSet;
}

/**
 * A data source of functions. Why by index: a batch is cut into shards, any worker may compute any shard, and a lost worker's are
 * computed by another; so each worker must be able to read any sample, at any time, without the ones before it. A stream can be
 * made so by keeping it (in an array, in files) under numbers.
 */
export function samples(options: SamplesOptions): DataSource {
  const { name, version, train, test } = options;
  const sha256 = createHash('sha256')
    .update(JSON.stringify([name, version]))
    .digest('hex');
  return {
    load: () =>
      Promise.resolve({ name, sha256, train: splitOf(options, train), test: splitOf(options, test) }),
  };
}

function splitOf({ name, inputs, targets }: SamplesOptions, set: SampleSet): DataSplit {
  const put = (
    specs: readonly TensorSpec[],
    given: readonly SampleValues[],
    into: readonly TensorValues[],
    at: number,
    index: number,
  ): void => {
    for (const [i, { shape }] of specs.entries()) {
      const size = elementCount(shape);
      const value = given[i];
      const values = typeof value === 'number' ? [value] : value;
      if (values?.length !== size)
        throw new DataError(
          `${name}, sample ${index}: expected ${size} numbers (${shape.join('x') || 'one'}), got ${values?.length ?? 'none'}.`,
        );
      into[i]?.set(values, at * size);
    }
  };
  return {
    count: set.count,
    inputs,
    targets,
    fill: (indices, into) => {
      const write = (sample: Sample, at: number): void => {
        put(inputs, sample.inputs, into.inputs, at, indices[at] ?? 0);
        put(targets, sample.targets, into.targets, at, indices[at] ?? 0);
      };
      if ('get' in set) {
        for (const [at, index] of indices.entries()) write(set.get(index), at);
        return;
      }
      return collect(name, set.generate([...indices]), indices.length, write);
    },
  };
}

async function collect(
  name: string,
  generated: AsyncIterable<Sample>,
  count: number,
  write: (sample: Sample, at: number) => void,
): Promise<void> {
  let at = 0;
  for await (const sample of generated) {
    if (at >= count) throw new DataError(`${name}: expected ${count} samples from the generator, got more.`);
    write(sample, at++);
  }
  if (at < count) throw new DataError(`${name}: expected ${count} samples from the generator, got ${at}.`);
}
