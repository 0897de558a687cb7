/** Lockstep's own TensorFlow ops (native/lockstep_ops.cc), on the CPU. */

import type { Tensor, Tensor1D } from '@tensorflow/tfjs';
import type { Tensorflow } from '../engine/native.js';
import type { AdamState, BatchMoments, BatchNormPass, BatchNormTail } from './kernels.js';
import type { RawOps } from './raw-ops.js';
import { dtypes } from './raw-ops.js';

/** Channels are dealt with in groups of this many. */
const lanes = 16;

/** Whether the ops take this tensor's channels; they are composed from TensorFlow's otherwise. */
export function takesChannels(x: Tensor): boolean {
  return (x.rank === 2 || x.rank === 4) && (x.shape.at(-1) ?? 0) % lanes === 0 && x.size > 0;
}

export class OwnOps {
  readonly #tf: Tensorflow;
  readonly #ops: RawOps;

  private constructor(tf: Tensorflow, ops: RawOps) {
    this.#tf = tf;
    this.#ops = ops;
  }

  /** Undefined on a GPU and where the binding was built without them. */
  static find(tf: Tensorflow, ops: RawOps): OwnOps | undefined {
    return !ops.onGpu && hasOwnOps(tf, ops) ? new OwnOps(tf, ops) : undefined;
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

  /**
   * In place: the three state tensors belong to this object alone and are never handed out, since whoever shared their
   * memory would see it change. `parameters()` is a real copy (DeepCopy), for Identity and Slice may share.
   */
  adam(initial: Float32Array, beta1: number, beta2: number): AdamState {
    const { tensor1d, keep } = this.#tf;
    const owned = (values: Float32Array): Tensor1D => keep(this.#copy(tensor1d(values)));
    const zeros = new Float32Array(initial.length);
    let state = this.#tf.tidy(() => [owned(initial), owned(zeros), owned(zeros)] as const);
    const dispose = (): void => state.forEach((tensor) => tensor.dispose());
    const values = (tensor: Tensor1D): Float32Array => {
      const copy = this.#copy(tensor);
      const result = Float32Array.from(copy.dataSync<'float32'>());
      copy.dispose();
      return result;
    };
    return {
      apply: (gradient, { stepSize, correction, epsilon }) => {
        this.#tf.tidy(() => {
          const scalars = tensor1d([1 - beta1, beta2, 1 - beta2, correction, epsilon, -stepSize]);
          this.#ops.one('LockstepAdam', [], [...state, tensor1d(gradient), scalars]);
        });
      },
      parameters: () => this.#copy(state[0]),
      read: () => ({ parameters: values(state[0]), first: values(state[1]), second: values(state[2]) }),
      write: ({ parameters, first, second }) => {
        dispose();
        state = this.#tf.tidy(() => [owned(parameters), owned(first), owned(second)] as const);
      },
      dispose,
    };
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

function hasOwnOps(tf: Tensorflow, ops: RawOps): boolean {
  try {
    tf.tidy(() => ops.one('LockstepMoments', [], [tf.zeros([1, lanes])]));
    return true;
  } catch {
    // TensorFlow's only way to say that it doesn't know an op.
    return false;
  }
}
