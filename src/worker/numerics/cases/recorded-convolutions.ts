/** Convolutions and pools of recorded layers, which tfjs computes and differentiates. */

import type { Tensor, Tensor3D, Tensor4D, Tensor5D } from '@tensorflow/tfjs-core';
import type { NumericsCase, NumericsContext } from '../numerics-case.js';
import { differentiable } from './differentiable.js';

type Padding = 'same' | 'valid';

interface Shapes {
  readonly x: readonly number[];
  readonly filter: readonly number[];
  readonly padding: Padding;
  readonly stride: number;
}

const depthwise: readonly Shapes[] = [
  { x: [1, 6, 6, 1], filter: [3, 3, 1, 1], padding: 'same', stride: 1 },
  { x: [5, 7, 6, 3], filter: [3, 3, 3, 2], padding: 'valid', stride: 1 },
  { x: [2, 8, 8, 8], filter: [5, 5, 8, 1], padding: 'same', stride: 2 },
  { x: [3, 6, 6, 17], filter: [3, 3, 17, 1], padding: 'same', stride: 1 },
  { x: [1, 6, 6, 32], filter: [1, 1, 32, 2], padding: 'valid', stride: 1 },
];

const spatial: readonly Shapes[] = [
  { x: [1, 6, 6, 1], filter: [3, 3, 1, 8], padding: 'same', stride: 1 },
  { x: [5, 7, 6, 3], filter: [5, 5, 3, 16], padding: 'valid', stride: 1 },
  { x: [2, 8, 8, 17], filter: [3, 3, 17, 3], padding: 'same', stride: 2 },
];

const volumes: readonly Shapes[] = [
  { x: [1, 4, 4, 4, 1], filter: [2, 2, 2, 1, 2], padding: 'valid', stride: 1 },
  { x: [3, 4, 5, 4, 3], filter: [3, 3, 3, 3, 8], padding: 'same', stride: 1 },
  { x: [2, 4, 4, 4, 16], filter: [2, 2, 2, 16, 5], padding: 'same', stride: 2 },
];

const pools: readonly (readonly [x: readonly number[], size: number, stride: number, padding: Padding])[] = [
  [[1, 6, 6, 1], 2, 2, 'valid'],
  [[5, 7, 5, 3], 3, 1, 'same'],
  [[2, 8, 8, 16], 3, 2, 'same'],
  [[3, 6, 6, 17], 2, 2, 'same'],
];

export function recordedConvolutionCases(context: NumericsContext): NumericsCase[] {
  return [...convolutions(context), ...transposed(context), ...pooling(context), ...resizing(context)];
}

function convolutions(context: NumericsContext): NumericsCase[] {
  const { tf } = context;
  const described = ({ padding, stride }: Shapes) => ({ detail: `${padding} stride ${stride}` });
  return [
    ...depthwise.map((shapes) =>
      differentiable(
        context,
        'tf.depthwiseConv2d and its gradients',
        [shapes.x, shapes.filter],
        (x, filter) => tf.depthwiseConv2d(x as Tensor4D, filter as Tensor4D, shapes.stride, shapes.padding),
        described(shapes),
      ),
    ),
    ...spatial.map((shapes) =>
      differentiable(
        context,
        'tf.conv2d and its gradients',
        [shapes.x, shapes.filter],
        (x, filter) => tf.conv2d(x as Tensor4D, filter as Tensor4D, shapes.stride, shapes.padding),
        described(shapes),
      ),
    ),
    ...spatial.map((shapes) =>
      differentiable(
        context,
        'tf.conv1d and its gradients',
        [
          [shapes.x[0] ?? 0, (shapes.x[1] ?? 0) * 2, shapes.x[3] ?? 0],
          [shapes.filter[0] ?? 0, ...shapes.filter.slice(2)],
        ],
        (x, filter) => tf.conv1d(x as Tensor3D, filter as Tensor3D, shapes.stride, shapes.padding),
        described(shapes),
      ),
    ),
    ...volumes.map((shapes) =>
      differentiable(
        context,
        'tf.conv3d and its gradients',
        [shapes.x, shapes.filter],
        (x, filter) => tf.conv3d(x as Tensor5D, filter as Tensor5D, shapes.stride, shapes.padding),
        described(shapes),
      ),
    ),
  ];
}

function transposed(context: NumericsContext): NumericsCase[] {
  return spatial.map(({ x, filter, padding }) => {
    const [batch = 1, height = 1, width = 1] = x;
    const [size = 1, , inputs = 1, outputs = 1] = filter;
    const [stride, rest] = [2, padding === 'valid' ? size - 2 : 0];
    const shape: [number, number, number, number] = [batch, height * 2 + rest, width * 2 + rest, inputs];
    return differentiable(
      context,
      'tf.conv2dTranspose and its gradients',
      [[batch, height, width, outputs], filter],
      (y, weights) => context.tf.conv2dTranspose(y as Tensor4D, weights as Tensor4D, shape, stride, padding),
      { detail: `${padding} stride ${stride}` },
    );
  });
}

function pooling(context: NumericsContext): NumericsCase[] {
  const { tf } = context;
  return pools.flatMap(([shape, size, stride, padding]) => {
    const options = { detail: `${size}x${size} ${padding} stride ${stride}` };
    const volume = [...shape.slice(0, 3), 4, ...shape.slice(3)];
    const flat: [string, (x: Tensor) => Tensor][] = [
      ['tf.avgPool', (x) => tf.avgPool(x as Tensor4D, size, stride, padding)],
      ['tf.maxPool', (x) => tf.maxPool(x as Tensor4D, size, stride, padding)],
    ];
    const deep: [string, (x: Tensor) => Tensor][] = [
      ['tf.avgPool3d', (x) => tf.avgPool3d(x as Tensor5D, size, stride, padding)],
      ['tf.maxPool3d', (x) => tf.maxPool3d(x as Tensor5D, size, stride, padding)],
    ];
    return [
      ...flat.map(([name, pool]) =>
        differentiable(context, `${name} and its gradient`, [shape], pool, options),
      ),
      ...deep.map(([name, pool]) =>
        differentiable(context, `${name} and its gradient`, [volume], pool, options),
      ),
    ];
  });
}

function resizing(context: NumericsContext): NumericsCase[] {
  const { tf } = context;
  return pools.map(([shape]) => {
    const size: [number, number] = [(shape[1] ?? 0) * 2, (shape[2] ?? 0) * 2];
    return differentiable(
      context,
      'tf.image.resizeNearestNeighbor and its gradient',
      [shape],
      (x) => tf.image.resizeNearestNeighbor(x as Tensor4D, size),
      { detail: `to ${size.join('x')}` },
    );
  });
}
