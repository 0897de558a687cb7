import { defineTraining, multiHeadAttention } from 'lockstep';
import type { SymbolicTensor } from '@tensorflow/tfjs-layers';
import { transformer } from './transformer.js';
import { noiseData } from './noise.js';

/** Two transformer blocks with the package's `multiHeadAttention`. */
export default defineTraining({
  name: 'transformer',
  model: ({ tf }) =>
    transformer(
      tf,
      (x) => multiHeadAttention(tf, { numHeads: 4, keyDim: 16, useBias: false }).apply(x) as SymbolicTensor,
    ),
  batchSize: 64,
  epochs: 100,
  optimizer: { kind: 'adam', learningRate: 1e-3 },
  data: noiseData({ shape: [80], classes: 2, vocabulary: 5000 }),
});
