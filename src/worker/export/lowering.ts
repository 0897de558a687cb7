/** The form of a lowering, the translation of one class of layer into calls of a GraphWriter, and what several of them need. */

import { fieldsOf, type Layer, type LayerVariable } from '../executor/layer.js';
import {
  activationKinds,
  type ActivationKind,
  type Constant,
  type GraphValue,
  type GraphWriter,
  type Padding,
  type Shape,
} from './graph-writer.js';

export interface LoweringContext {
  readonly layer: Layer;
  /** The layer's unique name. */
  readonly name: string;
  readonly inputs: readonly GraphValue[];
  readonly writer: GraphWriter<GraphValue>;
  /** Shape of the output. */
  readonly shape: Shape;
  /** Returns a weight's values, the same object at each call for a weight. */
  constant(variable: LayerVariable): Constant;
  refuse(reason: string): never;
}

export type Lowering = (context: LoweringContext) => GraphValue;

export type Variable = LayerVariable | null | undefined;

export const optional = ({ constant }: LoweringContext, variable: Variable): Constant | undefined =>
  variable ? constant(variable) : undefined;

export const first = ({ inputs, refuse }: LoweringContext): GraphValue =>
  inputs[0] ?? refuse('it has no input');

interface PictureFields {
  readonly padding: string;
  readonly dataFormat: string;
}

export function paddingOf(context: LoweringContext): Padding {
  const { padding, dataFormat } = fieldsOf<PictureFields>(context.layer);
  if (dataFormat !== 'channelsLast') return context.refuse('only channels last can be exported');
  return padding === 'same' || padding === 'valid' ? padding : context.refuse(`padding "${padding}"`);
}

/** Flatten and global pooling have a data format but no padding. */
export function checkChannelsLast({ layer, refuse }: LoweringContext): void {
  if (fieldsOf<{ readonly dataFormat?: string }>(layer).dataFormat === 'channelsFirst')
    refuse('only channels last can be exported');
}

/** Adds the activation option of a layer. */
export function activated(context: LoweringContext, value: GraphValue): GraphValue {
  const name = context.layer.getConfig()['activation'];
  return typeof name === 'string' ? activate(context, value, name) : value;
}

function activate(context: LoweringContext, value: GraphValue, name: string): GraphValue {
  if (name === 'linear') return value;
  const kind = activationKinds.find((known): known is ActivationKind => known === name);
  if (kind === undefined || kind === 'leakyRelu') return context.refuse(`activation "${name}"`);
  return context.writer.activation(value, { name: `${context.name}/${kind}`, kind });
}

/** Adds a reshape. @throws ModelError if more than the size of the batch is known at run time only */
export function reshaped(
  context: LoweringContext,
  value: GraphValue,
  name: string,
  shape: Shape,
): GraphValue {
  if (shape.slice(1).includes(null)) context.refuse('it needs an input of fixed sizes');
  return context.writer.reshape(value, name, shape);
}
