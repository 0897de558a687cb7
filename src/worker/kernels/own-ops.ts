/**
 * Lockstep's own TensorFlow ops (native/*_ops.cc), on the CPU: their names, attributes and layouts. Their arithmetic is in C++;
 * `TensorflowKernels` decides when TensorFlow's ops are used instead.
 */

import type { Tensor, Tensor1D, Tensor2D, Tensor4D } from '@tensorflow/tfjs-core';
import { pinnedSlice, type PinnedVector } from '../../shared/memory/pinned-vector.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import { ownOpFailure, type OwnOpFailure } from '../engine/own-op-failure.js';
import type {
  AdamState,
  BatchMoments,
  BatchNormPass,
  BatchNormTail,
  Convolution,
  DepthwiseConvolution,
  GradientWriter,
  Kernels,
} from './kernels.js';
import type { Precision } from '../../shared/config/run-config.js';
import { invariant } from '../../shared/errors.js';
import { hashPlace } from '../../shared/ledger/hash.js';
import { adamVectors, readAdamVectors, vectorOf } from '../../shared/model/named-vectors.js';
import type { NativeMemory } from '../../shared/memory/native-memory.js';
import { ownAttention } from './own-attention.js';
import { ownDense } from './own-dense.js';
import { ownDepthwise } from './own-depthwise.js';
import { useOwnProducts } from './own-products.js';
import { dtypes, type Attribute, type RawOps } from './raw-ops.js';

/** Channel counts are multiples of this. */
const lanes = 16;

/** Returns whether the ops support the channel count of `x`. */
export function takesChannels(x: Tensor): boolean {
  return (x.rank === 2 || x.rank === 4) && (x.shape.at(-1) ?? 0) % lanes === 0 && x.size > 0;
}

/** Runs the ops. Returned tensors belong to the caller, in the current tfjs scope; no argument is disposed. */
export class OwnOps {
  readonly #tf: Tensorflow;
  readonly #ops: RawOps;
  readonly #native: NativeMemory | undefined;
  readonly #precision: readonly Attribute[];
  /** True if the CPU has the instructions of the ops that multiply. */
  readonly multiplies: boolean;

  private constructor(
    tf: Tensorflow,
    ops: RawOps,
    native: NativeMemory | undefined,
    convolutions: Precision,
  ) {
    this.#tf = tf;
    this.#ops = ops;
    this.#native = native;
    this.#precision = [ops.int('precision', convolutions === 'bfloat16' ? 1 : 0)];
    const { zeros } = tf;
    const convolve = (): Tensor => this.conv(zeros([1, 1, 1, lanes]), zeros([3, 3, lanes, lanes]));
    this.multiplies = failureOf('LockstepConv', tf, convolve) === undefined;
    if (this.multiplies) useOwnProducts(tf, ops);
  }

  /**
   * Returns the ops, or undefined on a GPU and if the binding does not contain them.
   * @throws EngineError if an op is there and fails
   */
  static find(
    tf: Tensorflow,
    ops: RawOps,
    native: NativeMemory | undefined,
    convolutions: Precision,
  ): OwnOps | undefined {
    if (ops.onGpu) return undefined;
    const moments = (): Tensor => ops.one('LockstepMoments', [], [tf.zeros([1, lanes])]);
    const failure = failureOf('LockstepMoments', tf, moments);
    return failure === undefined ? new OwnOps(tf, ops, native, convolutions) : undefined;
  }

  /** Returns whether the ops compute a convolution: 3x3 with stride 1 and same padding, on a CPU with the instructions. */
  takesConvolution({ filterShape, window }: Convolution): boolean {
    const [height, width, inputs = 0, outputs = 0] = filterShape;
    const plain = [...window.strides, ...window.dilations].every((value) => value === 1);
    const same = window.padding === 'same' && height === 3 && width === 3;
    return this.multiplies && plain && same && inputs % lanes === 0 && outputs % lanes === 0;
  }

  /** See `Kernels.conv2d` for the shapes; the convolution must be one for which `takesConvolution` returns true. */
  conv(x: Tensor4D, filter: Tensor4D): Tensor4D {
    return this.#ops.one('LockstepConv', this.#precision, [x, filter]);
  }

  convInputGradient(dy: Tensor4D, filter: Tensor4D): Tensor4D {
    return this.#ops.one('LockstepConvInputGradient', this.#precision, [dy, filter]);
  }

  convFilterGradient(x: Tensor4D, dy: Tensor4D): Tensor4D {
    return this.#ops.one('LockstepConvFilterGradient', this.#precision, [x, dy]);
  }

  dropout(...[x, rate, key, counter]: Parameters<Kernels['dropout']>): Tensor {
    const words = [...key, ...counter].map((word) => word | 0);
    return this.#tf.tidy(() =>
      this.#ops.one(
        'LockstepDropout',
        [],
        [x, this.#tf.tensor1d(words, 'int32'), this.#tf.tensor1d([rate, 1 / (1 - rate)])],
      ),
    );
  }

  /**
   * Writes the gradient directly to the buffer that is sent, because memory traffic dominates the gradient of a large matrix.
   * Undefined if the ops do not support the shapes or the CPU.
   */
  denseGradient(x: Tensor2D, dy: Tensor2D): GradientWriter | undefined {
    const whole = x.shape[1] % lanes === 0 && dy.shape[1] % lanes === 0 && x.size > 0 && dy.size > 0;
    if (!whole || !this.multiplies || !this.hasPinnedBuffers) return undefined;
    return (target) => {
      const attributes = [...this.#pinnedBuffer(target, 0, undefined), ...this.#precision];
      this.#ops.one('LockstepDenseGradient', attributes, [x, dy]).dispose();
    };
  }

  /** Writes the gradient directly to the buffer that is sent, like `denseGradient`; undefined without addresses. */
  embeddingGradient(ids: Tensor1D, dy: Tensor2D): GradientWriter | undefined {
    if (!this.hasPinnedBuffers || dy.size === 0) return undefined;
    return (target) => {
      const buffer = this.#pinnedBuffer(target, 0, undefined);
      this.#ops.one('LockstepEmbeddingGradient', buffer, [ids, dy]).dispose();
    };
  }

  moments(x: Tensor): BatchMoments {
    const [mean, m2] = this.#doubles('LockstepMoments', [], [x]);
    return { mean, m2 };
  }

  batchNorm(x: Tensor, affine: Float32Array, { activation, pool }: BatchNormTail): BatchNormPass {
    const parameters = this.#tf.tensor1d(affine);
    const bits = { linear: 0, relu: 1, relu6: 1 + 4 }[activation] + (pool ? 2 : 0);
    const mode = [this.#ops.int('mode', bits)];
    return {
      y: this.#ops.one('LockstepBatchNorm', mode, [x, parameters]),
      sums: (dy) => {
        const [dz, dzCentred] = this.#doubles('LockstepBatchNormSums', mode, [dy, x, parameters]);
        return { dz, dzCentred };
      },
      inputGradient: (dy, coefficients) =>
        this.#tf.tidy(() =>
          this.#ops.one('LockstepBatchNormGradient', mode, [
            dy,
            x,
            parameters,
            this.#tf.tensor1d(coefficients),
          ]),
        ),
    };
  }

  depthwise(convolution: Convolution): DepthwiseConvolution | undefined {
    return ownDepthwise(this.#tf, this.#ops, convolution);
  }

  /** Undefined if the CPU lacks the instructions. */
  attention(...[inputs]: Parameters<Kernels['attention']>): ReturnType<Kernels['attention']> | undefined {
    return this.multiplies ? ownAttention(this.#tf, this.#ops, inputs) : undefined;
  }

  /** Undefined if the CPU lacks the instructions, or if TensorFlow's product is faster. */
  dense(
    parts: Pick<Kernels, 'columnSums' | 'reluGradient'>,
    ...[x, parameters]: Parameters<Kernels['dense']>
  ): ReturnType<Kernels['dense']> | undefined {
    return this.multiplies ? ownDense(this.#tf, this.#ops, parts, x, parameters) : undefined;
  }

  layerNorm(
    ...[x, { gamma, beta, epsilon }]: Parameters<Kernels['layerNorm']>
  ): ReturnType<Kernels['layerNorm']> {
    const tf = this.#tf;
    const none = tf.tensor1d([]);
    const small = tf.tensor1d([epsilon]);
    return {
      y: this.#ops.one('LockstepLayerNorm', [], [x, gamma ?? none, beta ?? none, small]),
      gradients: (dy) => {
        const inputs = [dy, x, gamma ?? none, small];
        const gradients = this.#ops.many('LockstepLayerNormGradient', [], inputs, 3);
        const [dx, dGamma, dBeta] = gradients as [Tensor, Tensor1D, Tensor1D];
        return { dx, dGamma, dBeta };
      },
    };
  }

  /** Returns whether `store`, `adam` and the gradients that are written to a buffer can be used: they need the addon, which provides addresses. */
  get hasPinnedBuffers(): boolean {
    return this.#native !== undefined;
  }

  store(value: Tensor, target: PinnedVector, hash?: Uint8Array): void {
    if (target.length === 0) return;
    this.#ops.one('LockstepStore', this.#pinnedBuffer(target, 0, hash), [value]).dispose();
  }

  /**
   * Updates the state in place. The three state tensors are never returned, because another holder of their memory would see it
   * change. They are deep copies, because Identity and Slice may share memory.
   */
  adam(
    initial: Float32Array,
    sizes: readonly number[],
    beta1: number,
    beta2: number,
    onVector: () => void = () => undefined,
  ): AdamState {
    const { tensor1d, keep, tidy } = this.#tf;
    // The original is freed before the next one is made, since a vector can be as large as the model.
    const owned = (values: Float32Array): Tensor1D => {
      const tensor = tidy(() => keep(this.#copy(tensor1d(values))));
      onVector();
      return tensor;
    };
    const zeros = new Float32Array(initial.length);
    let state = [initial, zeros, zeros].map(owned);
    const dispose = (): void => state.forEach((tensor) => tensor.dispose());
    const copy = (tensor: Tensor1D, target: PinnedVector | undefined): Float32Array => {
      // A copy, since dataSync may return the tensor's own memory.
      if (!target) return Float32Array.from(tensor.dataSync<'float32'>());
      this.store(tensor, target);
      return target;
    };
    return {
      apply: (gradient, { stepSize, correction, epsilon }, hashes) => {
        const scalars = tensor1d([1 - beta1, beta2, 1 - beta2, correction, epsilon, -stepSize]);
        let offset = 0;
        const updated = sizes.map((size, i) => {
          const part = pinnedSlice(gradient, offset, offset + size);
          const buffer = this.#pinnedBuffer(part, offset, hashes && hashPlace(hashes, i));
          offset += size;
          return this.#ops.one<Tensor1D>('LockstepAdam', buffer, [...state, scalars]);
        });
        scalars.dispose();
        return updated;
      },
      read: (into, only) => readAdamVectors(only, (name, i) => copy(state[i] as Tensor1D, into?.get(name))),
      write: (vectors) => {
        dispose();
        state = adamVectors.map((name) => owned(vectorOf(vectors, name)));
      },
      dispose,
    };
  }

  /**
   * Attributes of native/pinned_buffer.h. TensorFlow caches one kernel per combination of attributes, so `values` must be one of
   * few buffers that are reused every step.
   */
  #pinnedBuffer(values: PinnedVector, offset: number, hash: Uint8Array | undefined): Attribute[] {
    invariant(this.#native, 'a pinned buffer needs the addon, which provides addresses');
    return [
      this.#ops.int('address', this.#native.address(values)),
      this.#ops.int('offset', offset),
      this.#ops.int('count', values.length),
      this.#ops.int('hash', hash ? this.#native.address(hash) : 0),
    ];
  }

  #copy(tensor: Tensor1D): Tensor1D {
    return this.#ops.one<Tensor1D>('DeepCopy', [this.#ops.type('T', dtypes.float32)], [tensor]);
  }

  /** Runs an op with two float64 vectors as its result, stored as [2, channels, 2] int32 words because tfjs has no float64 tensors. */
  #doubles(
    name: string,
    attributes: Parameters<RawOps['one']>[1],
    inputs: readonly Tensor[],
  ): [Float64Array, Float64Array] {
    const output = this.#ops.one(name, attributes, inputs);
    const words = Int32Array.from(output.dataSync<'int32'>());
    output.dispose();
    const values = new Float64Array(words.buffer);
    return [values.slice(0, values.length / 2), values.slice(values.length / 2)];
  }
}

/** Runs op `name` once; undefined if it succeeds. @throws EngineError if the op is there and fails */
function failureOf(name: string, { tidy }: Tensorflow, run: () => Tensor): OwnOpFailure | undefined {
  try {
    tidy(() => void run());
    return undefined;
  } catch (error) {
    return ownOpFailure(name, error);
  }
}
