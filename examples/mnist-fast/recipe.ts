/** Options shared by both configurations: one-cycle schedule, augmentation, label smoothing and averaged weights. */

import type { TrainingOptions } from 'lockstep';
import { network } from './network.js';

export const recipe = {
  model: network,
  batchSize: 64,
  epochs: 10,
  augment: [{ kind: 'affine', rotate: 10, shift: 2, scale: 0.1, shear: 5 }],
  loss: { kind: 'softmaxCrossEntropy', labelSmoothing: 0.1 },
  optimizer: { kind: 'adamw', learningRate: 0.006, weightDecay: 0.01, weightDecayOf: 'kernels' },
  schedule: { kind: 'oneCycle', rise: 0.2, startDivisor: 5, endDivisor: 1e3 },
  ema: { decay: 0.998 },
  evaluate: 'test',
} as const satisfies TrainingOptions;
