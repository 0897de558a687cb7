/**
 * A custom data source, sample by sample: a function that returns any sample by its index, or an async generator that yields the
 * samples of a list of indices.
 */

import { createHash } from 'node:crypto';
import type { DataSplit, TensorSpec, TrainingData } from '../../shared/data/training-data.js';
import { ConfigError, DataError, UserCodeError } from '../../shared/errors.js';
import { describeValue } from '../../shared/user-code.js';
import type { DataSource } from '../define-training.js';
import { checkInteger, checkOptionNames } from './known-options.js';
import { writeSample } from './write-sample.js';

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
  /** Default: none; only the training set is evaluated then. */
  readonly test?: SampleSet;
}

/**
 * Returns a data source from functions. Access by index is required because any worker may compute any shard of a batch, and
 * because other workers compute the shards of a lost one: each worker must be able to read any sample at any time. A stream can be
 * stored (in an array or in files) and indexed.
 */
export function samples(options: SamplesOptions & { readonly test: SampleSet }): DataSource<TrainingData>;
export function samples(options: SamplesOptions): DataSource;
export function samples(options: SamplesOptions): DataSource {
  checkOptionNames('samples', options, ['name', 'version', 'inputs', 'targets', 'train', 'test']);
  const { name, version, train, test } = options;
  checkSet('samples: train', train);
  if (test !== undefined) checkSet('samples: test', test);
  const sha256 = createHash('sha256')
    .update(JSON.stringify([name, version]))
    .digest('hex');
  return {
    load: () =>
      Promise.resolve({
        name,
        sha256,
        train: splitOf(options, 'training', train),
        ...(test && { test: splitOf(options, 'test', test) }),
      }),
  };
}

function splitOf(options: SamplesOptions, label: string, set: SampleSet): DataSplit {
  const { name, inputs, targets } = options;
  return {
    count: set.count,
    inputs,
    targets,
    fill: (indices, into) => {
      const write = (sample: unknown, at: number): void =>
        writeSample(`${name}, ${label} sample ${indices[at] ?? 0}`, options, sample, into, at);
      if ('get' in set) {
        for (const [at, index] of indices.entries()) write(set.get(index), at);
        return;
      }
      return collect(name, set.generate([...indices]), indices.length, write);
    },
  };
}

/** @throws ConfigError if a set has neither or both of its functions, or an unknown option */
function checkSet(name: string, set: SampleSet): void {
  checkOptionNames(name, set, ['count', 'get', 'generate']);
  checkInteger(`${name}.count`, set.count, { min: 1 });
  const { get, generate } = set as { get?: unknown; generate?: unknown };
  if ((typeof get === 'function') !== (typeof generate === 'function')) return;
  throw new ConfigError(
    `${name}: expected one of the functions get and generate, got ${get ? 'both' : 'none'}.`,
  );
}

async function collect(
  name: string,
  generated: AsyncIterable<Sample>,
  count: number,
  write: (sample: Sample, at: number) => void,
): Promise<void> {
  let at = 0;
  if (typeof (generated as Partial<typeof generated> | undefined)?.[Symbol.asyncIterator] !== 'function') {
    throw new UserCodeError(
      `${name}: expected generate to return an async iterable, got ${describeValue(generated)}. Write an async generator.`,
    );
  }
  for await (const sample of generated) {
    if (at >= count) throw new DataError(`${name}: expected ${count} samples from the generator, got more.`);
    write(sample, at++);
  }
  if (at < count) throw new DataError(`${name}: expected ${count} samples from the generator, got ${at}.`);
}
