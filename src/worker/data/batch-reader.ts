/**
 * Reads samples by index into buffers, augments them and converts them to tensors. A split whose `fill` returns a promise is read
 * ahead of the step; any other split is read during the step.
 */

import type { Tensor } from '@tensorflow/tfjs-core';
import type { DataSplit, SampleBuffers, TensorSpec, TensorValues } from '../../shared/data/training-data.js';
import type { BatchPlan, Sampler } from '../../shared/data/sampler.js';
import { invariant } from '../../shared/errors.js';
import { elementCount } from '../../shared/model/layout.js';
import type { Range } from '../../shared/sharding/identifiers.js';
import type { Tensorflow } from '../../api/tensorflow.js';

/** `count` samples, one after the other in each buffer. */
export interface Samples extends SampleBuffers {
  readonly count: number;
  readonly inputs: readonly TensorValues[];
  readonly targets: readonly TensorValues[];
}

/** Changes training samples in place. The result must be a function of (seed, epoch, index) alone. */
export type Augment = (epoch: number, indices: Int32Array, samples: Samples) => void;

/** Samples whose values are all 0. */
export function allocateSamples(
  { inputs, targets }: Pick<DataSplit, 'inputs' | 'targets'>,
  count: number,
): Samples {
  const allocate = ({ shape, dtype }: TensorSpec): TensorValues => {
    const size = count * elementCount(shape);
    return dtype === 'int32' ? new Int32Array(size) : new Float32Array(size);
  };
  return { count, inputs: inputs.map(allocate), targets: targets.map(allocate) };
}

/** Reads samples into new buffers. Returns a promise only if the split's `fill` returns one. */
export function readSamples(split: DataSplit, indices: Int32Array): Samples | Promise<Samples> {
  const samples = allocateSamples(split, indices.length);
  const filled = split.fill(indices, samples);
  return filled instanceof Promise ? filled.then(() => samples) : samples;
}

/** One tensor [count, ...shape] per spec, created in the caller's tidy. */
export function toTensors(
  tf: Tensorflow,
  specs: readonly TensorSpec[],
  values: readonly TensorValues[],
  count: number,
): Tensor[] {
  return specs.map(({ shape, dtype }, i) => tf.tensor(values[i] as TensorValues, [count, ...shape], dtype));
}

/** Reads this worker's samples of the training set, step by step. */
export class BatchReader {
  readonly #split: DataSplit;
  readonly #sampler: Sampler;
  readonly #augment: Augment | undefined;
  /** Reads that were started ahead: by step, then by the first position of the range. */
  readonly #ahead = new Map<number, Map<number, Promise<Samples> | Samples>>();
  /** `promised` if `fill` returns promises; unknown until its first call. */
  #kind: 'unknown' | 'immediate' | 'promised' = 'unknown';

  constructor(split: DataSplit, sampler: Sampler, augment: Augment | undefined) {
    this.#split = split;
    this.#sampler = sampler;
    this.#augment = augment;
  }

  /**
   * Waits until the samples of a step have been read, if `fill` returns promises. Also starts to read the samples of `next`, so that
   * they are read while the step is computed.
   * @param ranges returns the positions of a batch that this worker computes
   * @throws the error of `fill`
   */
  async prepare(
    batch: BatchPlan,
    next: BatchPlan | undefined,
    ranges: (batch: BatchPlan) => readonly Range[],
  ): Promise<void> {
    // Samples that are read synchronously are read in the step, whose time they count towards.
    if (this.#kind === 'immediate') return;
    this.#begin(batch, ranges(batch));
    if (next) this.#begin(next, ranges(next));
    const reads = this.#ahead.get(batch.step);
    if (!reads) return;
    for (const [start, samples] of reads) reads.set(start, await samples);
    for (const step of this.#ahead.keys()) if (step < batch.step) this.#ahead.delete(step);
  }

  /** The samples at these positions of the batch. If `fill` returns promises, `prepare` must have been awaited for this batch. */
  samplesAt(batch: BatchPlan, range: Range): Samples {
    const readAhead = this.#ahead.get(batch.step)?.get(range.start);
    const samples = readAhead ?? this.#read(batch, range);
    invariant(!(samples instanceof Promise), `samples of step ${batch.step} were not prepared`);
    return samples;
  }

  #begin(batch: BatchPlan, ranges: readonly Range[]): void {
    if (this.#ahead.has(batch.step)) return;
    const reads = new Map<number, Promise<Samples> | Samples>();
    for (const range of ranges) {
      if (this.#kind === 'immediate') break;
      const samples = this.#read(batch, range);
      this.#kind = samples instanceof Promise ? 'promised' : 'immediate';
      reads.set(range.start, samples);
    }
    // A failed read is reported when it is awaited.
    for (const samples of reads.values()) if (samples instanceof Promise) samples.catch(() => undefined);
    this.#ahead.set(batch.step, reads);
  }

  #read(batch: BatchPlan, range: Range): Samples | Promise<Samples> {
    // A copy, since the sampler's order changes with the epoch and a read may take longer.
    const indices = this.#sampler.indices(batch, range).slice();
    const augmented = (samples: Samples): Samples => {
      this.#augment?.(batch.epoch, indices, samples);
      return samples;
    };
    const samples = readSamples(this.#split, indices);
    return samples instanceof Promise ? samples.then(augmented) : augmented(samples);
  }
}
