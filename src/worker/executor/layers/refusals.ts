/** Layers that cannot be trained data-parallel, and the reasons. */

import { innerLayers } from '../inner-layers.js';
import { fieldsOf, type Layer, type LayerVariable } from '../layer.js';

interface ConstrainedVariable extends LayerVariable {
  readonly constraint?: unknown;
}

interface RefusedFields {
  readonly stateful?: boolean;
  readonly dropoutFunc?: unknown;
  readonly noiseShape?: readonly (number | null)[] | null;
  readonly activityRegularizer?: unknown;
}

/** Returns the reason for which a layer, or a part of it, cannot be trained data-parallel; undefined if it can be. */
export function refusalOf(layer: Layer): string | undefined {
  for (const part of innerLayers(layer)) {
    const reason = reasonFor(part, part === layer);
    if (reason !== undefined) return part === layer ? reason : `its part "${part.name}": ${reason}`;
  }
  const constrained = (layer.trainableWeights as unknown as ConstrainedVariable[]).find(
    ({ constraint }) => constraint,
  );
  if (constrained) {
    return `${constrained.originalName} has a constraint, which the optimizer here would undo. Remove it, or use a regularizer`;
  }
  return undefined;
}

function reasonFor(layer: Layer, outermost: boolean): string | undefined {
  const name = layer.getClassName();
  const { stateful, dropoutFunc, noiseShape, activityRegularizer } = fieldsOf<RefusedFields>(layer);
  if (stateful === true) {
    return 'it carries state from batch to batch, which would depend on the division of the batch into shards. Set stateful to false';
  }
  if (name === 'BatchNormalization' && !outermost) {
    return (
      'a BatchNormalization is synchronized over the shards where it is a layer of a model, of a nested model or of ' +
      'TimeDistributed. Here each shard would have statistics of its own. Use LayerNormalization'
    );
  }
  if (name === 'RandomWidth') {
    return 'its random width would depend on the division of the batch into shards. Use `augment` in the training definition';
  }
  if (dropoutFunc !== null && dropoutFunc !== undefined) {
    return 'its dropoutFunc draws random numbers that would depend on the division into shards. Remove dropoutFunc';
  }
  if (noiseShape !== null && noiseShape !== undefined && (noiseShape[0] ?? null) !== null) {
    return 'its noiseShape fixes the number of samples, so samples of a shard would share a mask. Begin the noiseShape with null';
  }
  if (activityRegularizer) {
    return 'tfjs ignores an activityRegularizer. Remove it';
  }
  return undefined;
}
