/** Models that cannot be trained, with the layer and the reason that the error must name. */

import type { layers } from '@tensorflow/tfjs';
import type { ModelCase, Tensorflow } from './model-case.js';

export interface RefusedCase extends ModelCase {
  /** Class of the layer that is refused. */
  readonly className: string;
  readonly reason: RegExp;
}

const rows = [4, 3];
const pixels = [4, 4, 2];
const features = [3];

/** `layer` between two dense layers, so that it needs a gradient. */
const refused = (
  className: string,
  reason: RegExp,
  inputShape: readonly number[],
  layer: (tf: Tensorflow) => layers.Layer,
  name = className,
): RefusedCase => ({
  name,
  className,
  reason,
  build: (tf) => {
    const model = tf.sequential();
    model.add(tf.layers.dense({ inputShape: [...inputShape], units: 3 }));
    model.add(layer(tf));
    if (model.outputShape.length > 2) model.add(tf.layers.flatten());
    model.add(tf.layers.dense({ units: 2 }));
    return model;
  },
});

const statefulLstm: RefusedCase = {
  name: 'LSTM that is stateful',
  className: 'LSTM',
  reason: /state from batch to batch/,
  build: (tf) =>
    tf.sequential({
      layers: [
        tf.layers.lstm({ units: 2, stateful: true, batchInputShape: [8, ...rows] }),
        tf.layers.dense({ units: 2 }),
      ],
    }),
};

export const refusedModels: readonly RefusedCase[] = [
  refused('ThresholdedReLU', /no gradient/, features, ({ layers }) => layers.thresholdedReLU({ theta: 0.1 })),
  refused('Conv3DTranspose', /no gradient/, [2, 2, 2, 1], ({ layers }) =>
    layers.conv3dTranspose({ filters: 2, kernelSize: 2 }),
  ),
  refused('Resizing', /batch dimension|expected|failed in tfjs/, pixels, ({ layers }) =>
    layers.resizing({ height: 2, width: 2 }),
  ),
  refused(
    'Conv1D',
    /not implemented|not supported/,
    rows,
    ({ layers }) => layers.conv1d({ filters: 2, kernelSize: 2, padding: 'causal' }),
    'Conv1D, causal padding',
  ),
  refused(
    'Conv1D',
    /dilation/,
    rows,
    ({ layers }) => layers.conv1d({ filters: 2, kernelSize: 2, dilationRate: 2 }),
    'Conv1D, dilated',
  ),
  refused(
    'Softmax',
    /non-last dimension/,
    rows,
    ({ layers }) => layers.softmax(),
    'Softmax over another axis than the last one',
  ),
  refused(
    'Dense',
    /constraint/,
    features,
    ({ layers, constraints }) =>
      layers.dense({ units: 2, kernelConstraint: constraints.maxNorm({ maxValue: 1 }) }),
    'Dense with a constraint',
  ),
  statefulLstm,
];
