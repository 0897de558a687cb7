/**
 * LSTM, GRU, SimpleRNN and Bidirectional of them, by the engine's recurrence over all time steps. They are recorded instead on an
 * engine without a recurrence, with an activation that it does not have, and with a mask other than [samples, time].
 */

import type { Tensor, Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import { fieldsOf, type Layer } from '../layer.js';
import {
  perTensor,
  type ActiveShard,
  type LayerImplementation,
  type LayerOp,
  type LayerServices,
  type PassContext,
} from '../layer-op.js';
import { RandomDraws } from './random-draws.js';
import { recorded } from './recorded-layer.js';
import { RecurrentCell, type CellCall, type CellPass } from './recurrent-cell.js';

interface RecurrentFields {
  readonly returnSequences: boolean;
  readonly returnState: boolean;
}

type MergeMode = 'concat' | 'sum' | 'ave' | 'mul' | null | undefined;

interface BidirectionalFields extends RecurrentFields {
  readonly forwardLayer: Layer;
  readonly backwardLayer: Layer;
  readonly mergeMode: MergeMode;
}

/** A layer's pass over one shard. */
interface ShardPass {
  readonly outputs: readonly Tensor[];
  /** Takes the gradients of the outputs; returns those of the layer's inputs, or nothing if they are not needed. */
  backward(context: PassContext, shard: ActiveShard, dys: readonly Tensor[]): Tensor[];
}

/** @param forward the pass over one shard; `states` are the inputs after the first one */
function recurrentOp(layer: Layer, services: LayerServices, forward: (call: CellCall) => ShardPass): LayerOp {
  const fallback = recorded(layer, services);
  return {
    forward: (context, inputs, masks = []) => {
      const calls = context.shards.map((shard, i): CellCall | undefined => {
        const [x, ...states] = inputs.map((tensors) => tensors[i] as Tensor) as [Tensor3D, ...Tensor[]];
        const mask = masks[i];
        if (mask && !services.tf.util.arraysEqual(mask.shape, x.shape.slice(0, 2))) return undefined;
        const draws = context.training ? new RandomDraws(services, { shard, step: context.step }) : undefined;
        return { x, states, mask: mask as Tensor2D | undefined, draws };
      });
      const known = calls.filter((call) => call !== undefined);
      if (known.length < calls.length) return fallback.forward(context, inputs, masks);
      const passes = known.map(forward);
      return {
        outputs: perTensor(
          services.node.outputs.length,
          passes.map(({ outputs }) => outputs),
        ),
        backward: (gradients) => {
          const found = passes.map((pass, i) =>
            pass.backward(
              context,
              context.shards[i] as ActiveShard,
              gradients.map((perShard) => perShard[i] as Tensor),
            ),
          );
          return services.needsInputGradient ? perTensor(inputs.length, found) : [];
        },
      };
    },
  };
}

export const recurrent: LayerImplementation = (layer, services) => {
  const cell = RecurrentCell.of(layer, services);
  if (!cell) return undefined;
  const { returnSequences, returnState } = fieldsOf<RecurrentFields>(layer);
  const direction = new Direction(services, returnSequences, cell.backwards);
  return recurrentOp(layer, services, (call) => {
    const pass = cell.forward(call);
    return {
      outputs: [direction.output(pass), ...(returnState ? lastStates(cell, pass) : [])],
      backward: (context, shard, [dy, ...dStates]) =>
        direction.backward(pass, context, shard, dy as Tensor, dStates),
    };
  });
};

export const bidirectional: LayerImplementation = (layer, services) => {
  const { forwardLayer, backwardLayer, mergeMode, returnSequences, returnState } =
    fieldsOf<BidirectionalFields>(layer);
  const ahead = RecurrentCell.of(forwardLayer, services);
  const back = RecurrentCell.of(backwardLayer, services);
  if (!ahead || !back) return undefined;
  const { tf, needsInputGradient } = services;
  const directions = [
    new Direction(services, returnSequences, ahead.backwards),
    // tfjs reverses the sequences of the second layer.
    new Direction(services, returnSequences, !back.backwards),
  ] as const;
  const { merge, split } = mergeOf(services, mergeMode);
  return recurrentOp(layer, services, ({ x, states, mask, draws }) => {
    const half = states.length / 2;
    const passes = [
      ahead.forward({ x, states: states.slice(0, half), mask, draws }),
      back.forward({ x, states: states.slice(half), mask, draws }),
    ] as const;
    const ys = directions.map((direction, i) => direction.output(passes[i] as CellPass)) as [Tensor, Tensor];
    const merged = merge(...ys);
    const last = returnState ? [...lastStates(ahead, passes[0]), ...lastStates(back, passes[1])] : [];
    return {
      outputs: [...merged, ...last],
      backward: (context, shard, gradients) => {
        const dys = split(gradients.slice(0, merged.length), ys);
        const dStates = gradients.slice(merged.length);
        const found = directions.map((direction, i) => {
          const from = i * (dStates.length / 2);
          const own = dStates.slice(from, from + dStates.length / 2);
          return direction.backward(passes[i] as CellPass, context, shard, dys[i] as Tensor, own);
        });
        if (!needsInputGradient) return [];
        const [first, second] = found as [Tensor[], Tensor[]];
        const dx = tf.add(first[0] as Tensor, second[0] as Tensor);
        return [dx, ...first.slice(1), ...second.slice(1)];
      },
    };
  });
};

/** All states after the last step. */
function lastStates(cell: RecurrentCell, pass: CellPass): Tensor[] {
  return Array.from({ length: cell.stateCount }, (_, state) => pass.last(state));
}

/** One direction of a layer: what the layer returns of the cell's pass, and the way back. */
class Direction {
  readonly #services: LayerServices;
  readonly #returnSequences: boolean;
  readonly #reversed: boolean;

  /** @param reversed true if the layer returns the last time step of the input first */
  constructor(services: LayerServices, returnSequences: boolean, reversed: boolean) {
    this.#services = services;
    this.#returnSequences = returnSequences;
    this.#reversed = reversed;
  }

  /** All hidden states, or the last one. */
  output(pass: CellPass): Tensor {
    if (!this.#returnSequences) return pass.last(0);
    return this.#reversed ? this.#services.tf.reverse(pass.hidden(), 1) : pass.hidden();
  }

  /** @param dStates gradients of the last states; none if the layer does not return them */
  backward(
    pass: CellPass,
    context: PassContext,
    shard: ActiveShard,
    dy: Tensor,
    dStates: readonly Tensor[],
  ): Tensor[] {
    const { tf } = this.#services;
    if (this.#returnSequences) {
      const dHidden = this.#reversed ? tf.reverse(dy, 1) : dy;
      return pass.backward(context, shard, dHidden, dStates.length > 0 ? dStates : undefined);
    }
    const [dHidden, ...others] = dStates;
    return pass.backward(context, shard, undefined, [dHidden ? tf.add(dy, dHidden) : dy, ...others]);
  }
}

interface Merge {
  merge(first: Tensor, second: Tensor): Tensor[];
  /** Takes the gradients of the merged outputs; returns those of the two directions. */
  split(dys: readonly Tensor[], ys: readonly [Tensor, Tensor]): readonly [Tensor, Tensor];
}

function mergeOf({ tf }: LayerServices, mode: MergeMode): Merge {
  switch (mode) {
    case 'concat':
      return {
        merge: (first, second) => [tf.concat([first, second], -1)],
        split: ([dy]) => tf.split(dy as Tensor, 2, -1) as [Tensor, Tensor],
      };
    case 'sum':
      return {
        merge: (first, second) => [tf.add(first, second)],
        split: ([dy]) => [dy as Tensor, dy as Tensor],
      };
    case 'ave':
      return {
        merge: (first, second) => [tf.mul(0.5, tf.add(first, second))],
        split: ([dy]) => {
          const half = tf.mul(0.5, dy as Tensor);
          return [half, half];
        },
      };
    case 'mul':
      return {
        merge: (first, second) => [tf.mul(first, second)],
        split: ([dy], [first, second]) => [tf.mul(dy as Tensor, second), tf.mul(dy as Tensor, first)],
      };
    default:
      return {
        merge: (first, second) => [first.clone(), second.clone()],
        split: ([first, second]) => [first as Tensor, second as Tensor],
      };
  }
}
