/** A model with every layer that can be exported, with weights that no two layers share, and its answers. */
import type { LayersModel, Tensor } from '@tensorflow/tfjs';
import type { Tensorflow } from '../../src/api/tensorflow.js';

/** Two inputs, two outputs, branches, strides, paddings, a layer used twice, a model inside. */
export function everyLayer(tf: Tensorflow): LayersModel {
  const { layers } = tf;
  const picture = tf.input({ shape: [9, 7, 3], name: 'picture' });
  const table = tf.input({ shape: [5], name: 'table' });
  const conv = (filters: number, padding: 'same' | 'valid', strides: number, activation?: 'relu' | 'swish') =>
    layers.conv2d({ filters, kernelSize: [3, 2], padding, strides, ...(activation && { activation }) });
  let x = conv(6, 'same', 1).apply(picture);
  x = layers.reLU().apply(layers.batchNormalization().apply(x));
  const shortcut = layers.conv2d({ filters: 6, kernelSize: 1, useBias: false }).apply(x);
  x = layers.batchNormalization({ scale: false }).apply(conv(6, 'same', 1).apply(x));
  x = layers.add().apply([x, shortcut] as never);
  x = layers.leakyReLU({ alpha: 0.2 }).apply(x);
  x = layers
    .concatenate()
    .apply([
      layers.maxPooling2d({ poolSize: 3, strides: 2, padding: 'same' }).apply(x),
      layers.averagePooling2d({ poolSize: 3, strides: 2, padding: 'same' }).apply(x),
    ] as never);
  const deep = layers.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2, activation: 'relu' }).apply(x);
  const highest = layers
    .globalMaxPooling2d({})
    .apply(layers.separableConv2d({ filters: 4, kernelSize: 2, padding: 'same' }).apply(deep));
  x = layers
    .zeroPadding2d({
      padding: [
        [1, 2],
        [0, 3],
      ],
    })
    .apply(x);
  x = layers.conv2d({ filters: 5, kernelSize: 2, dilationRate: 2, activation: 'swish' }).apply(x);
  const pooled = layers.globalAveragePooling2d({}).apply(x);
  const flat = layers.dropout({ rate: 0.4 }).apply(layers.flatten().apply(x));
  const inner = tf.sequential({
    layers: [
      layers.dense({ units: 8, inputShape: [5], activation: 'selu' }),
      layers.batchNormalization({ center: false }),
      layers.activation({ activation: 'tanh' }),
    ],
  });
  const side = inner.apply(table);
  const rows = layers.reshape({ targetShape: [4, 2] }).apply(side);
  let steps = layers.conv1d({ filters: 3, kernelSize: 2, padding: 'same', dilationRate: 2 }).apply(rows);
  steps = layers.maxPooling1d({ poolSize: 2, strides: 1, padding: 'same' }).apply(steps);
  steps = layers.averagePooling1d({ poolSize: 2, strides: 1 }).apply(steps);
  const sequence = layers
    .add()
    .apply([
      layers.globalMaxPooling1d({}).apply(steps),
      layers.globalAveragePooling1d({}).apply(steps),
    ] as never);
  const shared = layers.dense({ units: 2, useBias: true, activation: 'sigmoid' });
  const again = layers.batchNormalization().apply(shared.apply(shared.apply(rows)));
  const gated = layers.multiply().apply([side, layers.flatten().apply(again)] as never);
  const all = layers.concatenate().apply([pooled, flat, gated, highest, sequence] as never);
  let y = layers.dense({ units: 12, activation: 'elu' }).apply(all);
  y = layers.activation({ activation: 'softplus' }).apply(layers.reLU({ maxValue: 6 }).apply(y));
  const logits = layers.dense({ units: 4, useBias: false, name: 'logits' }).apply(y);
  const shares = layers.softmax().apply(logits);
  const model = tf.model({ inputs: [picture, table], outputs: [logits, shares] as never });
  scatter(tf, model);
  return model;
}

/**
 * Draws every weight, BatchNorm's statistics too: an average left at 0 would hide that it's forgotten. Answers stay near 1, so that
 * a distance means something.
 */
export function scatter(tf: Tensorflow, model: LayersModel): void {
  model.setWeights(
    model.weights.map(({ name, shape }, i) => {
      const positive = /variance|gamma/.test(name);
      const fanIn = shape.slice(0, -1).reduce<number>((product, size) => product * Number(size), 1);
      const bound = shape.length === 1 ? 0.5 : Math.sqrt(3 / fanIn);
      const [from, to] = positive ? [0.5, 1.5] : [-bound, bound];
      return tf.randomUniform(shape.map(Number), from, to, 'float32', 100 + i);
    }),
  );
}

export function drawn(
  tf: Tensorflow,
  shapes: readonly (readonly (number | null)[])[],
  count: number,
): Tensor[] {
  return shapes.map((shape, i) =>
    tf.randomNormal([count, ...shape.slice(1).map(Number)], 0, 1, 'float32', 7 + i),
  );
}
