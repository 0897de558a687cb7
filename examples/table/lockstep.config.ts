/**
 * A functional model with two inputs and two outputs on tabular data. From measurements of cell nuclei, it predicts whether a tumor is
 * malignant (a class) and the worst value of the concave points (a number), which the inputs do not contain.
 */

import { fileURLToPath } from 'node:url';
import type { SymbolicTensor } from '@tensorflow/tfjs-layers';
import { csv, defineTraining, type ModelContext } from 'lockstep';

const features = ['radius', 'texture', 'perimeter', 'area', 'smoothness', 'compactness', 'concavity'];
const columns = (kind: string): string[] => features.map((name) => `${name}_${kind}`);

function model({ tf, seed }: ModelContext) {
  const dense = (units: number, number: number, name?: string) =>
    tf.layers.dense({
      ...(name === undefined ? { units, activation: 'relu' } : { units, name }),
      kernelInitializer: tf.initializers.heNormal({ seed: seed * 100 + number }),
    });
  const means = tf.input({ shape: [features.length], name: 'means' });
  const errors = tf.input({ shape: [features.length], name: 'errors' });
  const both = tf.layers
    .concatenate()
    .apply([dense(16, 1).apply(means), dense(8, 2).apply(errors)] as SymbolicTensor[]);
  const hidden = tf.layers.dropout({ rate: 0.2 }).apply(dense(16, 3).apply(both));
  const outputs = [
    dense(1, 4, 'diagnosis').apply(hidden),
    dense(1, 5, 'concave').apply(hidden),
  ] as SymbolicTensor[];
  return tf.model({ inputs: [means, errors], outputs, name: 'tumors' });
}

export default defineTraining({
  name: 'table',
  model,
  data: csv({
    train: fileURLToPath(new URL('./breast-cancer.csv', import.meta.url)),
    testEvery: 4,
    inputs: [columns('mean'), columns('error')],
    targets: ['diagnosis', 'concave_points_worst'],
  }),
  loss: { diagnosis: 'binaryCrossEntropy', concave: { kind: 'meanSquaredError', weight: 20 } },
  batchSize: 32,
  epochs: 40,
  optimizer: { kind: 'adamw', learningRate: 0.005, weightDecay: 0.01 },
  schedule: { kind: 'cosine' },
  clipNorm: 5,
});
