/** Matrix products on TensorFlow in the run's precision, and the rounding of operands to bfloat16. */

import type { Rank, Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import type { Precision } from '../../shared/config/run-config.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import { dtypes, type RawOps } from './raw-ops.js';

/** All roundings are to nearest, ties to even. See `Kernels.operand` for who owns the results. */
export class Products {
  readonly #ops: RawOps;
  /**
   * `bfloat16`: operands are of that dtype. `rounded`: they are float32 rounded to bfloat16, as is the product. `float32`: no
   * rounding.
   */
  readonly #mode: 'float32' | 'rounded' | 'bfloat16';

  constructor(tf: Tensorflow, ops: RawOps, precision: Precision) {
    this.#ops = ops;
    // TensorFlow's fallback for CPUs without AVX-512 truncates its bfloat16 products.
    const compact = precision === 'bfloat16' && this.#roundsToNearest(tf);
    this.#mode = compact ? 'bfloat16' : precision === 'bfloat16' ? 'rounded' : 'float32';
  }

  /** A factor of `matMul`: `x` itself in float32, else a copy that only `matMul` may read. */
  operand<T extends Tensor>(x: T): T {
    if (this.#mode === 'float32') return x;
    return this.#mode === 'bfloat16' ? this.#compact(x) : this.rounded(x);
  }

  /** The product of two operands, in float32. */
  matMul(a: Tensor2D, b: Tensor2D, transposeA: boolean, transposeB: boolean): Tensor2D {
    if (this.#mode === 'bfloat16') return this.#compactProduct(a, b, transposeA, transposeB);
    const product = this.#ops.one<Tensor2D>(
      'MatMul',
      this.#attributes(dtypes.float32, transposeA, transposeB),
      [a, b],
    );
    if (this.#mode === 'float32') return product;
    const result = this.rounded(product);
    product.dispose();
    return result;
  }

  /** A float32 copy whose values are rounded to bfloat16. */
  rounded<T extends Tensor>(x: T): T {
    return this.#expand(this.#compact(x));
  }

  /** A copy of dtype bfloat16. */
  #compact<T extends Tensor>(x: T): T {
    return this.#ops.cast(x, dtypes.float32, dtypes.bfloat16) as T;
  }

  /** The float32 values of a tensor of dtype bfloat16, which is disposed. */
  #expand<T extends Tensor>(compact: T): T {
    const result = this.#ops.cast(compact, dtypes.bfloat16, dtypes.float32);
    compact.dispose();
    return result as T;
  }

  #compactProduct(a: Tensor2D, b: Tensor2D, transposeA: boolean, transposeB: boolean): Tensor2D {
    const attributes = this.#attributes(dtypes.bfloat16, transposeA, transposeB);
    return this.#expand(this.#ops.unnamed('MatMul', attributes, [a, b]) as Tensor2D);
  }

  /** True if TensorFlow's bfloat16 product rounds up a sum that truncation would round down. */
  #roundsToNearest(tf: Tensorflow): boolean {
    const [sum] = tf.tidy(() => {
      const left = this.#compact(tf.tensor2d([1, 1.5 * 2 ** -8], [1, 2]));
      const right = this.#compact(tf.ones<Rank.R2>([2, 1]));
      return this.#compactProduct(left, right, false, false).dataSync<'float32'>();
    });
    return sum === 1 + 2 ** -7;
  }

  #attributes = (type: number, transposeA: boolean, transposeB: boolean) => [
    this.#ops.type('T', type),
    this.#ops.bool('transpose_a', transposeA),
    this.#ops.bool('transpose_b', transposeB),
  ];
}
