/** Trains a small convolutional network on digits. */
import * as tf from '@tensorflow/tfjs';
import { fit } from 'lockstep';
import { mnistData } from './data.mjs';

const { images, labels } = mnistData(64);

const seeded = (seed) => tf.initializers.varianceScaling({ seed });
const model = tf.sequential();
model.add(
  tf.layers.conv2d({
    inputShape: [28, 28, 1],
    kernelSize: 5,
    filters: 4,
    activation: 'relu',
    kernelInitializer: seeded(1),
  }),
);
model.add(tf.layers.maxPooling2d({ poolSize: 2 }));
model.add(tf.layers.conv2d({ kernelSize: 5, filters: 8, activation: 'relu', kernelInitializer: seeded(2) }));
model.add(tf.layers.maxPooling2d({ poolSize: 2 }));
model.add(tf.layers.flatten());
model.add(tf.layers.dense({ units: 10, activation: 'softmax', kernelInitializer: seeded(3) }));
model.compile({ optimizer: tf.train.sgd(0.15), loss: 'categoricalCrossentropy', metrics: ['accuracy'] });

const history = await fit(model, images, labels, {
  epochs: 2,
  batchSize: 32,
  validationSplit: 0.15,
  shuffle: false,
  workers: Number(process.argv[2] ?? 2),
  callbacks: {
    onBatchEnd: (batch, logs) => console.error(`Batch ${batch}: loss ${logs.loss.toFixed(4)}`),
    onEpochEnd: (epoch, logs) => console.error(`Epoch ${epoch + 1}: validation ${logs.val_loss.toFixed(4)}`),
  },
});
console.log(JSON.stringify(history.history));
