/** Learning rate by epoch. */

import { exactMath } from '../../shared/arithmetic/exact-math.js';
import type { OptimizerConfig, ScheduleConfig } from '../../shared/config/run-config.js';

/** The rate of every step of `epoch` (counted from 0). StepLR: lr0 * gamma^floor(epoch / stepSize), as PyTorch's. */
export function learningRateAt(optimizer: OptimizerConfig, schedule: ScheduleConfig, epoch: number): number {
  switch (schedule.kind) {
    case 'constant':
      return optimizer.learningRate;
    case 'step':
      return optimizer.learningRate * exactMath.pow(schedule.gamma, Math.floor(epoch / schedule.stepSize));
  }
}
