/**
 * Runs a layer that has no implementation of its own through tfjs, records the call on tfjs's tape, and differentiates it from
 * that record. There is one record per (layer, shard), because a tape over all shards would sum their gradients in tape
 * order instead of tree order.
 */

import type { NamedTensorMap, Tensor } from '@tensorflow/tfjs';
import { ModelError } from '../../../shared/errors.js';
import { withoutMathRandom } from '../../random/math-random.js';
import type { Tensorflow } from '../../engine/native.js';
import { fieldsOf, type Layer, type LayerVariable } from '../layer.js';
import type { LayerOp, LayerServices } from '../layer-op.js';

/** A kernel call on tfjs's tape (tfjs-core's TapeNode; the version is pinned). */
interface TapeNode {
  readonly kernelName: string;
  readonly inputs: NamedTensorMap;
  readonly outputs: readonly Tensor[];
  readonly gradient?: (dys: (Tensor | null)[]) => Record<string, () => Tensor>;
  readonly saved?: readonly Tensor[] | null;
}

interface TapeEngine {
  startTape(): void;
  endTape(): void;
  readonly state: { activeTape: TapeNode[] | null };
}

interface ConstrainedVariable extends LayerVariable {
  readonly constraint?: unknown;
}

interface Recording {
  readonly outputs: readonly Tensor[];
  readonly tape: readonly TapeNode[];
}

export function recorded(layer: Layer, { tf, weightIndex, needsInputGradient }: LayerServices): LayerOp {
  const weights = layer.trainableWeights as unknown as LayerVariable[];
  const drawsRandom =
    `Layer "${layer.name}" (${layer.getClassName()}) draws random numbers while training, so its result would depend ` +
    'on the worker. Use Dropout, or draw the numbers in the data.';
  const call = (inputs: Tensor[], training: boolean): Tensor[] => {
    const result = withoutMathRandom(
      drawsRandom,
      () =>
        layer.apply(inputs.length === 1 ? (inputs[0] as Tensor) : inputs, { training }) as Tensor | Tensor[],
    );
    return (Array.isArray(result) ? result : [result]).map((output) =>
      inputs.includes(output) ? output.clone() : output,
    );
  };

  return {
    forward: (context, inputs) => {
      const shardInputs = context.shards.map((_, i) => inputs.map((tensors) => tensors[i] as Tensor));
      if (!context.training) {
        return { outputs: transpose(shardInputs.map((tensors) => call(tensors, false))), backward: () => [] };
      }
      const recordings = shardInputs.map((tensors) => record(tf, () => call(tensors, true)));
      return {
        outputs: transpose(recordings.map(({ outputs }) => outputs)),
        backward: (gradients) => {
          const inputGradients = context.shards.map((shard, i) => {
            const tensors = shardInputs[i] ?? [];
            const variables = weights.map((weight) => weight.read());
            const recording = recordings[i] as Recording;
            const found = backpropagate(
              tf,
              recording,
              gradients.map((perShard) => perShard[i] as Tensor),
              needsInputGradient ? [...variables, ...tensors] : variables,
              layer,
            );
            for (const [w, weight] of weights.entries()) {
              context.gradient(weightIndex(weight), shard, found[w] as Tensor);
            }
            for (const node of recording.tape) for (const saved of node.saved ?? []) saved.dispose();
            return found.slice(variables.length);
          });
          return needsInputGradient ? transpose(inputGradients) : [];
        },
      };
    },
  };
}

function record(tf: Tensorflow, body: () => Tensor[]): Recording {
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
function backpropagate(
  tf: Tensorflow,
  { outputs, tape }: Recording,
  dys: readonly Tensor[],
  targets: readonly Tensor[],
  layer: Layer,
): Tensor[] {
  const depends = new Set(targets.map((target) => target.id));
  for (const node of tape) {
    if (Object.values(node.inputs).some((input) => depends.has(input.id))) {
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
    const wanted = Object.entries(node.inputs).filter(([, input]) => depends.has(input.id));
    if (wanted.length === 0 || nodeGradients.every((gradient) => gradient === null)) continue;
    if (!node.gradient) {
      throw new ModelError(
        `Layer "${layer.name}" (${layer.getClassName()}): tfjs has no gradient for its operation ${node.kernelName}. ` +
          'Replace the layer, or set trainable to false on it and everything before it.',
      );
    }
    const byInput = node.gradient(nodeGradients);
    for (const [name, input] of wanted) {
      const gradient = byInput[name]?.();
      if (gradient) accumulate(input.id, gradient);
    }
  }
  return targets.map((target) => gradients.get(target.id) ?? tf.zerosLike(target));
}

/** Converts [shard][tensor] to [tensor][shard]. */
function transpose(rows: readonly (readonly Tensor[])[]): Tensor[][] {
  return (rows[0] ?? []).map((_, i) => rows.map((row) => row[i] as Tensor));
}

/** Returns the reason for which a layer cannot be trained data-parallel; undefined if it can be. */
export function refusalOf(layer: Layer): string | undefined {
  const name = layer.getClassName();
  const { stateful } = fieldsOf<{ stateful?: boolean }>(layer);
  if (stateful === true) {
    return 'it carries state from batch to batch, which would depend on the division of the batch into shards. Set stateful to false';
  }
  if (['GaussianNoise', 'GaussianDropout', 'AlphaDropout', 'SpatialDropout1D'].includes(name)) {
    return 'its random numbers would depend on the worker. Use Dropout';
  }
  const { activityRegularizer } = fieldsOf<{ activityRegularizer?: unknown }>(layer);
  if (activityRegularizer) {
    return 'tfjs ignores an activityRegularizer. Remove it';
  }
  const constrained = (layer.trainableWeights as unknown as ConstrainedVariable[]).find(
    ({ constraint }) => constraint,
  );
  if (constrained) {
    return `${constrained.originalName} has a constraint, which the optimizer here would undo. Remove it, or use a regularizer`;
  }
  return undefined;
}
