/**
 * tfjs's gradient tape for the call of one layer: records the kernels that a function calls and differentiates its outputs from
 * that record.
 */

import type { Tensor } from '@tensorflow/tfjs-core';
import { ModelError } from '../../../shared/errors.js';
import type { Tensorflow } from '../../../api/tensorflow.js';
import type { Layer } from '../layer.js';

/** A kernel call on tfjs's tape (tfjs-core's TapeNode; the version is pinned). */
interface TapeNode {
  readonly kernelName: string;
  /** An optional input that the call did not have is undefined. */
  readonly inputs: Readonly<Record<string, Tensor | undefined>>;
  readonly outputs: readonly Tensor[];
  readonly gradient?: (dys: (Tensor | null)[]) => Record<string, () => Tensor>;
  readonly saved?: readonly Tensor[] | null;
}

interface TapeEngine {
  startTape(): void;
  endTape(): void;
  readonly state: { activeTape: TapeNode[] | null };
}

export interface Recording {
  readonly outputs: readonly Tensor[];
  readonly tape: readonly TapeNode[];
}

/** Runs `body` and records it. */
export function record(tf: Tensorflow, body: () => Tensor[]): Recording {
  const engine = tf.engine() as unknown as TapeEngine;
  engine.startTape();
  try {
    const outputs = body();
    return { outputs, tape: engine.state.activeTape ?? [] };
  } finally {
    engine.endTape();
    engine.state.activeTape = null;
  }
}

/** Returns the gradients of sum(outputs * dys) by each of `targets`, in their order; zeros where there is no path. */
export function backpropagate(
  tf: Tensorflow,
  { outputs, tape }: Recording,
  dys: readonly Tensor[],
  targets: readonly Tensor[],
  layer: Layer,
): Tensor[] {
  const depends = new Set(targets.map((target) => target.id));
  for (const node of tape) {
    if (Object.values(node.inputs).some((input) => input && depends.has(input.id))) {
      for (const output of node.outputs) depends.add(output.id);
    }
  }
  const gradients = new Map<number, Tensor>();
  const accumulate = (id: number, value: Tensor): void => {
    const held = gradients.get(id);
    gradients.set(id, held ? tf.add(held, value) : value);
  };
  for (const [i, output] of outputs.entries()) {
    const dy = dys[i];
    if (dy) accumulate(output.id, dy);
  }
  for (const node of [...tape].reverse()) {
    const nodeGradients = node.outputs.map((output) => gradients.get(output.id) ?? null);
    const wanted = Object.entries(node.inputs).flatMap(([name, input]) =>
      input && depends.has(input.id) ? [{ name, id: input.id }] : [],
    );
    if (wanted.length === 0 || nodeGradients.every((gradient) => gradient === null)) continue;
    if (!node.gradient) {
      throw new ModelError(
        `Layer "${layer.name}" (${layer.getClassName()}): tfjs has no gradient for its operation ${node.kernelName}. ` +
          'Replace the layer, or set trainable to false on it and everything before it.',
      );
    }
    const byInput = node.gradient(nodeGradients);
    for (const { name, id } of wanted) {
      const gradient = byInput[name]?.();
      if (gradient) accumulate(id, gradient);
    }
  }
  return targets.map((target) => gradients.get(target.id) ?? tf.zerosLike(target));
}

/** Frees the tensors that the record keeps for the backward pass. */
export function release({ tape }: Recording): void {
  for (const node of tape) for (const saved of node.saved ?? []) saved.dispose();
}
