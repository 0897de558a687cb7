/** Adam's state on the WebAssembly heap, updated in place. The state owns its memory until it is disposed. */

import type { Tensor1D } from '@tensorflow/tfjs-core';
import { hashPlace } from '../../../shared/ledger/hash.js';
import { adamVectors, readAdamVectors, vectorOf } from '../../../shared/model/named-vectors.js';
import type { AdamState } from '../kernels.js';
import { hashAt } from './hash.js';
import type { WasmModule } from './module.js';
import { copyOf } from '../host-updates.js';

/**
 * See `Kernels.adam` for the contract.
 * @throws EngineError if the heap has no memory left
 */
export function wasmAdam(
  module: WasmModule,
  initial: Float32Array,
  sizes: readonly number[],
  beta1: number,
  beta2: number,
): AdamState {
  const count = initial.length;
  // The module computes four elements at a time.
  const bytes = Math.ceil(count / 4) * 16;
  const memory = module.allocate(4 * bytes);
  const [p, m, v, g] = [memory, memory + bytes, memory + 2 * bytes, memory + 3 * bytes];
  module.floats(memory, bytes).fill(0);
  module.floats(p, count).set(initial);
  const values = (at: number, into: Float32Array | undefined): Float32Array =>
    copyOf(module.floats(at, count), into);

  return {
    apply: (gradient, { stepSize, correction, epsilon }, hashes) => {
      const scalars = module.scratch('vectors', 6 * 4);
      module.floats(scalars, 6).set([1 - beta1, beta2, 1 - beta2, correction, epsilon, -stepSize]);
      module.floats(g, count).set(gradient);
      module.run.adam(p, m, v, g, count, scalars);
      let offset = 0;
      return sizes.map((size, i) => {
        const { tensor, to } = module.output<Tensor1D>([size]);
        module.floats(to, size).set(module.floats(p + offset * 4, size));
        offset += size;
        if (hashes) hashAt(module, to, size, hashPlace(hashes, i));
        return tensor;
      });
    },
    read: (into, only) => readAdamVectors(only, (name, i) => values(memory + i * bytes, into?.get(name))),
    write: (state) =>
      adamVectors.forEach((name, i) => module.floats(memory + i * bytes, count).set(vectorOf(state, name))),
    dispose: () => module.free(memory),
  };
}
