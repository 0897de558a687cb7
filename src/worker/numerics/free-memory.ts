/**
 * Fills free memory with NaN, so that an operation that reads memory that it never wrote gives NaN or another output.
 * TensorFlow's allocator on the CPU is malloc, so this reaches what an operation takes from malloc as well.
 */

import type { Tensor } from '@tensorflow/tfjs-core';
import { PhiloxSequence } from '../../shared/random/philox.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import { dtypes, RawOps, type Attribute } from '../kernels/raw-ops.js';

/** Block sizes in floats: eight per power of two, from 32 bytes to 256 KB. */
const blockSizes = Array.from({ length: 8 * 13 + 1 }, (_, i) => (8 + (i % 8)) * 2 ** Math.floor(i / 8));
const blocksPerFill = 6;
/** Number of drawn sets of blocks, which are used in turn. */
const sets = 50;

/** The sizes of one set of blocks, and a vector of NaN that is as long as all of them. */
interface BlockSet {
  readonly sizes: Tensor;
  readonly source: Tensor;
}

export class FreeMemory {
  readonly #ops: RawOps;
  readonly #attributes: readonly Attribute[];
  readonly #axis: Tensor;
  readonly #sets: readonly BlockSet[];
  #fills = 0;

  constructor(tf: Tensorflow) {
    this.#ops = new RawOps(tf);
    this.#attributes = [
      this.#ops.type('T', dtypes.float32),
      this.#ops.type('Tlen', dtypes.int32),
      this.#ops.int('num_split', blocksPerFill),
    ];
    this.#axis = tf.keep(tf.scalar(0, 'int32'));
    const draws = new PhiloxSequence({ low: 0, high: 0 }, 0);
    this.#sets = Array.from({ length: sets }, () => {
      const sizes = Array.from(
        { length: blocksPerFill },
        () => blockSizes[draws.below(blockSizes.length)] ?? 0,
      );
      const total = sizes.reduce((sum, size) => sum + size, 0);
      return { sizes: tf.keep(tf.tensor1d(sizes, 'int32')), source: tf.keep(tf.fill([total], Number.NaN)) };
    });
  }

  /**
   * Allocates blocks of assorted sizes, writes NaN to all of each and frees them. One op copies a vector of NaN to all blocks of
   * a set, since an op costs more than the copying.
   */
  fillWithNaN(): void {
    const { sizes, source } = this.#sets[this.#fills++ % sets] as BlockSet;
    const blocks = this.#ops.rawOutputs(
      'SplitV',
      this.#attributes,
      [source, sizes, this.#axis],
      blocksPerFill,
    );
    for (const block of blocks) this.#ops.delete(block);
  }

  dispose(): void {
    this.#axis.dispose();
    for (const { sizes, source } of this.#sets) {
      sizes.dispose();
      source.dispose();
    }
  }
}
