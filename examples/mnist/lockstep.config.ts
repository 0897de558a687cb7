/** The default training definition, also used by `npm start`: the MNIST ConvNet, batch size 64, 3 epochs of Adam with StepLR. */

import { defineTraining } from 'lockstep';
import { convNet } from './convnet.js';

export default defineTraining({
  name: 'mnist-convnet',
  model: convNet,
  loss: 'softmaxCrossEntropy',
  batchSize: 64,
  epochs: 3,
  normalize: { mean: 0.5, std: 0.5 },
  optimizer: { kind: 'adam', learningRate: 0.001, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
  schedule: { kind: 'step', stepSize: 6, gamma: 0.1 },
});
