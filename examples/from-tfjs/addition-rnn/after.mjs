/** Trains an encoder and a decoder to add numbers that are written as text. */
import * as tf from '@tensorflow/tfjs';
import { fit } from 'lockstep';
import { additionData } from './data.mjs';

const [trainXs, trainYs, testXs, testYs] = additionData(80);

const kernel = (seed) => tf.initializers.glorotNormal({ seed });
const recurrent = (seed) => ({ kernelInitializer: kernel(seed), recurrentInitializer: kernel(seed + 1) });
const model = tf.sequential();
model.add(tf.layers.lstm({ units: 12, inputShape: [3, 12], ...recurrent(1) }));
model.add(tf.layers.repeatVector({ n: 2 }));
model.add(tf.layers.lstm({ units: 12, returnSequences: true, ...recurrent(3) }));
model.add(tf.layers.timeDistributed({ layer: tf.layers.dense({ units: 12, kernelInitializer: kernel(5) }) }));
model.add(tf.layers.activation({ activation: 'softmax' }));
model.compile({ loss: 'categoricalCrossentropy', optimizer: 'adam', metrics: ['accuracy'] });

const results = [];
for (let iteration = 0; iteration < 2; iteration++) {
  const history = await fit(model, trainXs, trainYs, {
    epochs: 1,
    batchSize: 32,
    shuffle: false,
    workers: Number(process.argv[2] ?? 2),
    validationData: [testXs, testYs],
  });
  // The optimizer continues where the previous iteration ended.
  results.push(history.history);
}
console.log(JSON.stringify(results));
