import { defineTraining } from 'lockstep';
import { noiseData } from './noise.js';

/** Five depthwise separable blocks of MobileNet (Howard et al. 2017) on pictures of 32 x 32 x 3. */
export default defineTraining({
  name: 'mobilenet',
  model: ({ tf }) => {
    const model = tf.sequential();
    const addNormAndActivation = () => {
      model.add(tf.layers.batchNormalization({ momentum: 0.9, epsilon: 1e-5 }));
      model.add(tf.layers.reLU({ maxValue: 6 }));
    };
    const conv = { padding: 'same' as const, useBias: false };
    model.add(tf.layers.conv2d({ ...conv, filters: 32, kernelSize: 3, inputShape: [32, 32, 3] }));
    addNormAndActivation();
    for (const [filters, strides] of [
      [64, 1],
      [128, 2],
      [128, 1],
      [256, 2],
      [256, 1],
    ] as const) {
      model.add(tf.layers.depthwiseConv2d({ ...conv, kernelSize: 3, strides }));
      addNormAndActivation();
      model.add(tf.layers.conv2d({ ...conv, filters, kernelSize: 1 }));
      addNormAndActivation();
    }
    model.add(tf.layers.globalAveragePooling2d({ dataFormat: 'channelsLast' }));
    model.add(tf.layers.dense({ units: 10 }));
    return model;
  },
  batchSize: 64,
  epochs: 100,
  optimizer: { kind: 'adam', learningRate: 1e-3 },
  data: noiseData({ shape: [32, 32, 3], classes: 10 }),
});
