/** Refuses to write a checkpoint of weights that are not finite. */

import { allFinite } from '../../shared/arithmetic/finite.js';
import { CheckpointError } from '../../shared/errors.js';
import { elementCount } from '../../shared/model/layout.js';
import type { VectorName } from '../../shared/model/named-vectors.js';
import type { ToWriter } from './writer.js';

/** The vectors of a state that consist of weights, and not of an optimizer's moments. */
const weightVectors: readonly VectorName[] = ['weights', 'statistics', 'ema', 'ema.statistics'];

/** @throws CheckpointError if a weight or a running statistic is not finite: the checkpoint before stays the newest */
export function checkFinite({ about, state, layout }: ToWriter): void {
  for (const [name, values] of state.vectors) {
    if (!weightVectors.includes(name) || allFinite(values)) continue;
    const at = values.findIndex((value) => !Number.isFinite(value));
    const tensor = layout.find(
      ({ vector, offset, shape }) => vector === name && at >= offset && at < offset + elementCount(shape),
    );
    throw new CheckpointError(
      `Checkpoint of step ${about.step} is not written: expected finite weights, got others in "${tensor?.name ?? name}". ` +
        'The checkpoint before it remains the newest. Lower the learning rate.',
      { step: about.step },
    );
  }
}
