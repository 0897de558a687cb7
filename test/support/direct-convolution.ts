/** A convolution and its gradients by their definition, in float64 and plain JavaScript: the reference for kernels. */

import type { ConvWindow } from '../../src/worker/kernels/kernels.js';

export interface ConvolutionShape {
  /** [images, height, width, channels] */
  readonly x: readonly [number, number, number, number];
  /** [height, width, input channels, output channels] */
  readonly filter: readonly [number, number, number, number];
  readonly window: ConvWindow;
}

export interface DirectConvolution {
  readonly y: Float64Array;
  readonly dx: Float64Array;
  readonly dfilter: Float64Array;
}

interface Axis {
  readonly outputs: number;
  readonly padding: number;
}

/** TensorFlow's rule for padding: what is missing is split, the odd pixel goes to the end. */
function axisOf(size: number, taps: number, stride: number, dilation: number, same: boolean): Axis {
  const extent = (taps - 1) * dilation + 1;
  if (!same) return { outputs: Math.ceil((size - extent + 1) / stride), padding: 0 };
  const outputs = Math.ceil(size / stride);
  return { outputs, padding: Math.floor(Math.max(0, (outputs - 1) * stride + extent - size) / 2) };
}

function axesOf({ x, filter, window }: ConvolutionShape): [Axis, Axis] {
  const same = window.padding === 'same';
  return [
    axisOf(x[1], filter[0], window.strides[0], window.dilations[0], same),
    axisOf(x[2], filter[1], window.strides[1], window.dilations[1], same),
  ];
}

export function outputShapeOf(shape: ConvolutionShape): [number, number, number, number] {
  const [rows, columns] = axesOf(shape);
  return [shape.x[0], rows.outputs, columns.outputs, shape.filter[3]];
}

/** y of x and filter; dx and dfilter of dy, which has the shape of y. */
export function convolveDirectly(
  shape: ConvolutionShape,
  x: ArrayLike<number>,
  filter: ArrayLike<number>,
  dy: ArrayLike<number>,
): DirectConvolution {
  const result = {
    y: new Float64Array(dy.length),
    dx: new Float64Array(x.length),
    dfilter: new Float64Array(filter.length),
  };
  eachProduct(shape, (i, f, o) => {
    result.y[o] = (result.y[o] as number) + (x[i] as number) * (filter[f] as number);
    result.dx[i] = (result.dx[i] as number) + (dy[o] as number) * (filter[f] as number);
    result.dfilter[f] = (result.dfilter[f] as number) + (x[i] as number) * (dy[o] as number);
  });
  return result;
}

/** Calls back for each product, with its positions in x, in the filter and in y. */
function eachProduct(shape: ConvolutionShape, visit: (x: number, filter: number, y: number) => void): void {
  const { x, filter, window } = shape;
  const [rows, columns] = axesOf(shape);
  const [images, height, width, inputs] = x;
  const [tapRows, tapColumns, , outputs] = filter;
  for (let n = 0; n < images; n++)
    for (let r = 0; r < rows.outputs; r++)
      for (let c = 0; c < columns.outputs; c++)
        for (let tap = 0; tap < tapRows * tapColumns; tap++) {
          const tapRow = Math.floor(tap / tapColumns);
          const row = r * window.strides[0] + tapRow * window.dilations[0] - rows.padding;
          const column = c * window.strides[1] + (tap % tapColumns) * window.dilations[1] - columns.padding;
          if (row < 0 || column < 0 || row >= height || column >= width) continue;
          const from = ((n * height + row) * width + column) * inputs;
          const to = ((n * rows.outputs + r) * columns.outputs + c) * outputs;
          for (let i = 0; i < inputs; i++)
            for (let o = 0; o < outputs; o++) visit(from + i, (tap * inputs + i) * outputs + o, to + o);
        }
}
