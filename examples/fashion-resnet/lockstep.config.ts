/** Trains a small ResNet on Fashion-MNIST with augmentation, by default on the files of Debian's package dataset-fashion-mnist. */

import { defineTraining } from 'lockstep';
import { resNet } from './resnet.js';

export default defineTraining({
  name: 'fashion-resnet',
  model: resNet,
  data: '/usr/share/datasets/fashion-mnist',
  normalize: { mean: 0.286, std: 0.353 },
  augment: [{ kind: 'crop', padding: 2 }, { kind: 'flip' }],
  batchSize: 128,
  epochs: 5,
  loss: { kind: 'softmaxCrossEntropy', labelSmoothing: 0.05 },
  optimizer: {
    kind: 'sgd',
    learningRate: 0.1,
    momentum: 0.9,
    nesterov: true,
    weightDecay: 5e-4,
    weightDecayOf: 'kernels',
  },
  schedule: { kind: 'cosine' },
  warmup: { epochs: 0.5 },
  ema: { decay: 0.995 },
});
