/** Finds the layers that are parts of another layer: those of wrappers, models, recurrent cells, and fields of custom layers. */

import { fieldsOf, type Layer } from './layer.js';

/** Returns `layer` and all layers inside it, each once, in the order of its fields. */
export function innerLayers(layer: Layer): Layer[] {
  const found = new Set<Layer>();
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    if (!isLayer(value) || found.has(value)) return;
    found.add(value);
    Object.values(fieldsOf<Record<string, unknown>>(value)).forEach(visit);
  };
  visit(layer);
  return [...found];
}

/** Returns true for a BatchNormalization and for a layer that contains one. */
export function containsBatchNorm(layer: Layer): boolean {
  return innerLayers(layer).some(isBatchNorm);
}

export const isBatchNorm = (layer: Layer): boolean => layer.getClassName() === 'BatchNormalization';

function isLayer(value: unknown): value is Layer {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as Partial<Layer>).getClassName === 'function' &&
    'trainableWeights' in value &&
    'inboundNodes' in value
  );
}
