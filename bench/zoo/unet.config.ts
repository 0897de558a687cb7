import { defineTraining } from 'lockstep';
import type { SymbolicTensor } from '@tensorflow/tfjs-layers';
import { noiseData } from './noise.js';

/** A U-Net (Ronneberger et al. 2015) with 16, 32 and 64 channels on pictures of 32 x 32, one logit per pixel. */
export default defineTraining({
  name: 'unet',
  model: ({ tf }) => {
    const block = (input: SymbolicTensor, filters: number): SymbolicTensor => {
      let x = input;
      for (let i = 0; i < 2; i++) {
        const conv = tf.layers.conv2d({ filters, kernelSize: 3, padding: 'same', useBias: false }).apply(x);
        const norm = tf.layers.batchNormalization({ momentum: 0.9, epsilon: 1e-5 }).apply(conv);
        x = tf.layers.reLU().apply(norm) as SymbolicTensor;
      }
      return x;
    };
    const down = (x: SymbolicTensor) => tf.layers.maxPooling2d({ poolSize: 2 }).apply(x) as SymbolicTensor;
    const up = (x: SymbolicTensor, skip: SymbolicTensor, filters: number): SymbolicTensor => {
      const larger = tf.layers.conv2dTranspose({ filters, kernelSize: 2, strides: 2 }).apply(x);
      const joined = tf.layers.concatenate().apply([skip, larger as SymbolicTensor]);
      return block(joined as SymbolicTensor, filters);
    };
    const input = tf.input({ shape: [32, 32, 1] });
    const first = block(input, 16);
    const second = block(down(first), 32);
    const bottom = block(down(second), 64);
    const decoded = up(up(bottom, second, 32), first, 16);
    const logits = tf.layers.conv2d({ filters: 1, kernelSize: 1 }).apply(decoded) as SymbolicTensor;
    return tf.model({ inputs: input, outputs: logits });
  },
  loss: 'binaryCrossEntropy',
  batchSize: 64,
  epochs: 100,
  optimizer: { kind: 'adam', learningRate: 1e-3 },
  data: noiseData({ shape: [32, 32, 1] }),
});
