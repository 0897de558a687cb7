/** Warnings about layers whose training can differ from what the user expects. */

import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { ResolvedConfig } from '../../shared/config/run-config.js';
import { innerLayers, isBatchNorm } from '../executor/inner-layers.js';
import { fieldsOf, type Layer } from '../executor/layer.js';
import { ambiguousLayers } from '../executor/model-weights.js';

interface NotedFields {
  readonly seed?: unknown;
  readonly rate?: unknown;
  readonly kernelRegularizer?: unknown;
  readonly recurrentRegularizer?: unknown;
  readonly biasRegularizer?: unknown;
}

/** Returns one message per kind, each with the names of the layers. `markFrozenWeights` must have been called. */
export function modelWarnings(
  model: LayersModel,
  { frozenBatchNorm }: Pick<ResolvedConfig, 'frozenBatchNorm'>,
): string[] {
  const layers = innerLayers(model);
  const frozen = layers.filter((layer) => isBatchNorm(layer) && !layer.trainable);
  const seeded = layers.filter((layer) => {
    const { rate, seed } = fieldsOf<NotedFields>(layer);
    return rate !== undefined && seed !== undefined && seed !== null;
  });
  const regularized = layers.filter(hasIgnoredRegularizer);
  const ambiguous = ambiguousLayers(model);
  const notes: [boolean, string][] = [
    [
      ambiguous.length > 0,
      `${named(ambiguous)}: it has several weights of one name, so tf.loadLayersModel cannot open the saved model. The commands of ` +
        'Lockstep can. Make its weights with addWeight, under names of their own.',
    ],
    [
      frozen.length > 0 && frozenBatchNorm === 'batch',
      `${named(frozen)}: a BatchNormalization with trainable: false normalizes by the batch in training and updates its ` +
        "running statistics, as in tfjs. Set frozenBatchNorm: 'inference' to keep them, as in Keras.",
    ],
    [
      seeded.length > 0,
      `${named(seeded)}: a layer's own seed has no effect, since the run's seed decides. Set the run's seed instead.`,
    ],
    [
      regularized.length > 0,
      `${named(regularized)}: tfjs ignores the regularizers of a recurrent layer, and so does Lockstep. Use weight decay.`,
    ],
  ];
  return notes.flatMap(([applies, message]) => (applies ? [message] : []));
}

/** Returns true for a recurrent layer with regularizers. tfjs adds their penalties to the layer's cell, where no model reads them. */
function hasIgnoredRegularizer(layer: Layer): boolean {
  const { kernelRegularizer, recurrentRegularizer, biasRegularizer } = fieldsOf<NotedFields>(layer);
  const penalties = [kernelRegularizer, recurrentRegularizer, biasRegularizer];
  return 'recurrentRegularizer' in layer && penalties.some((penalty) => (penalty ?? null) !== null);
}

function named(layers: readonly Layer[]): string {
  const names = layers.slice(0, 3).map(({ name }) => `"${name}"`);
  const others = layers.length - names.length;
  return `Layer ${names.join(', ')}${others > 0 ? ` and ${others} more` : ''}`;
}
