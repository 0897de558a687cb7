/** The executor's other kernels: bias, ReLU, max-pool, Dropout, the cross-entropy, recurrences and attention. */

import type { Rank, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import type { PoolWindow } from '../../kernels/kernels.js';
import { attentionCases } from './attentions.js';
import { recurrenceCases } from './recurrences.js';
import { normal, times, type NumericsCase, type NumericsContext } from '../numerics-case.js';

type Shape4d = [number, number, number, number];

const activations: readonly (readonly number[])[] = [
  [1, 1],
  [7, 10],
  [1, 5, 5, 3],
  [3, 6, 7, 16],
  [5, 8, 8, 32],
];

const pools: readonly (readonly [Shape4d, PoolWindow])[] = [
  [[1, 6, 6, 1], { size: [2, 2], strides: [2, 2], padding: 'valid' }],
  [[5, 8, 6, 16], { size: [2, 2], strides: [2, 2], padding: 'valid' }],
  [[3, 7, 5, 17], { size: [3, 3], strides: [2, 2], padding: 'same' }],
  [[2, 5, 5, 3], { size: [3, 3], strides: [1, 1], padding: 'same' }],
  [[5, 28, 28, 32], { size: [2, 2], strides: [2, 2], padding: 'valid' }],
];

const dropouts: readonly (readonly [shape: readonly number[], rate: number])[] = [
  [[1, 3], 0.5],
  [[5, 17], 0.25],
  [[7, 64], 0.5],
  [[3, 5, 5, 8], 0.9],
];

export function layerKernelCases(context: NumericsContext): NumericsCase[] {
  return [
    ...activationCases(context),
    ...poolCases(context),
    ...dropoutCases(context),
    ...crossEntropyCases(context),
    ...layerNormCases(context),
    ...depthwiseCases(context),
    ...recurrenceCases(context),
    ...attentionCases(context),
  ];
}

function activationCases({ tf, kernels: { float32: kernels } }: NumericsContext): NumericsCase[] {
  return activations.flatMap((shape) => {
    const fixed = { shapes: times(shape), precision: 'float32' } as const;
    const bias = (): Tensor1D => normal<Rank.R1>(tf, [shape.at(-1) ?? 0], 2);
    return [
      {
        operation: 'biasAdd',
        prepare: () => {
          const [x, b] = [normal(tf, [...shape], 1), bias()];
          return () => [kernels.biasAdd(x, b)];
        },
        ...fixed,
      },
      {
        operation: 'bias gradient',
        prepare: () => {
          const dy = normal(tf, [...shape], 1);
          return () => [kernels.columnSums(dy)];
        },
        ...fixed,
      },
      {
        operation: 'relu and its gradient',
        prepare: () => {
          const [x, dy] = [normal(tf, [...shape], 1), normal(tf, [...shape], 2)];
          return () => {
            const y = kernels.relu(x);
            return [y, kernels.reluGradient(dy, y)];
          };
        },
        ...fixed,
      },
      {
        operation: 'relu6 and its gradient',
        prepare: () => {
          const [x, dy] = [normal(tf, [...shape], 1), normal(tf, [...shape], 2)];
          return () => {
            const y = kernels.relu6(x);
            return [y, kernels.relu6Gradient(dy, y)];
          };
        },
        ...fixed,
      },
    ] satisfies NumericsCase[];
  });
}

function poolCases({ tf, kernels: { float32: kernels } }: NumericsContext): NumericsCase[] {
  return pools.map(([shape, window]): NumericsCase => ({
    operation: 'maxPool and its gradient',
    shapes: `${times(shape)}, ${times(window.size)} ${window.padding} stride ${window.strides[0]}`,
    precision: 'float32',
    prepare: () => {
      const x = normal<Rank.R4>(tf, shape, 1);
      const dy = normal<Rank.R4>(tf, kernels.maxPool(x, window).y.shape, 2);
      return () => {
        const { y, gradient } = kernels.maxPool(x, window);
        return [y, gradient(dy)];
      };
    },
  }));
}

function dropoutCases({ tf, kernels, composed }: NumericsContext): NumericsCase[] {
  return dropouts.flatMap(([shape, rate]) =>
    [kernels, composed].map((implementation): NumericsCase => ({
      operation: implementation === composed ? "dropout, TensorFlow's" : 'dropout',
      shapes: `${times(shape)}, rate ${rate}`,
      precision: 'float32',
      prepare: () => {
        const x = normal(tf, [...shape], 1);
        return () => [implementation.float32.dropout(x, rate, [7, 1], [3, 4, 5])];
      },
    })),
  );
}

function crossEntropyCases({ tf, kernels: { float32: kernels } }: NumericsContext): NumericsCase[] {
  return (
    [
      [1, 10],
      [5, 3],
      [33, 17],
    ] as const
  ).map(([rows, classes]): NumericsCase => ({
    operation: 'softmax cross-entropy',
    shapes: times([rows, classes]),
    precision: 'float32',
    prepare: () => {
      const logits: Tensor2D = normal<Rank.R2>(tf, [rows, classes], 1);
      const labels = tf.tensor1d(
        Array.from({ length: rows }, (_, i) => i % classes),
        'int32',
      );
      return () => {
        const { losses, gradient } = kernels.softmaxCrossEntropy(logits, labels);
        return [losses, gradient];
      };
    },
  }));
}

function layerNormCases({ tf, kernels, composed }: NumericsContext): NumericsCase[] {
  return [kernels.float32, composed.float32].flatMap((used) =>
    [
      [1, 1],
      [5, 19],
      [3, 40, 64],
    ].map((shape): NumericsCase => ({
      operation: 'layer normalization and its gradients',
      shapes: times(shape),
      precision: 'float32',
      prepare: () => {
        const [x, dy] = [normal(tf, [...shape], 1), normal(tf, [...shape], 2)];
        const columns = shape.at(-1) ?? 0;
        const [gamma, beta] = [normal<Rank.R1>(tf, [columns], 3), normal<Rank.R1>(tf, [columns], 4)];
        return () => {
          const { y, gradients } = used.layerNorm(x, { gamma, beta, epsilon: 1e-3 });
          const { dx, dGamma, dBeta } = gradients(dy);
          return [y, dx, dGamma, dBeta];
        };
      },
    })),
  );
}

function depthwiseCases({ tf, kernels: { float32: kernels } }: NumericsContext): NumericsCase[] {
  const cases = [
    { xShape: [1, 4, 4, 1], size: 3, strides: [1, 1] },
    { xShape: [3, 7, 6, 19], size: 3, strides: [2, 2] },
    { xShape: [2, 9, 8, 32], size: 5, strides: [1, 1] },
  ] as const;
  return cases.flatMap(({ xShape, size, strides }): NumericsCase[] => {
    const filterShape: Shape4d = [size, size, xShape[3], 1];
    const convolution = kernels.depthwise({
      filterShape,
      window: { strides, padding: 'same', dilations: [1, 1] },
    });
    if (!convolution) return [];
    return [
      {
        operation: 'depthwise convolution and its gradients',
        shapes: `${times(xShape)} by ${times(filterShape)}`,
        precision: 'float32',
        prepare: () => {
          const [x, filter] = [normal<Rank.R4>(tf, [...xShape], 1), normal<Rank.R4>(tf, filterShape, 2)];
          return () => {
            const y = convolution.forward(x, filter);
            return [y, convolution.inputGradient(xShape, filter, y), convolution.filterGradient(x, y)];
          };
        },
      },
    ];
  });
}
