/**
 * Raw TensorFlow ops on tfjs-node's backend: typed attributes, ops on tensors, and ops on dtypes that tfjs does not have (uint64,
 * resources). Values of such a dtype are ids, which are deleted explicitly. No other module depends on the binding's interface.
 */

import type { Tensor } from '@tensorflow/tfjs-core';
import { invariant } from '../../shared/errors.js';
import type { Tensorflow } from '../../api/tensorflow.js';

export interface Attribute {
  readonly name: string;
  readonly type: number;
  readonly value: unknown;
}

interface RawOutput {
  readonly id: number;
  readonly shape: number[];
  readonly dtype: number;
}

export interface Binding {
  readonly TF_ATTR_STRING: number;
  readonly TF_ATTR_INT: number;
  readonly TF_ATTR_FLOAT: number;
  readonly TF_ATTR_BOOL: number;
  readonly TF_ATTR_TYPE: number;
  readonly TF_ATTR_SHAPE: number;
  executeOp(name: string, attributes: readonly Attribute[], inputs: number[], outputs: number): RawOutput[];
  deleteTensor(id: number): void;
}

interface Backend {
  readonly binding: Binding;
  readonly isUsingGpuDevice: boolean;
  getInputTensorIds(tensors: readonly Tensor[]): number[];
  createOutputTensor(output: RawOutput): Tensor;
  executeSingleOutput(name: string, attributes: readonly Attribute[], inputs: readonly Tensor[]): Tensor;
  executeMultipleOutputs(
    name: string,
    attributes: readonly Attribute[],
    inputs: readonly Tensor[],
    outputs: number,
  ): Tensor[];
}

/** TensorFlow's numbers of the dtypes in use (TF_DataType in the C API). */
export const dtypes = { float32: 1, int32: 3, bfloat16: 14, uint64: 23 } as const;

/** The id of a value whose dtype tfjs does not have. It lives until `RawOps.delete`. */
export type RawId = number & { readonly raw: true };

/** Executes ops on the current backend. Returned tensors belong to the caller, in the current tfjs scope. */
export class RawOps {
  readonly #backend: Backend;

  /** @throws InvariantError if the current backend is not tfjs-node */
  constructor(tf: Tensorflow) {
    this.#backend = tf.backend() as unknown as Backend;
    invariant(typeof this.#backend.executeSingleOutput === 'function', 'the backend is not tfjs-node');
  }

  get onGpu(): boolean {
    return this.#backend.isUsingGpuDevice;
  }

  int = (name: string, value: number | readonly number[]) => this.#attribute(name, 'TF_ATTR_INT', value);
  float = (name: string, value: number) => this.#attribute(name, 'TF_ATTR_FLOAT', value);
  bool = (name: string, value: boolean) => this.#attribute(name, 'TF_ATTR_BOOL', value);
  string = (name: string, value: string) => this.#attribute(name, 'TF_ATTR_STRING', value);
  type = (name: string, value: number) => this.#attribute(name, 'TF_ATTR_TYPE', value);
  shape = (name: string, value: readonly number[]) => this.#attribute(name, 'TF_ATTR_SHAPE', value);

  /** Runs an op with one output. */
  one<T extends Tensor>(name: string, attributes: readonly Attribute[], inputs: readonly Tensor[]): T {
    return this.#backend.executeSingleOutput(name, attributes, inputs) as T;
  }

  /** Runs an op with several outputs. */
  many(name: string, attributes: readonly Attribute[], inputs: readonly Tensor[], outputs: number): Tensor[] {
    return this.#backend.executeMultipleOutputs(name, attributes, inputs, outputs);
  }

  /** Runs an op whose output tfjs cannot hold; the caller deletes it. */
  raw(name: string, attributes: readonly Attribute[], inputs: readonly (Tensor | RawId)[]): RawId {
    const [output] = this.#backend.binding.executeOp(name, attributes, this.#ids(inputs), 1);
    invariant(output, `${name} gave no output`);
    return output.id as RawId;
  }

  /** Runs an op with several outputs as ids; the caller deletes each of them. */
  rawOutputs(
    name: string,
    attributes: readonly Attribute[],
    inputs: readonly (Tensor | RawId)[],
    outputs: number,
  ): RawId[] {
    const all = this.#backend.binding.executeOp(name, attributes, this.#ids(inputs), outputs);
    return all.map(({ id }) => id as RawId);
  }

  /** Runs an op without outputs for its effect on a resource. */
  effect(name: string, attributes: readonly Attribute[], inputs: readonly (Tensor | RawId)[]): void {
    this.#backend.binding.executeOp(name, attributes, this.#ids(inputs), 0);
  }

  /** Runs an op on raw inputs with one output, which is an ordinary tensor. */
  tensor<T extends Tensor>(
    name: string,
    attributes: readonly Attribute[],
    inputs: readonly (Tensor | RawId)[],
  ): T {
    const [output] = this.#backend.binding.executeOp(name, attributes, this.#ids(inputs), 1);
    invariant(output, `${name} gave no output`);
    return this.#backend.createOutputTensor(output) as T;
  }

  /**
   * Casts between two of `dtypes`, rounding to nearest. tfjs does not have bfloat16 and treats such a result as a float32 tensor of
   * the same shape, so that a tidy frees it. Only raw ops may read its values.
   */
  cast(x: Tensor, from: number, to: number): Tensor {
    const attributes = [this.type('SrcT', from), this.type('DstT', to), this.bool('Truncate', false)];
    const [output] = this.#backend.binding.executeOp('Cast', attributes, this.#ids([x]), 1);
    invariant(output, 'Cast gave no output');
    return this.#backend.createOutputTensor({ ...output, dtype: dtypes.float32 });
  }

  /** Runs an op whose output has a dtype that tfjs does not have; see `cast` for the restrictions on the result. */
  unnamed(name: string, attributes: readonly Attribute[], inputs: readonly Tensor[]): Tensor {
    const [output] = this.#backend.binding.executeOp(name, attributes, this.#ids(inputs), 1);
    invariant(output, `${name} gave no output`);
    return this.#backend.createOutputTensor({ ...output, dtype: dtypes.float32 });
  }

  delete(id: RawId): void {
    this.#backend.binding.deleteTensor(id);
  }

  #ids(inputs: readonly (Tensor | RawId)[]): number[] {
    return inputs.map((input) => {
      if (typeof input === 'number') return input;
      const [id] = this.#backend.getInputTensorIds([input]);
      invariant(id !== undefined, 'a tensor without an id');
      return id;
    });
  }

  #attribute(name: string, kind: keyof Binding & `TF_ATTR_${string}`, value: unknown): Attribute {
    return { name, type: this.#backend.binding[kind], value };
  }
}
