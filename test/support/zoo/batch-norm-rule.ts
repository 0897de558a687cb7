/**
 * The running variances that Lockstep's documented rule gives, computed from those of tfjs's `fit`: tfjs adds the biased variance of a
 * batch of n rows, Lockstep the unbiased one, which is n / (n - 1) times as large.
 */

import type { LayersModel, Tensor, layers } from '@tensorflow/tfjs';
import type { Tensorflow } from './model-case.js';

type Layer = layers.Layer;

interface BatchNormFields {
  readonly momentum: number;
  readonly movingVariance: { readonly id: number };
  readonly inboundNodes: readonly { readonly inputShapes: unknown }[];
}

/** The layers of a model, those of nested models and wrappers included, each once. */
export function layersOf(model: LayersModel): Layer[] {
  const found = new Set<Layer>();
  const visit = (layer: Layer): void => {
    if (found.has(layer)) return;
    found.add(layer);
    const fields = layer as unknown as Partial<Record<string, Layer | Layer[]>>;
    for (const name of ['layers', 'layer', 'forwardLayer', 'backwardLayer', 'cell', 'cells'])
      for (const inner of [fields[name] ?? []].flat()) visit(inner);
  };
  for (const layer of model.layers) visit(layer);
  return [...found];
}

export interface StatisticsRule {
  /** Must be called after each batch of `fit`. */
  after(batchSize: number): void;
  /** The running variance after all batches; undefined for any other weight. @param weight index in `model.weights` */
  expected(weight: number): Float64Array | undefined;
}

export function batchNormUpdates(
  model: LayersModel,
  initialWeights: readonly Float32Array[],
): StatisticsRule {
  const index = new Map(model.weights.map(({ id }, i) => [id, i]));
  const tracked = layersOf(model).flatMap((layer) => {
    if (layer.getClassName() !== 'BatchNormalization') return [];
    const { momentum, movingVariance, inboundNodes } = layer as unknown as BatchNormFields;
    const weight = index.get(movingVariance.id) ?? -1;
    const shape = [inboundNodes[0]?.inputShapes].flat(2) as (number | null)[];
    const initial = Float64Array.from(initialWeights[weight] ?? []);
    const values = shape.slice(1).reduce<number>((product, size) => product * (size ?? 1), 1);
    const rowsPerSample = values / initial.length;
    return [{ weight, momentum, rowsPerSample, reference: initial, expected: initial.slice() }];
  });
  return {
    after: (batchSize) => {
      for (const one of tracked) {
        const now = Float64Array.from(model.weights[one.weight]?.read().dataSync() ?? []);
        const rows = batchSize * one.rowsPerSample;
        const unbias = rows > 1 ? rows / (rows - 1) : 1;
        for (const [i, value] of now.entries()) {
          const added = value - one.momentum * (one.reference[i] ?? 0);
          one.expected[i] = one.momentum * (one.expected[i] ?? 0) + added * unbias;
        }
        one.reference = now;
      }
    },
    expected: (weight) => tracked.find((one) => one.weight === weight)?.expected,
  };
}

interface AffineFields {
  gamma?: unknown;
  beta?: unknown;
  center: boolean;
  scale: boolean;
  movingMean?: { readonly shape: number[] };
}

/**
 * Gives each normalization the scale 1 and the offset 0 that it lacks: tfjs's training of a BatchNormalization reads both in any
 * case, and that of a LayerNormalization fails without one of them.
 */
export function completeNormalizations(tf: Tensorflow, model: LayersModel): void {
  for (const layer of layersOf(model)) {
    const fields = layer as unknown as AffineFields;
    if (layer.getClassName() === 'BatchNormalization') {
      const shape = fields.movingMean?.shape ?? [];
      fields.gamma ??= { read: () => tf.ones(shape) };
      fields.beta ??= { read: () => tf.zeros(shape) };
    } else if (layer.getClassName() === 'LayerNormalization') {
      const { gamma, beta } = fields as Record<'gamma' | 'beta', { read(): Tensor } | undefined>;
      if (gamma && !fields.center) {
        fields.center = true;
        fields.beta = { read: () => tf.zerosLike(gamma.read()) };
      } else if (beta && !fields.scale) {
        fields.scale = true;
        fields.gamma = { read: () => tf.onesLike(beta.read()) };
      }
    }
  }
}
