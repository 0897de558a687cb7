import { defineTraining } from 'lockstep';
import { resNet } from '../../examples/fashion-resnet/resnet.js';
import { noiseData } from './noise.js';

/** The residual network of examples/fashion-resnet. */
export default defineTraining({
  name: 'resnet',
  model: resNet,
  batchSize: 128,
  epochs: 100,
  optimizer: { kind: 'sgd', learningRate: 0.1, momentum: 0.9, nesterov: true, weightDecay: 5e-4 },
  data: noiseData({ shape: [28, 28, 1], classes: 10 }),
});
