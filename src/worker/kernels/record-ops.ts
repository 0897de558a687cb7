/** Lists the TensorFlow ops that a function executes, for checks and tests. It slows down every op. */

import type { Tensorflow } from '../../api/tensorflow.js';
import type { Attribute, Binding } from './raw-ops.js';

export interface ExecutedOp {
  readonly name: string;
  readonly attributes: readonly Attribute[];
}

/** Runs `body`, which must be synchronous, and returns the ops that it executed on the native engine, in order. */
export function recordOps(tf: Tensorflow, body: () => void): ExecutedOp[] {
  const backend = tf.backend() as unknown as { binding: Binding };
  const { binding } = backend;
  const executed: ExecutedOp[] = [];
  // The addon's own properties are read-only, so an object that inherits them takes its place.
  backend.binding = Object.create(binding, {
    executeOp: {
      value: (...given: Parameters<Binding['executeOp']>) => {
        const [name, attributes] = given;
        executed.push({ name, attributes });
        return binding.executeOp(...given);
      },
    },
  }) as Binding;
  try {
    body();
  } finally {
    backend.binding = binding;
  }
  return executed;
}
