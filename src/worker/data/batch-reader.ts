/**
 * Samples as the step and the evaluation want them: read by index, augmented, as tensors. Owns the buffers; a split whose `fill`
 * returns a promise is read ahead of its step, one that doesn't is read in it.
 */

import type { Tensor } from '@tensorflow/tfjs';
import type { DataSplit, SampleBuffers, TensorSpec, TensorValues } from '../../shared/data/training-data.js';
import type { BatchPlan, Sampler } from '../../shared/data/sampler.js';
import { invariant } from '../../shared/errors.js';
import { elementCount } from '../../shared/model/layout.js';
import type { Range } from '../../shared/sharding/identifiers.js';
import type { Tensorflow } from '../engine/native.js';

/** The samples of some indices. */
export interface Samples extends SampleBuffers {
  readonly count: number;
}

/** Changes samples of the training set in place, as a function of (seed, epoch, index) alone. */
export type Augment = (epoch: number, indices: Int32Array, samples: Samples) => void;

function room({ inputs, targets }: DataSplit, count: number): Samples {
  const allocate = ({ shape, dtype }: TensorSpec): TensorValues => {
    const size = count * elementCount(shape);
    return dtype === 'int32' ? new Int32Array(size) : new Float32Array(size);
  };
  return { count, inputs: inputs.map(allocate), targets: targets.map(allocate) };
}

/** A promise only where the split gives one. */
export function readSamples(split: DataSplit, indices: Int32Array): Samples | Promise<Samples> {
  const samples = room(split, indices.length);
  const filled = split.fill(indices, samples);
  return filled instanceof Promise ? filled.then(() => samples) : samples;
}

/** One tensor for each spec; the caller's tidy frees them. */
export function toTensors(
  tf: Tensorflow,
  specs: readonly TensorSpec[],
  values: readonly TensorValues[],
  count: number,
): Tensor[] {
  return specs.map(({ shape, dtype }, i) => tf.tensor(values[i] as TensorValues, [count, ...shape], dtype));
}

/** This worker's samples of the training set, in the order in which steps want them. */
export class BatchReader {
  readonly #split: DataSplit;
  readonly #sampler: Sampler;
  readonly #augment: Augment | undefined;
  /** Reads that were begun ahead: by step, the samples of each range of positions. */
  readonly #ahead = new Map<number, Map<number, Promise<Samples> | Samples>>();
  /** Whether `fill` gives promises; known once it has been called. */
  #kind: 'unknown' | 'immediate' | 'promised' = 'unknown';

  constructor(split: DataSplit, sampler: Sampler, augment: Augment | undefined) {
    this.#split = split;
    this.#sampler = sampler;
    this.#augment = augment;
  }

  /**
   * Resolves when a split that gives promises has the step's samples. `next` is begun to be read, so that it is done while
   * the step is computed.
   * @param ranges positions of a batch that this worker computes
   */
  async prepare(
    batch: BatchPlan,
    next: BatchPlan | undefined,
    ranges: (batch: BatchPlan) => readonly Range[],
  ): Promise<void> {
    // Read in its step, where the time belongs.
    if (this.#kind === 'immediate') return;
    this.#begin(batch, ranges(batch));
    if (next) this.#begin(next, ranges(next));
    const reads = this.#ahead.get(batch.step);
    if (!reads) return;
    for (const [start, samples] of reads) reads.set(start, await samples);
    for (const step of this.#ahead.keys()) if (step < batch.step) this.#ahead.delete(step);
  }

  /** The samples at these positions of the batch; of an asynchronous split only what was prepared. */
  samplesAt(batch: BatchPlan, range: Range): Samples {
    const held = this.#ahead.get(batch.step)?.get(range.start);
    const samples = held ?? this.#read(batch, range);
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
    // A read that fails is reported where it is awaited.
    for (const samples of reads.values()) if (samples instanceof Promise) samples.catch(() => undefined);
    this.#ahead.set(batch.step, reads);
  }

  #read(batch: BatchPlan, range: Range): Samples | Promise<Samples> {
    // A copy: the sampler's order changes with the epoch, and reads may outlive it.
    const indices = this.#sampler.indices(batch, range).slice();
    const augmented = (samples: Samples): Samples => {
      this.#augment?.(batch.epoch, indices, samples);
      return samples;
    };
    const samples = readSamples(this.#split, indices);
    return samples instanceof Promise ? samples.then(augmented) : augmented(samples);
  }
}
