/** Maps each class of layer to calls of a GraphWriter. A class that is missing here cannot be exported. */

import type { Tensor } from '@tensorflow/tfjs-core';
import { fieldsOf, type LayerVariable } from '../executor/layer.js';
import type { ActivationKind, Constant } from './graph-writer.js';
import {
  activated,
  checkChannelsLast,
  first,
  optional,
  reshaped,
  type Lowering,
  type Variable,
} from './lowering.js';
import { windowLowerings } from './window-layers.js';

/** Returns a copy of a weight's values. */
export function constantOf(variable: LayerVariable): Constant {
  const tensor: Tensor = variable.read();
  return { shape: tensor.shape, values: Float32Array.from(tensor.dataSync<'float32'>()) };
}

const unchanged: Lowering = (context) => first(context);

const dense: Lowering = (context) => {
  const { layer, writer, shape } = context;
  const fields = fieldsOf<{ readonly kernel: LayerVariable; readonly bias: Variable }>(layer);
  const weights = {
    name: context.name,
    kernel: context.constant(fields.kernel),
    bias: optional(context, fields.bias),
  };
  return activated(context, writer.dense(first(context), weights, shape));
};

const batchNormalization: Lowering = (context) => {
  const { layer, writer, refuse } = context;
  const fields = fieldsOf<{
    readonly axis: number;
    readonly epsilon: number;
    readonly gamma: Variable;
    readonly beta: Variable;
    readonly movingMean: LayerVariable;
    readonly movingVariance: LayerVariable;
  }>(layer);
  const x = first(context);
  if (fields.axis !== -1 && fields.axis !== x.shape.length - 1)
    return refuse(`axis ${fields.axis}; only the last one can be exported`);
  const mean = context.constant(fields.movingMean);
  const filled = (value: number): Constant => ({
    shape: mean.shape,
    values: new Float32Array(mean.values.length).fill(value),
  });
  return writer.normalize(x, {
    name: context.name,
    gamma: optional(context, fields.gamma) ?? filled(1),
    beta: optional(context, fields.beta) ?? filled(0),
    mean,
    variance: context.constant(fields.movingVariance),
    epsilon: fields.epsilon,
  });
};

const combined =
  (kind: 'add' | 'multiply'): Lowering =>
  ({ name, inputs, writer, shape, refuse }) =>
    inputs.every((input) => input.shape.join() === shape.join())
      ? writer.combine(kind, inputs, name)
      : refuse('its inputs have different shapes');

const activationLayer =
  (kind: ActivationKind): Lowering =>
  (context) =>
    context.writer.activation(first(context), { name: context.name, kind });

export const lowerings: Readonly<Record<string, Lowering>> = {
  ...windowLowerings,
  Dense: dense,
  BatchNormalization: batchNormalization,
  Flatten: (context) => {
    checkChannelsLast(context);
    return reshaped(context, first(context), context.name, context.shape);
  },
  Reshape: (context) => reshaped(context, first(context), context.name, context.shape),
  Activation: (context) => activated(context, first(context)),
  ReLU: (context) => {
    const { maxValue } = fieldsOf<{ readonly maxValue: number | null | undefined }>(context.layer);
    if (maxValue === null || maxValue === undefined) return activationLayer('relu')(context);
    return maxValue === 6 ? activationLayer('relu6')(context) : context.refuse(`maxValue ${maxValue}`);
  },
  LeakyReLU: (context) => {
    const { alpha } = fieldsOf<{ readonly alpha: number }>(context.layer);
    return context.writer.activation(first(context), { name: context.name, kind: 'leakyRelu', alpha });
  },
  Softmax: (context) => {
    const { axis } = fieldsOf<{ readonly axis: number }>(context.layer);
    const { length } = first(context).shape;
    return axis === -1 || axis === length - 1
      ? activationLayer('softmax')(context)
      : context.refuse(`axis ${axis}; only the last one can be exported`);
  },
  Add: combined('add'),
  Multiply: combined('multiply'),
  Concatenate: ({ layer, name, inputs, writer, shape }) => {
    const { axis } = fieldsOf<{ readonly axis: number }>(layer);
    return writer.concatenate(inputs, axis < 0 ? axis + shape.length : axis, name, shape);
  },
  ZeroPadding2D: (context) => {
    const { padding, dataFormat } = fieldsOf<{
      readonly padding: readonly [readonly [number, number], readonly [number, number]];
      readonly dataFormat: string;
    }>(context.layer);
    if (dataFormat !== 'channelsLast') return context.refuse('only channels last can be exported');
    const [[top, bottom], [left, right]] = padding;
    const pads = { top, bottom, left, right };
    return context.writer.pad(first(context), pads, context.name, context.shape);
  },
  Dropout: unchanged,
  AlphaDropout: unchanged,
  GaussianDropout: unchanged,
  GaussianNoise: unchanged,
  SpatialDropout1D: unchanged,
};
