/** Selects the implementation of a layer: Lockstep's own by class name, else the recorded one. */

import type { Tensor } from '@tensorflow/tfjs-core';
import { fieldsOf, type Layer } from '../layer.js';
import type { LayerImplementation, LayerOp, LayerServices } from '../layer-op.js';
import { batchNormalization } from './batch-normalization.js';
import { convolutions } from './convolutions.js';
import { dense } from './dense.js';
import { dropout } from './dropout.js';
import { layerNormalization } from './layer-normalization.js';
import { multiHeadAttention } from './multi-head-attention.js';
import { embedding } from './embedding.js';
import { add, concatenate } from './merge.js';
import { inLayer, recorded } from './recorded-layer.js';
import { bidirectional, recurrent } from './recurrent.js';
import { activation, flatten, globalAveragePooling, maxPooling2d, relu } from './simple.js';
import { stackOp, unstackOp } from './time-steps.js';

const implementations: Readonly<Record<string, LayerImplementation>> = {
  ...convolutions,
  Activation: activation,
  Add: add,
  BatchNormalization: batchNormalization,
  Bidirectional: bidirectional,
  Concatenate: concatenate,
  Dense: dense,
  Dropout: dropout,
  Embedding: embedding,
  Flatten: flatten,
  GRU: recurrent,
  GlobalAveragePooling1D: globalAveragePooling,
  GlobalAveragePooling2D: globalAveragePooling,
  LSTM: recurrent,
  LayerNormalization: layerNormalization,
  MaxPooling2D: maxPooling2d,
  MultiHeadAttention: multiHeadAttention,
  ReLU: relu,
  SimpleRNN: recurrent,
};

/** Classes with an implementation of Lockstep's own, in the usual configurations. */
export const implementedClasses: readonly string[] = Object.keys(implementations);

/** Implemented classes whose kernels only some engines have. Every other engine records these layers. */
const nativeClasses: readonly string[] = ['DepthwiseConv2D'];
const recurrentClasses: readonly string[] = ['Bidirectional', 'GRU', 'LSTM', 'SimpleRNN'];

/** Returns the engines that have the kernels of an implemented class; undefined for all engines. */
export function enginesOf(className: string): string | undefined {
  if (nativeClasses.includes(className)) return 'native TensorFlow on the CPU';
  return recurrentClasses.includes(className) ? 'native TensorFlow on the CPU and WebAssembly' : undefined;
}

/** @throws ModelError if the layer's options cannot be trained data-parallel */
export function implementationOf(layer: Layer, services: LayerServices): LayerOp {
  const { kind } = services.node;
  if (kind !== 'layer') return kind === 'unstack' ? unstackOp(services) : stackOp(services);
  if (services.inference) return recorded(layer, services);
  const own = implementations[layer.getClassName()]?.(layer, services);
  return own ? checkingInput(layer, own) : recorded(layer, services);
}

interface Checks {
  readonly inputSpec: readonly unknown[] | null | undefined;
  assertInputCompatibility(inputs: Tensor[]): void;
}

/**
 * Checks the input of the first call as tfjs checks that of every call: a kernel would read beyond an input that is smaller than the
 * one that the layer was built for.
 */
function checkingInput(layer: Layer, op: LayerOp): LayerOp {
  let checked = false;
  const forward: LayerOp['forward'] = (context, inputs, ...masks) => {
    if (!checked && context.shards.length > 0) {
      const fields = fieldsOf<Checks>(layer);
      // The initial states of a recurrent layer are inputs without a specification.
      const specified = inputs.slice(0, fields.inputSpec?.length);
      const first = specified.map((perShard) => perShard[0] as Tensor);
      inLayer(layer, 'call', () => fields.assertInputCompatibility(first));
      checked = true;
    }
    return op.forward(context, inputs, ...masks);
  };
  return { overlapsCommunication: op.overlapsCommunication ?? false, forward, commit: () => op.commit?.() };
}
