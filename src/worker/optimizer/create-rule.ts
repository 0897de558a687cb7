/** Chooses the implementation of an optimizer's update rule. */

import type { OptimizerConfig } from '../../shared/config/run-config.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { FlatParameter } from '../executor/gradient-buckets.js';
import type { Kernels } from '../kernels/kernels.js';
import { EngineAdam } from './engine-adam.js';
import { HostRule } from './host-rule.js';
import type { UpdateRule } from './update-rule.js';

/**
 * @param initial the parameters before the first step; copied
 * @param onVector called after each large vector that is made or replaced
 */
export function createRule(
  tf: Tensorflow,
  kernels: Kernels,
  config: OptimizerConfig,
  parameters: readonly FlatParameter[],
  initial: Float32Array,
  onVector?: () => void,
): UpdateRule {
  if (config.kind === 'adam' && config.weightDecay === 0)
    return new EngineAdam(kernels, config, parameters, initial, onVector);
  return new HostRule(tf, config, parameters, initial);
}
