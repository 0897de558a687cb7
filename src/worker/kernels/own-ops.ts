/** Lockstep's own TensorFlow ops (native/lockstep_ops.cc, native/product_ops.cc), on the CPU. */

import type { Tensor, Tensor1D, Tensor2D, Tensor4D } from '@tensorflow/tfjs';
import type { Tensorflow } from '../engine/native.js';
import type {
  AdamState,
  BatchMoments,
  BatchNormPass,
  BatchNormTail,
  Convolution,
  GradientWriter,
  Kernels,
} from './kernels.js';
import type { Precision } from '../../shared/config/run-config.js';
import { invariant } from '../../shared/errors.js';
import { hashPlace } from '../../shared/ledger/hash.js';
import { adamVectors, vectorOf } from '../../shared/model/named-vectors.js';
import type { NativeMemory } from '../../shared/memory/native-memory.js';
import { dtypes, type Attribute, type RawOps } from './raw-ops.js';

/** Channels are dealt with in groups of this many. */
const lanes = 16;

/** Whether the ops take this tensor's channels; they are composed from TensorFlow's otherwise. */
export function takesChannels(x: Tensor): boolean {
  return (x.rank === 2 || x.rank === 4) && (x.shape.at(-1) ?? 0) % lanes === 0 && x.size > 0;
}

export class OwnOps {
  readonly #tf: Tensorflow;
  readonly #ops: RawOps;
  readonly #native: NativeMemory | undefined;
  readonly #precision: readonly Attribute[];
  readonly #multiplies: boolean;

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
    // Not on every CPU.
    this.#multiplies = runs(tf, convolve);
  }

  /** Undefined on a GPU and where the binding was built without them. */
  static find(
    tf: Tensorflow,
    ops: RawOps,
    native: NativeMemory | undefined,
    convolutions: Precision,
  ): OwnOps | undefined {
    const there = !ops.onGpu && runs(tf, () => ops.one('LockstepMoments', [], [tf.zeros([1, lanes])]));
    return there ? new OwnOps(tf, ops, native, convolutions) : undefined;
  }

  /** Whether the ops take a convolution: 3x3 with stride 1, channels in whole groups. */
  takesConvolution({ filterShape, window }: Convolution): boolean {
    const [height, width, inputs = 0, outputs = 0] = filterShape;
    const plain = [...window.strides, ...window.dilations].every((value) => value === 1);
    const same = window.padding === 'same' && height === 3 && width === 3;
    return this.#multiplies && plain && same && inputs % lanes === 0 && outputs % lanes === 0;
  }

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

  /** Straight to where it leaves from: a large matrix's gradient is all memory traffic. Undefined where it must be composed. */
  denseGradient(x: Tensor2D, dy: Tensor2D): GradientWriter | undefined {
    const whole = x.shape[1] % lanes === 0 && dy.shape[1] % lanes === 0 && x.size > 0 && dy.size > 0;
    if (!whole || !this.#multiplies || !this.placesMemory) return undefined;
    return (target) => {
      const attributes = [...this.#place(target, 0, undefined), ...this.#precision];
      this.#ops.one('LockstepDenseGradient', attributes, [x, dy]).dispose();
    };
  }

  moments(x: Tensor): BatchMoments {
    const [mean, m2] = this.#wide('LockstepMoments', [], [x]);
    return { mean, m2 };
  }

  batchNorm(x: Tensor, affine: Float32Array, { relu, pool }: BatchNormTail): BatchNormPass {
    const parameters = this.#tf.tensor1d(affine);
    const mode = [this.#ops.int('mode', (relu ? 1 : 0) + (pool ? 2 : 0))];
    return {
      y: this.#ops.one('LockstepBatchNorm', mode, [x, parameters]),
      sums: (dy) => {
        const [dz, dzCentred] = this.#wide('LockstepBatchNormSums', mode, [dy, x, parameters]);
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

  /** Whether `store` and `adam` can be used: they need addresses. */
  get placesMemory(): boolean {
    return this.#native !== undefined;
  }

  store(value: Tensor, target: Float32Array, hash?: Uint8Array): void {
    if (target.length === 0) return;
    this.#ops.one('LockstepStore', this.#place(target, 0, hash), [value]).dispose();
  }

  /**
   * In place: the three state tensors belong to this object alone and are never handed out, since whoever shared their
   * memory would see it change. They begin as real copies (DeepCopy), for Identity and Slice may share.
   */
  adam(initial: Float32Array, sizes: readonly number[], beta1: number, beta2: number): AdamState {
    const { tensor1d, keep } = this.#tf;
    const owned = (values: Float32Array): Tensor1D => keep(this.#copy(tensor1d(values)));
    const zeros = new Float32Array(initial.length);
    let state = this.#tf.tidy(() => [initial, zeros, zeros].map(owned));
    const dispose = (): void => state.forEach((tensor) => tensor.dispose());
    const copy = (tensor: Tensor1D, target: Float32Array | undefined): Float32Array => {
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
          const part = gradient.subarray(offset, offset + size);
          const place = this.#place(part, offset, hashes && hashPlace(hashes, i));
          offset += size;
          return this.#ops.one<Tensor1D>('LockstepAdam', place, [...state, scalars]);
        });
        scalars.dispose();
        return updated;
      },
      read: (into) =>
        new Map(adamVectors.map((name, i) => [name, copy(state[i] as Tensor1D, into?.get(name))])),
      write: (vectors) => {
        dispose();
        state = this.#tf.tidy(() => adamVectors.map((name) => owned(vectorOf(vectors, name))));
      },
      dispose,
    };
  }

  /** TensorFlow keeps one kernel for each set of attributes, so places must be few: the same ones every step. */
  #place(values: Float32Array, offset: number, hash: Uint8Array | undefined): Attribute[] {
    invariant(this.#native, 'addresses need the addon');
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

  /** Two float64 vectors, which come as [2, channels, 2] int32 words since tfjs has no name for float64. */
  #wide(
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

/** Whether TensorFlow knows an op and has a kernel for it. */
function runs({ tidy }: Tensorflow, op: () => Tensor): boolean {
  try {
    tidy(() => void op());
    return true;
  } catch {
    // TensorFlow's only way to say that it doesn't.
    return false;
  }
}
