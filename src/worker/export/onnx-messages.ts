/** Builds the small messages of an ONNX file (proto/onnx.proto). */

import type { ActivationKind, Constant, Shape } from './graph-writer.js';
import { outInHeightWidth } from './kernel-order.js';

export type Attribute = number | string | readonly number[];

export const elementFloat = 1;
export const elementInt64 = 7;

/** ONNX's operators of the activations that are one operator. */
export const operators: Readonly<Record<Exclude<ActivationKind, 'relu6' | 'swish'>, string>> = {
  relu: 'Relu',
  sigmoid: 'Sigmoid',
  tanh: 'Tanh',
  softmax: 'Softmax',
  elu: 'Elu',
  selu: 'Selu',
  softplus: 'Softplus',
  softsign: 'Softsign',
  leakyRelu: 'LeakyRelu',
};

const floats: readonly string[] = ['epsilon', 'alpha'];

/** Builds an AttributeProto without its name. */
export function attributeValue(key: string, value: Attribute): object {
  if (typeof value === 'string') return { type: 3, s: Buffer.from(value) };
  if (typeof value !== 'number') return { type: 7, ints: [...value] };
  return floats.includes(key) ? { type: 1, f: value } : { type: 2, i: value };
}

/** Builds a ValueInfoProto. */
export function valueInfo(name: string, shape: Shape): object {
  const dim = shape.map((size, i) =>
    size === null ? { dimParam: i === 0 ? 'batch' : `size_${i}` } : { dimValue: size },
  );
  return { name, type: { tensorType: { elemType: elementFloat, shape: { dim } } } };
}

/** Converts a kernel [height, width, in, out] to [out, in, height, width]. */
export function toOutInHeightWidth({ shape, values }: Constant): Constant {
  const [height = 0, width = 0, channels = 0, filters = 0] = shape;
  return {
    shape: [filters, channels, height, width],
    values: Float32Array.from(outInHeightWidth(shape), (from) => values[from] ?? 0),
  };
}

/** Converts a depthwise kernel [height, width, in, multiplier] to [in * multiplier, 1, height, width]. */
export function toDepthwise({ shape, values }: Constant): Constant {
  const [height = 0, width = 0, channels = 0, multiplier = 0] = shape;
  return toOutInHeightWidth({ shape: [height, width, 1, channels * multiplier], values });
}
