/**
 * Writes TensorFlow's SavedModel: one graph with the weights as constants and no variables. The signature is
 * `serving_default`, the tag `serve`; inputs and outputs have the names and shapes of the tfjs model.
 */

import type {
  Activation,
  ActivationKind,
  Constant,
  Convolution,
  Dense,
  GraphValue,
  GraphWriter,
  Normalization,
  Pads,
  Pooling,
  Shape,
} from './graph-writer.js';
import { ModelError } from '../../shared/errors.js';
import { Names } from './graph-writer.js';
import { encodeMessage } from './proto.js';

interface NodeValue extends GraphValue {
  readonly node: string;
}

const float = 1;
const int32 = 3;
/** Version of the GraphDef; every TensorFlow since 2016 reads these operators. */
const producer = 1882;

const operators: Readonly<Record<Exclude<ActivationKind, 'swish'>, string>> = {
  relu: 'Relu',
  relu6: 'Relu6',
  sigmoid: 'Sigmoid',
  tanh: 'Tanh',
  softmax: 'Softmax',
  elu: 'Elu',
  selu: 'Selu',
  softplus: 'Softplus',
  softsign: 'Softsign',
  leakyRelu: 'LeakyRelu',
};

type Attributes = Readonly<Record<string, object>>;

const typeAttribute = (value: number): object => ({ type: value });
const text = (value: string): object => ({ s: Buffer.from(value) });
const list = (values: readonly number[]): object => ({ list: { i: [...values] } });
const T: Attributes = { T: typeAttribute(float) };
const pictures: Attributes = { ...T, data_format: text('NHWC') };

export class SavedModelWriter implements GraphWriter<NodeValue> {
  readonly #names = new Names();
  readonly #nodes: object[] = [];
  readonly #constants = new Map<Constant, string>();
  readonly #inputs: Record<string, object> = {};
  readonly #outputs: Record<string, object> = {};

  input(name: string, shape: Shape): NodeValue {
    const attributes = { dtype: typeAttribute(float), shape: { shape: shapeOf(shape) } };
    const node = this.#node('Placeholder', [], name, attributes);
    this.#inputs[name] = { name: `${node}:0`, dtype: float, tensorShape: shapeOf(shape) };
    return { shape, node };
  }

  output(name: string, value: NodeValue): void {
    const node = this.#node('Identity', [value.node], `output/${name}`, T);
    this.#outputs[name] = { name: `${node}:0`, dtype: float, tensorShape: shapeOf(value.shape) };
  }

  conv2d(
    x: NodeValue,
    { name, kernel, bias, strides, dilations, padding, depthwise }: Convolution,
    shape: Shape,
  ): NodeValue {
    if (depthwise) checkDepthwise(name, strides, dilations);
    const operator = depthwise ? 'DepthwiseConv2dNative' : 'Conv2D';
    const product = this.#node(
      operator,
      [x.node, this.#constant(`${name}/kernel`, kernel)],
      `${name}/${operator}`,
      {
        ...pictures,
        strides: list([1, ...strides, 1]),
        dilations: list([1, ...dilations, 1]),
        padding: text(padding.toUpperCase()),
      },
    );
    return { shape, node: this.#biased(product, name, bias) };
  }

  normalize(x: NodeValue, { name, epsilon, ...weights }: Normalization): NodeValue {
    const part = (key: keyof typeof weights): string => this.#constant(`${name}/${key}`, weights[key]);
    if (x.shape.length === 4) {
      const parts = [part('gamma'), part('beta'), part('mean'), part('variance')];
      const node = this.#node('FusedBatchNormV3', [x.node, ...parts], `${name}/FusedBatchNormV3`, {
        ...pictures,
        U: typeAttribute(float),
        epsilon: { f: epsilon },
        is_training: { b: false },
      });
      return { shape: x.shape, node };
    }
    const { gamma, variance } = weights;
    const scale = gamma.values.map((value, i) => value / Math.sqrt((variance.values[i] ?? 0) + epsilon));
    const centred = this.#node('Sub', [x.node, part('mean')], `${name}/centred`, T);
    const scaled = this.#node(
      'Mul',
      [centred, this.#constant(`${name}/scale`, { shape: gamma.shape, values: scale })],
      `${name}/scaled`,
      T,
    );
    return { shape: x.shape, node: this.#node('AddV2', [scaled, part('beta')], `${name}/shifted`, T) };
  }

  dense(x: NodeValue, { name, kernel, bias }: Dense, shape: Shape): NodeValue {
    const weight = this.#constant(`${name}/kernel`, kernel);
    const product =
      shape.length === 2
        ? this.#node('MatMul', [x.node, weight], `${name}/MatMul`, T)
        : this.#node('BatchMatMulV2', [x.node, weight], `${name}/MatMul`, T);
    return { shape, node: this.#biased(product, name, bias) };
  }

  pool(x: NodeValue, { name, kind, size, strides, padding }: Pooling, shape: Shape): NodeValue {
    const op = kind === 'max' ? 'MaxPool' : 'AvgPool';
    const node = this.#node(op, [x.node], `${name}/${op}`, {
      ...pictures,
      ksize: list([1, ...size, 1]),
      strides: list([1, ...strides, 1]),
      padding: text(padding.toUpperCase()),
    });
    return { shape, node };
  }

  globalPool(x: NodeValue, { name, kind }: Pick<Pooling, 'name' | 'kind'>, shape: Shape): NodeValue {
    const axes = this.#integers(`${name}/axes`, [2], [1, 2]);
    const operator = kind === 'max' ? 'Max' : 'Mean';
    const node = this.#node(operator, [x.node, axes], `${name}/${operator}`, {
      ...T,
      Tidx: typeAttribute(int32),
      keep_dims: { b: false },
    });
    return { shape, node };
  }

  activation(x: NodeValue, { name, kind, alpha }: Activation): NodeValue {
    if (kind === 'swish') {
      const sigmoid = this.#node('Sigmoid', [x.node], `${name}/Sigmoid`, T);
      return { shape: x.shape, node: this.#node('Mul', [x.node, sigmoid], name, T) };
    }
    const attributes = alpha === undefined ? T : { ...T, alpha: { f: alpha } };
    return {
      shape: x.shape,
      node: this.#node(operators[kind], [x.node], `${name}/${operators[kind]}`, attributes),
    };
  }

  reshape(x: NodeValue, name: string, shape: Shape): NodeValue {
    const sizes = this.#integers(
      `${name}/shape`,
      [shape.length],
      [-1, ...shape.slice(1).map((size) => size ?? -1)],
    );
    const node = this.#node('Reshape', [x.node, sizes], `${name}/Reshape`, {
      ...T,
      Tshape: typeAttribute(int32),
    });
    return { shape, node };
  }

  combine(kind: 'add' | 'multiply', values: readonly NodeValue[], name: string): NodeValue {
    const op = kind === 'add' ? 'AddV2' : 'Mul';
    const [head = '', ...rest] = values.map(({ node }) => node);
    const node = rest.reduce((sum, other) => this.#node(op, [sum, other], `${name}/${op}`, T), head);
    return { shape: values[0]?.shape ?? [], node };
  }

  concatenate(values: readonly NodeValue[], axis: number, name: string, shape: Shape): NodeValue {
    const inputs = [...values.map(({ node }) => node), this.#integers(`${name}/axis`, [], [axis])];
    const node = this.#node('ConcatV2', inputs, `${name}/ConcatV2`, {
      ...T,
      N: { i: values.length },
      Tidx: typeAttribute(int32),
    });
    return { shape, node };
  }

  pad(x: NodeValue, { top, bottom, left, right }: Pads, name: string, shape: Shape): NodeValue {
    const pads = this.#integers(`${name}/paddings`, [4, 2], [0, 0, top, bottom, left, right, 0, 0]);
    const node = this.#node('Pad', [x.node, pads], `${name}/Pad`, { ...T, Tpaddings: typeAttribute(int32) });
    return { shape, node };
  }

  finish(): Buffer {
    const signature = {
      inputs: this.#inputs,
      outputs: this.#outputs,
      methodName: 'tensorflow/serving/predict',
    };
    return encodeMessage('saved_model.proto', 'tensorflow.SavedModel', {
      savedModelSchemaVersion: 1,
      metaGraphs: [
        {
          metaInfoDef: { tags: ['serve'], tensorflowVersion: '2.9.1' },
          graphDef: { node: this.#nodes, versions: { producer } },
          signatureDef: { serving_default: signature },
        },
      ],
    });
  }

  #biased(node: string, name: string, bias: Constant | undefined): string {
    if (!bias) return node;
    return this.#node('BiasAdd', [node, this.#constant(`${name}/bias`, bias)], `${name}/BiasAdd`, pictures);
  }

  #node(op: string, input: readonly string[], name: string, attr: Attributes): string {
    const own = this.#names.take(name);
    this.#nodes.push({ name: own, op, input, attr });
    return own;
  }

  /** Adds a constant once: a layer that is called several times has its weights once. */
  #constant(name: string, constant: Constant): string {
    const { shape, values } = constant;
    const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    const own = this.#constants.get(constant) ?? this.#const(name, float, shape, bytes);
    this.#constants.set(constant, own);
    return own;
  }

  #integers(name: string, shape: readonly number[], values: readonly number[]): string {
    return this.#const(name, int32, shape, Buffer.from(Int32Array.from(values).buffer));
  }

  #const(name: string, dtype: number, shape: readonly number[], tensorContent: Buffer): string {
    const value = { tensor: { dtype, tensorShape: shapeOf(shape), tensorContent } };
    return this.#node('Const', [], name, { dtype: typeAttribute(dtype), value });
  }
}

/** @throws ModelError for a depthwise convolution that TensorFlow does not compute on a CPU */
function checkDepthwise(name: string, strides: readonly number[], dilations: readonly number[]): void {
  const isDilated = dilations.some((dilation) => dilation > 1);
  if (!isDilated && strides[0] === strides[1]) return;
  throw new ModelError(
    `Export to SavedModel: layer "${name}": expected ${isDilated ? 'no dilation' : 'equal strides'}, got ` +
      `${(isDilated ? dilations : strides).join(' x ')}, which TensorFlow's depthwise convolution does not support. ` +
      'Use --format tfjs.',
  );
}

function shapeOf(shape: Shape): object {
  return { dim: shape.map((size) => ({ size: size ?? -1 })) };
}
