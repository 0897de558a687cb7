/** The convolutions of the executor: forward, and the gradients by the filter and by the input. */

import type { Rank, Tensor4D } from '@tensorflow/tfjs-core';
import type { ConvWindow, Kernels } from '../../kernels/kernels.js';
import {
  normal,
  precisions,
  times,
  type Call,
  type NumericsCase,
  type NumericsContext,
} from '../numerics-case.js';

type Shape4d = [number, number, number, number];

interface ConvolutionShapes {
  readonly x: Shape4d;
  readonly filter: Shape4d;
  readonly window: ConvWindow;
}

interface Taps {
  readonly size: number;
  readonly stride: number;
  readonly dilation: number;
  readonly padding: ConvWindow['padding'];
}

const taps: readonly Taps[] = [
  { size: 3, stride: 1, dilation: 1, padding: 'same' },
  { size: 3, stride: 2, dilation: 1, padding: 'same' },
  { size: 3, stride: 1, dilation: 2, padding: 'valid' },
  { size: 1, stride: 1, dilation: 1, padding: 'valid' },
  { size: 5, stride: 2, dilation: 1, padding: 'valid' },
];

/** Input and output channels. Few input channels are what TensorFlow's bfloat16 convolutions get wrong. */
const channels: readonly (readonly [inputs: number, outputs: number])[] = [
  [1, 32],
  [3, 16],
  [17, 3],
  [32, 32],
];
/** More of them for the most common convolution, 3x3 with stride 1. */
const moreChannels: typeof channels = [
  [8, 17],
  [16, 16],
  [32, 1],
];

/** A whole batch, and the single sample that a shard may get from a partial one, in turn. */
const batches = [5, 1] as const;

const small = taps.flatMap((window, row) =>
  [...channels, ...(row === 0 ? moreChannels : [])].map(([inputs, outputs], column) =>
    shapesOf(batches[(row + column) % 2] as number, [7, 6], window, inputs, outputs),
  ),
);
/** The library chooses its kernels by the size of the image as well: the recipe's. */
const large = [
  shapesOf(1, [28, 28], taps[0] as Taps, 1, 32),
  shapesOf(1, [28, 28], taps[0] as Taps, 3, 32),
  shapesOf(1, [14, 14], taps[0] as Taps, 32, 32),
];

export function convolutionCases({ tf, kernels, composed }: NumericsContext): NumericsCase[] {
  return [...small, ...large].flatMap((shapes) =>
    precisions.flatMap((precision) => {
      // TensorFlow's ops are checked too if Lockstep's own take the convolution.
      const both = takenByOwnOps(shapes) ? [kernels[precision], composed[precision]] : [kernels[precision]];
      return both.flatMap((used) =>
        operations.map(({ operation, call }): NumericsCase => ({
          operation: used === kernels[precision] ? operation : `${operation}, TensorFlow's`,
          shapes: describe(shapes),
          precision,
          prepare: () => call(inputsOf(tf, shapes), used, shapes),
        })),
      );
    }),
  );
}

/** Stride 1, 3x3 and channels in whole groups of 16. */
function takenByOwnOps({ filter, window }: ConvolutionShapes): boolean {
  const [size, , inputs, outputs] = filter;
  const plain = window.strides[0] === 1 && window.dilations[0] === 1 && window.padding === 'same';
  return plain && size === 3 && inputs % 16 === 0 && outputs % 16 === 0;
}

function shapesOf(
  batch: number,
  [height, width]: readonly [number, number],
  { size, stride, dilation, padding }: Taps,
  inputs: number,
  outputs: number,
): ConvolutionShapes {
  return {
    x: [batch, height, width, inputs],
    filter: [size, size, inputs, outputs],
    window: { strides: [stride, stride], dilations: [dilation, dilation], padding },
  };
}

function describe({ x, filter, window }: ConvolutionShapes): string {
  const stride = window.strides[0] > 1 ? ` stride ${window.strides[0]}` : '';
  const dilation = window.dilations[0] > 1 ? ` dilation ${window.dilations[0]}` : '';
  return `${times(x)} * ${times(filter)} ${window.padding}${stride}${dilation}`;
}

interface Inputs {
  readonly x: Tensor4D;
  readonly filter: Tensor4D;
  readonly dy: Tensor4D;
}

function inputsOf(tf: NumericsContext['tf'], { x, filter, window }: ConvolutionShapes): Inputs {
  const given = { x: normal<Rank.R4>(tf, x, 1), filter: normal<Rank.R4>(tf, filter, 2) };
  const { strides, padding, dilations } = window;
  const y = tf.conv2d(given.x, given.filter, [...strides], padding, 'NHWC', [...dilations]);
  return { x: given.x, filter: given.filter, dy: normal<Rank.R4>(tf, y.shape, 3) };
}

const operations: readonly {
  readonly operation: string;
  readonly call: (inputs: Inputs, kernels: Kernels, shapes: ConvolutionShapes) => Call;
}[] = [
  {
    operation: 'conv2d',
    call: ({ x, filter }, kernels, shapes) => {
      const operand = operandsOf(kernels, shapes);
      return () => [kernels.conv2d(operand(x), operand(filter), shapes.window)];
    },
  },
  {
    operation: 'conv2d filter gradient',
    call: ({ x, dy }, kernels, shapes) => {
      const operand = operandsOf(kernels, shapes);
      return () => [kernels.conv2dFilterGradient(operand(x), shapes.filter, operand(dy), shapes.window)];
    },
  },
  {
    operation: 'conv2d input gradient',
    call: ({ filter, dy }, kernels, shapes) => {
      const operand = operandsOf(kernels, shapes);
      return () => [kernels.conv2dInputGradient(shapes.x, operand(filter), operand(dy), shapes.window)];
    },
  },
];

const operandsOf =
  (kernels: Kernels, { filter, window }: ConvolutionShapes) =>
  (tensor: Tensor4D): Tensor4D =>
    kernels.operand(tensor, { filterShape: filter, window });
