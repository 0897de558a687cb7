/** Layers that cannot be trained data-parallel, and the reasons. scripts/layer-table.ts lists them in docs/layers.md. */

import { innerLayers, isBatchNorm } from '../inner-layers.js';
import { fieldsOf, type Layer, type LayerVariable } from '../layer.js';

/** The reason for a refusal, with the remedy, as the end of a sentence without its full stop. */
export interface Refusal {
  /** The refused thing, as the documentation names it. */
  readonly subject: string;
  readonly reason: string;
}

interface LayerRefusal extends Refusal {
  /** @param outermost false for a part of another layer */
  readonly applies: (layer: Layer, outermost: boolean) => boolean;
}

interface ConstrainedVariable extends LayerVariable {
  readonly constraint?: unknown;
}

interface RefusedFields {
  readonly stateful?: boolean;
  readonly dropoutFunc?: unknown;
  readonly noiseShape?: readonly (number | null)[] | null;
  readonly activityRegularizer?: unknown;
}

const fields = (layer: Layer): RefusedFields => fieldsOf<RefusedFields>(layer);

const constraint: Refusal = {
  subject: 'a constraint',
  reason: 'the optimizer here would undo it. Remove it, or use a regularizer',
};

const layerRefusals: readonly LayerRefusal[] = [
  {
    subject: '`stateful: true`',
    reason:
      'it carries state from batch to batch, which would depend on the division of the batch into shards. Set stateful to false',
    applies: (layer) => fields(layer).stateful === true,
  },
  {
    subject:
      'a BatchNormalization that is a part of a layer other than a nested model and TimeDistributed, such as a recurrent cell',
    reason:
      'each shard would have statistics of its own. Make it a layer of the model, of a nested model or of TimeDistributed, ' +
      'or use LayerNormalization',
    applies: (layer, outermost) => isBatchNorm(layer) && !outermost,
  },
  {
    subject: 'RandomWidth',
    reason:
      'its random width would depend on the division of the batch into shards. Use `augment` in the training definition',
    applies: (layer) => layer.getClassName() === 'RandomWidth',
  },
  {
    subject: 'a `dropoutFunc` of a recurrent layer',
    reason:
      'the random numbers of its dropoutFunc would depend on the division into shards. Remove dropoutFunc',
    applies: (layer) => (fields(layer).dropoutFunc ?? null) !== null,
  },
  {
    subject: 'a `noiseShape` that fixes the number of samples',
    reason: 'its noiseShape would give samples of a shard the same mask. Begin the noiseShape with null',
    applies: (layer) => (fields(layer).noiseShape?.[0] ?? null) !== null,
  },
  {
    subject: 'an `activityRegularizer`',
    reason: 'tfjs ignores an activityRegularizer. Remove it',
    applies: (layer) => Boolean(fields(layer).activityRegularizer),
  },
];

/** All refusals that are known before the first step. */
export const refusals: readonly Refusal[] = [...layerRefusals, constraint];

/** Returns the reason for which a layer, or a part of it, cannot be trained data-parallel; undefined if it can be. */
export function refusalOf(layer: Layer): string | undefined {
  for (const part of innerLayers(layer)) {
    const outermost = part === layer;
    const refusal = layerRefusals.find(({ applies }) => applies(part, outermost));
    if (refusal) return outermost ? refusal.reason : `"${part.name}" is a part of it: ${refusal.reason}`;
  }
  const weights = layer.trainableWeights as unknown as ConstrainedVariable[];
  const constrained = weights.find((weight) => weight.constraint);
  return constrained && `${constrained.originalName} has ${constraint.subject}: ${constraint.reason}`;
}
