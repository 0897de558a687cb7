/** The vectors that an optimizer keeps between steps, which are part of the training state and of checkpoints. */

import type { OptimizerConfig } from '../config/optimizer-config.js';
import { adamVectors, type ParameterVector } from './named-vectors.js';

/** Names of the vectors of an optimizer: the weights, and the vectors that it keeps between steps. */
export function optimizerVectors(config: OptimizerConfig): readonly ParameterVector[] {
  switch (config.kind) {
    case 'adam':
    case 'adamw':
      return adamVectors;
    case 'sgd':
      return config.momentum > 0 ? ['weights', 'sgd.momentum'] : ['weights'];
    case 'rmsprop':
      return [
        'weights',
        'rmsprop.square',
        ...(config.centered ? (['rmsprop.mean'] as const) : []),
        ...(config.momentum > 0 ? (['rmsprop.momentum'] as const) : []),
      ];
    case 'adagrad':
      return ['weights', 'adagrad.sum'];
    case 'adadelta':
      return ['weights', 'adadelta.square', 'adadelta.update'];
    case 'adamax':
      return ['weights', 'adamax.first', 'adamax.norm'];
  }
}
