/** Adam's state in JavaScript vectors, for kernels whose backend has no fused update. */

import type { Tensorflow } from '../../api/tensorflow.js';
import { hashEach } from '../../shared/ledger/hash.js';
import { adamVectors, readAdamVectors, vectorOf } from '../../shared/model/named-vectors.js';
import { copyOf, updateAdam } from './host-updates.js';
import type { AdamState } from './kernels.js';

/** See `Kernels.adam`. */
export function hostAdam(
  tf: Tensorflow,
  initial: Float32Array,
  sizes: readonly number[],
  beta1: number,
  beta2: number,
): AdamState {
  const weights = Float32Array.from(initial);
  const first = new Float32Array(initial.length);
  const second = new Float32Array(initial.length);
  const vectors = [weights, first, second];
  return {
    apply: (gradient, { stepSize, correction, epsilon }, hashes) => {
      const coefficients = {
        beta1,
        beta2,
        stepSize,
        correction,
        epsilon,
        coupledDecay: 0,
        decoupledDecay: 0,
      };
      updateAdam(weights, first, second, gradient, [0, weights.length], coefficients);
      let offset = 0;
      const parts = sizes.map((size) => weights.slice(offset, (offset += size)));
      if (hashes) hashEach(parts, hashes);
      return parts.map((part) => tf.tensor1d(part));
    },
    read: (into, only) =>
      readAdamVectors(only, (name, i) => copyOf(vectors[i] as Float32Array, into?.get(name))),
    write: (state) => adamVectors.forEach((name, i) => vectors[i]?.set(vectorOf(state, name))),
    dispose: () => undefined,
  };
}
