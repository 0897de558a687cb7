/**
 * Writes ONNX (opset 17). Inputs and outputs keep the shapes of the tfjs model, channels last. Inside, pictures are channels
 * first, as ONNX's operators require: a value is transposed when an operator needs the other order, at most once. A Flatten
 * therefore receives channels last, and the rows of the following Dense keep their order.
 */

import type {
  Activation,
  Constant,
  Convolution,
  Dense,
  GraphValue,
  GraphWriter,
  Normalization,
  Pads,
  Pooling,
  Shape,
  TransposedConvolution,
} from './graph-writer.js';
import { Names } from './graph-writer.js';
import {
  attributeValue,
  elementFloat,
  elementInt64,
  operators,
  toDepthwise,
  toOutInHeightWidth,
  valueInfo,
  type Attribute,
} from './onnx-messages.js';
import { paddingAttributes, transposedPadding } from './onnx-padding.js';
import { encodeMessage } from './proto.js';

type Order = 'channelsLast' | 'channelsFirst';

interface OnnxValue extends GraphValue {
  /** Names of this value in each order in which the file holds it. */
  readonly names: Map<Order, string>;
}

const opset = 17;
/** IR version of the file format that was introduced with that opset. */
const irVersion = 8;

export class OnnxWriter implements GraphWriter<OnnxValue> {
  readonly #names = new Names();
  readonly #nodes: object[] = [];
  readonly #initializers: object[] = [];
  readonly #constants = new Map<Constant, string>();
  readonly #inputs: object[] = [];
  readonly #outputs: object[] = [];
  readonly #outputNames = new Map<string, string>();
  readonly #graphName: string;
  readonly #producerVersion: string;

  /** @param outputNames reserved, so that outputs have the names of the tfjs model */
  constructor(graphName: string, producerVersion: string, outputNames: readonly string[]) {
    this.#graphName = graphName;
    this.#producerVersion = producerVersion;
    for (const name of outputNames) this.#outputNames.set(name, this.#names.take(name));
  }

  input(name: string, shape: Shape): OnnxValue {
    const own = this.#names.take(name);
    this.#inputs.push(valueInfo(own, shape));
    return { shape, names: new Map([['channelsLast', own]]) };
  }

  output(name: string, value: OnnxValue): void {
    const own = this.#outputNames.get(name) ?? this.#names.take(name);
    const input = [this.#as('channelsLast', value)];
    this.#nodes.push({ name: `${own}/output`, opType: 'Identity', input, output: [own] });
    this.#outputs.push(valueInfo(own, value.shape));
  }

  conv2d(x: OnnxValue, { name, kernel, bias, ...options }: Convolution, shape: Shape): OnnxValue {
    const [height = 0, width = 0] = kernel.shape;
    const convert = options.depthwise ? toDepthwise : toOutInHeightWidth;
    const weights = [this.#constant(`${name}/kernel`, kernel, convert)];
    if (bias) weights.push(this.#constant(`${name}/bias`, bias));
    const attributes = {
      kernel_shape: [height, width],
      strides: options.strides,
      dilations: options.dilations,
      group: options.depthwise ? (kernel.shape[2] ?? 1) : 1,
      ...paddingAttributes(x.shape, { name, size: [height, width], ...options }),
    };
    return this.#picture('Conv', name, [this.#as('channelsFirst', x), ...weights], shape, attributes);
  }

  convTranspose(
    x: OnnxValue,
    { name, kernel, bias, strides, padding }: TransposedConvolution,
    shape: Shape,
  ): OnnxValue {
    // [height, width, out, in] becomes [in, out, height, width].
    const weights = [this.#constant(`${name}/kernel`, kernel, toOutInHeightWidth)];
    if (bias) weights.push(this.#constant(`${name}/bias`, bias));
    const size = kernel.shape.slice(0, 2);
    const attributes = { kernel_shape: size, strides, ...transposedPadding(size, strides, padding) };
    return this.#picture(
      'ConvTranspose',
      name,
      [this.#as('channelsFirst', x), ...weights],
      shape,
      attributes,
    );
  }

  normalize(x: OnnxValue, { name, epsilon, ...weights }: Normalization): OnnxValue {
    if (x.shape.length === 2 || x.shape.length === 4) {
      const order = x.shape.length === 4 ? 'channelsFirst' : 'channelsLast';
      const parts = (['gamma', 'beta', 'mean', 'variance'] as const).map((part) =>
        this.#constant(`${name}/${part}`, weights[part]),
      );
      const y = this.#node('BatchNormalization', [this.#as(order, x), ...parts], name, { epsilon });
      return { shape: x.shape, names: new Map([[order, y]]) };
    }
    const { gamma, beta, mean, variance } = weights;
    const scale = gamma.values.map((value, i) => value / Math.sqrt((variance.values[i] ?? 0) + epsilon));
    const shift = beta.values.map((value, i) => value - (mean.values[i] ?? 0) * (scale[i] ?? 0));
    const scaled = this.#node(
      'Mul',
      [this.#as('channelsLast', x), this.#constant(`${name}/scale`, { shape: gamma.shape, values: scale })],
      `${name}/scaled`,
    );
    return this.#plain(
      'Add',
      name,
      [scaled, this.#constant(`${name}/shift`, { shape: gamma.shape, values: shift })],
      x.shape,
    );
  }

  dense(x: OnnxValue, { name, kernel, bias }: Dense, shape: Shape): OnnxValue {
    const from = this.#as('channelsLast', x);
    const weight = this.#constant(`${name}/kernel`, kernel);
    const offset = bias && this.#constant(`${name}/bias`, bias);
    if (shape.length === 2)
      return this.#plain('Gemm', name, offset ? [from, weight, offset] : [from, weight], shape);
    if (offset === undefined) return this.#plain('MatMul', name, [from, weight], shape);
    const product = this.#node('MatMul', [from, weight], `${name}/product`);
    return this.#plain('Add', name, [product, offset], shape);
  }

  pool(x: OnnxValue, { name, kind, size, strides, padding }: Pooling, shape: Shape): OnnxValue {
    const window = { name, size, strides, dilations: [1, 1], padding };
    const attributes = { kernel_shape: size, strides, ...paddingAttributes(x.shape, window) };
    const operator = kind === 'max' ? 'MaxPool' : 'AveragePool';
    return this.#picture(operator, name, [this.#as('channelsFirst', x)], shape, attributes);
  }

  globalPool(x: OnnxValue, { name, kind }: Pick<Pooling, 'name' | 'kind'>, shape: Shape): OnnxValue {
    const operator = kind === 'max' ? 'GlobalMaxPool' : 'GlobalAveragePool';
    const pooled = this.#node(operator, [this.#as('channelsFirst', x)], `${name}/pooled`);
    return this.#plain('Flatten', name, [pooled], shape, { axis: 1 });
  }

  activation(x: OnnxValue, { name, kind, alpha }: Activation): OnnxValue {
    if (kind === 'softmax')
      return this.#plain('Softmax', name, [this.#as('channelsLast', x)], x.shape, { axis: -1 });
    const [[order, from] = ['channelsLast', ''] as const] = x.names;
    const same = (y: string): OnnxValue => ({ shape: x.shape, names: new Map([[order, y]]) });
    if (kind === 'relu6') {
      const bound = (value: number): string =>
        this.#constant(`${name}/${value}`, { shape: [], values: Float32Array.of(value) });
      return same(this.#node('Clip', [from, bound(0), bound(6)], name));
    }
    if (kind === 'swish')
      return same(this.#node('Mul', [from, this.#node('Sigmoid', [from], `${name}/sigmoid`)], name));
    return same(this.#node(operators[kind], [from], name, alpha === undefined ? {} : { alpha }));
  }

  reshape(x: OnnxValue, name: string, shape: Shape): OnnxValue {
    // In ONNX's Reshape, 0 keeps the size of the batch.
    const sizes = this.#integers(`${name}/shape`, [0, ...shape.slice(1).map((size) => size ?? -1)]);
    return this.#plain('Reshape', name, [this.#as('channelsLast', x), sizes], shape);
  }

  combine(kind: 'add' | 'multiply', values: readonly OnnxValue[], name: string): OnnxValue {
    const order = commonOrder(values);
    const operator = kind === 'add' ? 'Add' : 'Mul';
    const [head = '', ...rest] = values.map((value) => this.#as(order, value));
    const y = rest.reduce(
      (sum, other, i) => this.#node(operator, [sum, other], i === rest.length - 1 ? name : `${name}/${i}`),
      head,
    );
    return { shape: values[0]?.shape ?? [], names: new Map([[order, y]]) };
  }

  concatenate(values: readonly OnnxValue[], axis: number, name: string, shape: Shape): OnnxValue {
    const order = commonOrder(values);
    const inOrder = order === 'channelsFirst' ? ([0, 2, 3, 1][axis] ?? axis) : axis;
    const y = this.#node(
      'Concat',
      values.map((value) => this.#as(order, value)),
      name,
      { axis: inOrder },
    );
    return { shape, names: new Map([[order, y]]) };
  }

  pad(x: OnnxValue, { top, bottom, left, right }: Pads, name: string, shape: Shape): OnnxValue {
    const pads = this.#integers(`${name}/pads`, [0, 0, top, left, 0, 0, bottom, right]);
    return this.#picture('Pad', name, [this.#as('channelsFirst', x), pads], shape);
  }

  finish(): Buffer {
    return encodeMessage('onnx.proto', 'onnx.ModelProto', {
      irVersion,
      opsetImport: [{ domain: '', version: opset }],
      producerName: 'Lockstep',
      producerVersion: this.#producerVersion,
      graph: {
        name: this.#graphName,
        node: this.#nodes,
        initializer: this.#initializers,
        input: this.#inputs,
        output: this.#outputs,
      },
    });
  }

  /** Returns the value's name in this order, after adding a Transpose if there is none yet. */
  #as(order: Order, value: OnnxValue): string {
    const known = value.names.get(order);
    if (known !== undefined) return known;
    const [[, from] = ['', '']] = value.names;
    const perm = order === 'channelsFirst' ? [0, 3, 1, 2] : [0, 2, 3, 1];
    const name = this.#node('Transpose', [from], `${from}/${order}`, { perm });
    value.names.set(order, name);
    return name;
  }

  #picture(
    op: string,
    name: string,
    inputs: readonly string[],
    shape: Shape,
    attributes: Readonly<Record<string, Attribute>> = {},
  ): OnnxValue {
    return { shape, names: new Map([['channelsFirst', this.#node(op, inputs, name, attributes)]]) };
  }

  #plain(
    op: string,
    name: string,
    inputs: readonly string[],
    shape: Shape,
    attributes: Readonly<Record<string, Attribute>> = {},
  ): OnnxValue {
    return { shape, names: new Map([['channelsLast', this.#node(op, inputs, name, attributes)]]) };
  }

  /** Adds a node and returns the name of its output. */
  #node(
    opType: string,
    input: readonly string[],
    name: string,
    attributes: Readonly<Record<string, Attribute>> = {},
  ): string {
    const own = this.#names.take(name);
    const attribute = Object.entries(attributes).map(([key, value]) => ({
      name: key,
      ...attributeValue(key, value),
    }));
    this.#nodes.push({ name: own, opType, input, output: [own], attribute });
    return own;
  }

  /** Adds a constant once: a layer that is called several times has its weights once. */
  #constant(name: string, source: Constant, convert = (constant: Constant): Constant => constant): string {
    const known = this.#constants.get(source);
    if (known !== undefined) return known;
    const { shape, values } = convert(source);
    const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    const own = this.#initializer(name, elementFloat, shape, bytes);
    this.#constants.set(source, own);
    return own;
  }

  #integers(name: string, values: readonly number[]): string {
    const bytes = Buffer.from(BigInt64Array.from(values, BigInt).buffer);
    return this.#initializer(name, elementInt64, [values.length], bytes);
  }

  #initializer(name: string, dataType: number, dims: readonly number[], rawData: Buffer): string {
    const own = this.#names.take(name);
    this.#initializers.push({ name: own, dataType, dims, rawData });
    return own;
  }
}

function commonOrder(values: readonly OnnxValue[]): Order {
  return values.some(({ names }) => names.has('channelsFirst')) ? 'channelsFirst' : 'channelsLast';
}
