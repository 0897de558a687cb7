/**
 * A custom data source, sample by sample: a function that returns any sample by its index, or an async generator that yields the
 * samples of a list of indices.
 */

import { createHash } from 'node:crypto';
import type { DataSplit, TensorSpec, TensorValues } from '../../shared/data/training-data.js';
import { DataError } from '../../shared/errors.js';
import { elementCount } from '../../shared/model/layout.js';
import type { DataSource } from '../define-training.js';

/** As many numbers as the shape has elements; a single number for a tensor of one element. */
export type SampleValues = ArrayLike<number> | number;

/** Values in the order of the model's inputs and outputs. */
export interface Sample {
  readonly inputs: readonly SampleValues[];
  readonly targets: readonly SampleValues[];
}

/** A data set with access by index. The same index always returns the same sample. */
export type SampleSet =
  | { readonly count: number; readonly get: (index: number) => Sample }
  | {
      readonly count: number;
      /** Yields the samples of `indices` in order. It is called before the step that needs them. */
      readonly generate: (indices: readonly number[]) => AsyncIterable<Sample>;
    };

export interface SamplesOptions {
  readonly name: string;
  /** Identifies the content: the workers of a run compare it, and a resumed run compares it with its checkpoint. */
  readonly version: string;
  readonly inputs: readonly TensorSpec[];
  readonly targets: readonly TensorSpec[];
  readonly train: SampleSet;
  readonly test: SampleSet;
}

/**
 * Returns a data source from functions. Access by index is required because any worker may compute any shard of a batch, and
 * because other workers compute the shards of a lost one: each worker must be able to read any sample at any time. A stream can be
 * stored (in an array or in files) and indexed.
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
