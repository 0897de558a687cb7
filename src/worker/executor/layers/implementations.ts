/** Selects the implementation of a layer: Lockstep's own by class name, else the recorded one. */

import type { Layer } from '../layer.js';
import type { LayerImplementation, LayerOp, LayerServices } from '../layer-op.js';
import { batchNormalization } from './batch-normalization.js';
import { conv2d } from './conv2d.js';
import { dense } from './dense.js';
import { dropout } from './dropout.js';
import { recorded } from './recorded-layer.js';
import { activation, flatten, maxPooling2d, relu } from './simple.js';
import { stackOp, unstackOp } from './time-steps.js';

const implementations: Readonly<Record<string, LayerImplementation>> = {
  Activation: activation,
  BatchNormalization: batchNormalization,
  Conv2D: conv2d,
  Dense: dense,
  Dropout: dropout,
  Flatten: flatten,
  MaxPooling2D: maxPooling2d,
  ReLU: relu,
};

/** Classes with an implementation of Lockstep's own, in the usual configurations. */
export const implementedClasses: readonly string[] = Object.keys(implementations);

/** @throws ModelError if the layer's options cannot be trained data-parallel */
export function implementationOf(layer: Layer, services: LayerServices): LayerOp {
  const { kind } = services.node;
  if (kind !== 'layer') return kind === 'unstack' ? unstackOp(services) : stackOp(services);
  if (services.inference) return recorded(layer, services);
  return implementations[layer.getClassName()]?.(layer, services) ?? recorded(layer, services);
}
