/** The parts of tfjs's layers and variables that the executor reads, which tfjs declares protected or not at all. */

import type { Tensor } from '@tensorflow/tfjs-core';
import type { layers } from '@tensorflow/tfjs-layers';

export type Layer = layers.Layer;

/** A weight of a layer: tfjs's LayerVariable, reduced to the members that Lockstep uses. */
export interface LayerVariable {
  readonly shape: readonly (number | null)[];
  readonly trainable: boolean;
  readonly originalName: string;
  /** Returns the variable's tensor, which belongs to the variable: do not dispose it. */
  read(): Tensor;
  /** Copies `value` into the variable; `value` remains the caller's. */
  write(value: Tensor): void;
}

/** Returns the layer under a type that has its protected fields. */
export function fieldsOf<T>(layer: Layer): T {
  return layer as unknown as T;
}
