/**
 * Fills free memory with NaN, so that an operation that reads memory that it never wrote gives NaN or another output.
 * TensorFlow's allocator on the CPU is malloc, so this reaches what an operation takes from malloc as well.
 */

import type { Tensor } from '@tensorflow/tfjs';
import { PhiloxSequence } from '../../shared/random/philox.js';
import type { Tensorflow } from '../engine/native.js';
import { dtypes, RawOps, type Attribute } from '../kernels/raw-ops.js';

/** Block sizes in floats: eight per power of two, from 32 bytes to 256 KB. */
const blockSizes = Array.from({ length: 8 * 13 + 1 }, (_, i) => (8 + (i % 8)) * 2 ** Math.floor(i / 8));
const blocksPerFill = 3;

export class FreeMemory {
  readonly #ops: RawOps;
  readonly #attributes: readonly Attribute[];
  readonly #nan: Tensor;
  readonly #shapes: readonly Tensor[];
  readonly #sizes = new PhiloxSequence({ low: 0, high: 0 }, 0);

  constructor(tf: Tensorflow) {
    this.#ops = new RawOps(tf);
    this.#attributes = [this.#ops.type('T', dtypes.float32), this.#ops.type('index_type', dtypes.int32)];
    this.#nan = tf.keep(tf.scalar(Number.NaN));
    this.#shapes = blockSizes.map((size) => tf.keep(tf.tensor1d([size], 'int32')));
  }

  /** Allocates blocks of assorted sizes, writes NaN to all of each and frees them. The sizes repeat from run to run. */
  fillWithNaN(): void {
    const blocks = Array.from({ length: blocksPerFill }, () => {
      const shape = this.#shapes[this.#sizes.below(this.#shapes.length)] as Tensor;
      return this.#ops.raw('Fill', this.#attributes, [shape, this.#nan]);
    });
    for (const block of blocks) this.#ops.delete(block);
  }

  dispose(): void {
    this.#nan.dispose();
    for (const shape of this.#shapes) shape.dispose();
  }
}
