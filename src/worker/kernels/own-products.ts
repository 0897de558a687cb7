/**
 * Lockstep's TensorFlow ops for recorded layers (native/batch_product_ops.cc): they take the place of tfjs's kernels BatchMatMul and
 * Softmax and of the gradient of Softmax, for float32 on a CPU with AVX2 or AVX-512.
 */

import type { Tensor, TensorInfo } from '@tensorflow/tfjs-core';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { RawOps } from './raw-ops.js';
import { replaceKernel } from './tfjs-kernels.js';

/** The largest matrix, in floats, of which a product reads every column again for each tile of rows: half a second-level cache. */
const largest = 2 ** 17;

const replaced = new WeakSet<Tensorflow>();

interface ProductCall {
  readonly inputs: { readonly a: Tensor; readonly b: Tensor };
  readonly attrs: { readonly transposeA: boolean; readonly transposeB: boolean };
}

/** Replaces the kernels, once per `tf`. The current backend must be tfjs-node's with ops that the CPU can run. */
export function useOwnProducts(tf: Tensorflow, ops: RawOps): void {
  if (replaced.has(tf)) return;
  replaced.add(tf);
  replace(tf, tf.BatchMatMul, (call: ProductCall) => {
    const { inputs, attrs } = call;
    if (!takesProduct(call)) return undefined;
    const attributes = [
      ops.int('transpose_a', attrs.transposeA ? 1 : 0),
      ops.int('transpose_b', attrs.transposeB ? 1 : 0),
    ];
    return ops.one('LockstepBatchProduct', attributes, [inputs.a, inputs.b]);
  });
  replace(tf, tf.Softmax, ({ inputs: { logits } }: { readonly inputs: { readonly logits: Tensor } }) =>
    isWhole(logits) ? ops.one('LockstepSoftmax', [], [logits]) : undefined,
  );
  replaceSoftmaxGradient(tf, ops);
}

/** Registers a kernel that calls the present one where `run` returns undefined. */
function replace<Call>(tf: Tensorflow, kernelName: string, run: (call: Call) => Tensor | undefined): void {
  const backendName = 'tensorflow';
  const original = tf.getKernel(kernelName, backendName);
  const kernelFunc = (call: unknown): TensorInfo | TensorInfo[] =>
    run(call as Call) ?? original.kernelFunc(call as never);
  replaceKernel(tf, { ...original, kernelFunc });
}

const isWhole = ({ dtype, shape }: TensorInfo): boolean =>
  dtype === 'float32' && shape.every((size) => size > 0);

/** Returns true for equal numbers of matrices that fit into the cache of a core. */
function takesProduct({ inputs: { a, b }, attrs: { transposeA } }: ProductCall): boolean {
  const batch = (x: TensorInfo): string => x.shape.slice(0, -2).join();
  const size = (x: TensorInfo): number => (x.shape.at(-1) ?? 0) * (x.shape.at(-2) ?? 0);
  if (!isWhole(a) || !isWhole(b) || a.shape.length !== b.shape.length || batch(a) !== batch(b)) return false;
  if (size(b) <= largest) return true;
  // The product of two tall matrices, a gradient of weights, reads both along their rows.
  return transposeA && (a.shape.at(-1) ?? 0) <= 512 && (b.shape.at(-1) ?? 0) <= 512;
}

function replaceSoftmaxGradient(tf: Tensorflow, ops: RawOps): void {
  const original = tf.getGradient(tf.Softmax);
  tf.unregisterGradient(tf.Softmax);
  tf.registerGradient({
    ...original,
    gradFunc: (dy, saved, attributes) => {
      const [y] = saved as [Tensor];
      if (Array.isArray(dy) || tf.getBackend() !== 'tensorflow' || !isWhole(y) || !isWhole(dy))
        return original.gradFunc(dy, saved, attributes);
      return { logits: () => ops.one('LockstepSoftmaxGradient', [], [y, dy]) };
    },
  });
}
