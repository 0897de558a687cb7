/**
 * Raw TensorFlow ops on tfjs-node's backend: attributes by kind, tensors in and out, and ops on dtypes that tfjs has no
 * name for (uint64, resources), which are ids that we delete by hand. The only file that knows the binding's shape.
 */

import type { Tensor } from '@tensorflow/tfjs';
import { invariant } from '../../shared/errors.js';
import type { Tensorflow } from '../engine/native.js';

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

/** TensorFlow's numbers of the dtypes used here (TF_DataType in the C API). */
export const dtypes = { float32: 1, int32: 3, bfloat16: 14, uint64: 23 } as const;

/** Something of a dtype unknown to tfjs. Delete it, or it stays for the life of the process. */
export type RawId = number & { readonly raw: true };

export class RawOps {
  readonly #backend: Backend;

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

  many(name: string, attributes: readonly Attribute[], inputs: readonly Tensor[], outputs: number): Tensor[] {
    return this.#backend.executeMultipleOutputs(name, attributes, inputs, outputs);
  }

  /** Runs an op whose inputs or output tfjs can't hold. */
  raw(name: string, attributes: readonly Attribute[], inputs: readonly (Tensor | RawId)[]): RawId {
    const [output] = this.#backend.binding.executeOp(name, attributes, this.#ids(inputs), 1);
    invariant(output, `${name} gave no output`);
    return output.id as RawId;
  }

  /** Runs an op for its effect on a resource. */
  effect(name: string, attributes: readonly Attribute[], inputs: readonly (Tensor | RawId)[]): void {
    this.#backend.binding.executeOp(name, attributes, this.#ids(inputs), 0);
  }

  /** Runs an op on raw inputs whose one output is an ordinary tensor. */
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
   * Casts. tfjs has no name for bfloat16: it takes such a tensor for float32 of the same shape, so that a tidy frees it. Only
   * raw ops may read it.
   */
  cast(x: Tensor, from: number, to: number): Tensor {
    const attributes = [this.type('SrcT', from), this.type('DstT', to), this.bool('Truncate', false)];
    const [output] = this.#backend.binding.executeOp('Cast', attributes, this.#ids([x]), 1);
    invariant(output, 'Cast gave no output');
    return this.#backend.createOutputTensor({ ...output, dtype: dtypes.float32 });
  }

  /** As `one`, for an op whose output is of a dtype unknown to tfjs; see `cast`. */
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
