/** Trains two dense layers to recognize the species of an iris. */
import * as tf from '@tensorflow/tfjs';
import { irisData } from './data.mjs';

const [xTrain, yTrain, xTest, yTest] = irisData(120);

const seeded = (seed) => tf.initializers.glorotNormal({ seed });
const model = tf.sequential();
model.add(
  tf.layers.dense({ units: 10, activation: 'sigmoid', inputShape: [4], kernelInitializer: seeded(1) }),
);
model.add(tf.layers.dense({ units: 3, activation: 'softmax', kernelInitializer: seeded(2) }));
model.compile({ optimizer: tf.train.adam(0.05), loss: 'categoricalCrossentropy', metrics: ['accuracy'] });

const correct = [];
const history = await model.fit(xTrain, yTrain, {
  epochs: 6,
  shuffle: false,
  validationData: [xTest, yTest],
  callbacks: {
    onEpochEnd: (epoch, logs) => {
      console.error(`Epoch ${epoch + 1}: loss ${logs.loss.toFixed(4)}, accuracy ${logs.acc.toFixed(3)}`);
      // The model has the weights of this epoch.
      const right = tf.tidy(() => model.predict(xTest).argMax(-1).equal(yTest.argMax(-1)).sum().dataSync());
      correct.push(right[0]);
    },
  },
});
console.log(JSON.stringify({ ...history.history, correct }));
