/**
 * The interface of an export format, in tfjs's conventions: channels last, kernels [height, width, in, out], no batch
 * statistics. lower.ts calls it layer by layer; onnx.ts and saved-model.ts implement it. For inference only.
 */

/** Sizes in tfjs's order; null for a size that is known at run time only (the batch). */
export type Shape = readonly (number | null)[];

export interface Constant {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

export type Padding = 'same' | 'valid';

export const activationKinds = [
  ...(['relu', 'relu6', 'sigmoid', 'tanh', 'softmax', 'elu', 'selu', 'softplus', 'softsign'] as const),
  ...(['swish', 'leakyRelu'] as const),
];
export type ActivationKind = (typeof activationKinds)[number];

/** Options of every op. `name` is the layer's name; the writer makes it unique. */
interface Named {
  readonly name: string;
}

export interface Convolution extends Named {
  /** [height, width, in, out]; of a depthwise one [height, width, in, out per in] */
  readonly kernel: Constant;
  readonly bias: Constant | undefined;
  readonly depthwise: boolean;
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  readonly padding: Padding;
}

export interface TransposedConvolution extends Named {
  /** [height, width, out, in] */
  readonly kernel: Constant;
  readonly bias: Constant | undefined;
  readonly strides: readonly [number, number];
  readonly padding: Padding;
}

export interface Normalization extends Named {
  readonly gamma: Constant;
  readonly beta: Constant;
  readonly mean: Constant;
  readonly variance: Constant;
  readonly epsilon: number;
}

export interface Dense extends Named {
  /** [in, out] */
  readonly kernel: Constant;
  readonly bias: Constant | undefined;
}

export interface Pooling extends Named {
  readonly kind: 'max' | 'average';
  readonly size: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly padding: Padding;
}

export interface Activation extends Named {
  readonly kind: ActivationKind;
  /** Slope of leakyRelu for negative values. */
  readonly alpha?: number;
}

/** A value of the graph that is being written. */
export interface GraphValue {
  readonly shape: Shape;
}

/** Each call adds an op to the file and returns its value. Softmax and BatchNorm act on the last axis. */
export interface GraphWriter<Value extends GraphValue> {
  input(name: string, shape: Shape): Value;
  output(name: string, value: Value): void;
  conv2d(x: Value, convolution: Convolution, shape: Shape): Value;
  /** Adds the gradient of a convolution by its input. Absent from formats that need the size of the batch for it. */
  convTranspose?(x: Value, convolution: TransposedConvolution, shape: Shape): Value;
  normalize(x: Value, normalization: Normalization): Value;
  dense(x: Value, dense: Dense, shape: Shape): Value;
  pool(x: Value, pooling: Pooling, shape: Shape): Value;
  /** Adds the mean or the maximum over height and width: [batch, height, width, channels] to [batch, channels]. */
  globalPool(x: Value, pooling: Pick<Pooling, 'name' | 'kind'>, shape: Shape): Value;
  activation(x: Value, activation: Activation): Value;
  /** Adds a reshape to `shape`, whose first size is that of the batch. */
  reshape(x: Value, name: string, shape: Shape): Value;
  /** Adds an elementwise op on values of equal shapes. */
  combine(kind: 'add' | 'multiply', values: readonly Value[], name: string): Value;
  concatenate(values: readonly Value[], axis: number, name: string, shape: Shape): Value;
  /** Adds zeros around a picture. */
  pad(x: Value, pads: Pads, name: string, shape: Shape): Value;
  /** Returns the bytes of the file. */
  finish(): Buffer;
}

export interface Pads {
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
}

/** Makes names unique: a second `conv` becomes `conv_1`. Characters that the formats do not allow become `_`. */
export class Names {
  readonly #taken = new Set<string>();

  take(wanted: string): string {
    const base = wanted.replaceAll(/[^\w./-]/g, '_').replace(/^[^A-Za-z0-9.]/, 'n_');
    let name = base;
    for (let i = 1; this.#taken.has(name); i++) name = `${base}_${i}`;
    this.#taken.add(name);
    return name;
  }
}
