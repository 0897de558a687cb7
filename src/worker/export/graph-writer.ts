/**
 * What a file format must be able to say, in the words of tfjs: channels last, kernels [height, width, in, out], no batch
 * statistics. lower.ts calls it layer by layer; onnx.ts and saved-model.ts answer. Inference only.
 */

/** Sizes as tfjs has them; null: known at run time (the batch). */
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

/** `name` is the layer's; a writer makes it unique. */
interface Named {
  readonly name: string;
}

export interface Convolution extends Named {
  /** [height, width, in, out] */
  readonly kernel: Constant;
  readonly bias: Constant | undefined;
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
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
  /** Slope of leakyRelu on the negative side. */
  readonly alpha?: number;
}

/** A value of a graph that is being written. */
export interface GraphValue {
  readonly shape: Shape;
}

/** Each call adds to the file and gives the new value; softmax and BatchNorm act on the last axis. */
export interface GraphWriter<Value extends GraphValue> {
  input(name: string, shape: Shape): Value;
  output(name: string, value: Value): void;
  conv2d(x: Value, convolution: Convolution, shape: Shape): Value;
  normalize(x: Value, normalization: Normalization): Value;
  dense(x: Value, dense: Dense, shape: Shape): Value;
  pool(x: Value, pooling: Pooling, shape: Shape): Value;
  /** Mean over height and width of a picture: [batch, channels]. */
  globalAverage(x: Value, name: string, shape: Shape): Value;
  activation(x: Value, activation: Activation): Value;
  /** To `shape`, whose first size is the batch's. */
  reshape(x: Value, name: string, shape: Shape): Value;
  /** Element by element, of equal shapes. */
  combine(kind: 'add' | 'multiply', values: readonly Value[], name: string): Value;
  concatenate(values: readonly Value[], axis: number, name: string, shape: Shape): Value;
  /** Zeros around a picture. */
  pad(x: Value, pads: Pads, name: string, shape: Shape): Value;
  /** The file's bytes. */
  finish(): Buffer;
}

export interface Pads {
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
}

/** Gives each name once; a second `conv` becomes `conv_1`. Other characters than the formats allow become `_`. */
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
