/**
 * The layer MultiHeadAttention (Vaswani et al. 2017) with Keras's name, configuration and weights. `call` computes it with tfjs's
 * functions, for a model outside of a run; in a run, src/worker/executor/layers/multi-head-attention.ts takes its place.
 */

import type { Tensor, Tensor3D, serialization } from '@tensorflow/tfjs-core';
import type { SymbolicTensor, layers } from '@tensorflow/tfjs-layers';
import type { Tensorflow } from '../tensorflow.js';
import { attend, project, type Projection, type Variable } from './attend.js';
import {
  inputShapes,
  optionsOf,
  weightShapes,
  type AttentionOptions,
  type MultiHeadAttentionArguments,
} from './attention-arguments.js';

export type { MultiHeadAttentionArguments } from './attention-arguments.js';

type Shape = readonly (number | null)[];

/** The parts of the layer that its implementation on the worker reads. */
export interface MultiHeadAttentionFields {
  readonly options: AttentionOptions;
  /** Kernel and bias of the query, the key, the value and the output, in this order; no bias without `useBias`. */
  readonly projections: readonly Projection[];
}

type Inputs = Parameters<layers.Layer['apply']>[0];
type Applied = ReturnType<layers.Layer['apply']>;
type SerializableClass = serialization.SerializableConstructor<layers.Layer>;
type LayerClass = new (args: MultiHeadAttentionArguments) => layers.Layer;

const defined = new WeakMap<object, LayerClass>();

/**
 * Makes a MultiHeadAttention layer. Apply it to `[query, value]`, to `[query, value, key]`, or to one tensor that takes all three
 * parts; each is [samples, steps, features].
 *
 * @param tf the tfjs of the model: the one that the model function receives
 * @throws Error if an argument is missing or has a value that is not supported
 * @example
 * model: ({ tf }) => {
 *   const x = tf.input({ shape: [80, 64] });
 *   const y = multiHeadAttention(tf, { numHeads: 4, keyDim: 16 }).apply(x);
 *   return tf.model({ inputs: x, outputs: y as tf.SymbolicTensor });
 * }
 */
export function multiHeadAttention(tf: Tensorflow, args: MultiHeadAttentionArguments): layers.Layer {
  return new (classFor(tf))(args);
}

/**
 * Registers Lockstep's layers with `tf`, so that `tf.loadLayersModel` can build a model that contains one. Lockstep's own commands
 * and functions need no call of it.
 */
export function registerLayers(tf: Tensorflow): void {
  classFor(tf);
}

/** Returns the class for an instance of tfjs; it is defined and registered once. */
function classFor(tf: Tensorflow): LayerClass {
  const key = tf.layers.Layer;
  const known = defined.get(key);
  if (known) return known;
  const made = define(tf);
  tf.serialization.registerClass(made as unknown as SerializableClass);
  defined.set(key, made);
  return made;
}

function define(tf: Tensorflow): LayerClass {
  class MultiHeadAttention extends tf.layers.Layer implements MultiHeadAttentionFields {
    static readonly className = 'MultiHeadAttention';
    readonly options: AttentionOptions;
    readonly projections: Projection[] = [];
    /** A layer that reads the initializers and regularizers and writes their configuration. */
    readonly #parts: layers.Layer;

    constructor(args: MultiHeadAttentionArguments) {
      super(args as never);
      this.options = optionsOf(args, this.name);
      this.supportsMasking = true;
      this.#parts = tf.layers.dense(partsOf(args, this.name));
    }

    /**
     * Passes an input that takes several parts once: tfjs's predict frees an input that a layer has twice before other layers have
     * used it.
     */
    override apply(inputs: Inputs, kwargs?: serialization.ConfigDict): Applied {
      return super.apply(Array.isArray(inputs) ? distinctInputs(inputs) : inputs, kwargs);
    }

    override build(inputShape: Shape | readonly Shape[]): void {
      const shapes = weightShapes(this.options, inputShapes(inputShape, this.name));
      const parts = this.#parts as unknown as DenseParts;
      this.projections.length = 0;
      for (const [name, shape] of Object.entries(shapes)) {
        const weight = (kind: 'kernel' | 'bias'): Variable => {
          const {
            [`${kind}Initializer` as const]: initializer,
            [`${kind}Regularizer` as const]: regularizer,
          } = parts;
          return this.addWeight(`${name}/${kind}`, shape[kind], 'float32', initializer, regularizer);
        };
        const kernel = weight('kernel');
        this.projections.push({ kernel, bias: this.options.useBias ? weight('bias') : null });
      }
      super.build(inputShape as never);
    }

    override computeOutputShape(inputShape: Shape | readonly Shape[]): number[] {
      const [query] = inputShapes(inputShape, this.name);
      return [...query.slice(0, -1), this.options.outputSize ?? query.at(-1)] as number[];
    }

    override call(inputs: Tensor | Tensor[], { mask, training }: CallArguments): Tensor {
      return tf.tidy(() => {
        const given = (Array.isArray(inputs) ? inputs : [inputs]) as [Tensor3D, Tensor3D?, Tensor3D?];
        const [query, value = query, key = value] = given;
        // tfjs passes the mask of the first input only.
        const masks = { query: mask, value: value === query ? mask : undefined, key: undefined };
        const [ofQuery, ofKey, ofValue, output] = this.projections as unknown as Four<Projection>;
        const projected = [project(tf, query, ofQuery), project(tf, key, ofKey), project(tf, value, ofValue)];
        const { keyDim, useCausalMask, dropout } = this.options;
        const rate = training === true ? dropout : 0;
        const heads = attend(tf, projected, { keyDim, useCausalMask, masks, rate });
        return project(tf, tf.reshape(heads, [query.shape[0], query.shape[1], -1]), output);
      });
    }

    override getConfig(): serialization.ConfigDict {
      return { ...super.getConfig(), ...configOf(this.options, this.#parts.getConfig()) };
    }
  }
  return MultiHeadAttention;
}

type Four<T> = readonly [T, T, T, T];

interface CallArguments {
  readonly mask?: Tensor;
  readonly training?: boolean;
}

/** Fields of tfjs's Dense, which its types do not declare. */
type DenseParts = Readonly<Record<`${'kernel' | 'bias'}${'Initializer' | 'Regularizer'}`, never>>;

function partsOf(
  args: MultiHeadAttentionArguments,
  name: string,
): Parameters<Tensorflow['layers']['dense']>[0] {
  const { kernelInitializer = 'glorotUniform', biasInitializer = 'zeros' } = args;
  const { kernelRegularizer, biasRegularizer } = args;
  const regularizers = {
    ...(kernelRegularizer ? { kernelRegularizer } : undefined),
    ...(biasRegularizer ? { biasRegularizer } : undefined),
  };
  return Object.assign({ units: 1, name, kernelInitializer, biasInitializer }, regularizers);
}

/** Returns the inputs without those that follow from the ones before them: [query, value, key]. */
function distinctInputs(given: readonly (Tensor | SymbolicTensor)[]): Tensor[] {
  const inputs = given as Tensor[];
  const [query, value, key] = inputs;
  if (inputs.length > 3) return inputs;
  const distinct = key === value ? inputs.slice(0, 2) : [...inputs];
  return distinct.length === 2 && query === value ? distinct.slice(0, 1) : distinct;
}

/** @param parts the configuration of a Dense layer with the initializers and regularizers */
function configOf(options: AttentionOptions, parts: serialization.ConfigDict): serialization.ConfigDict {
  const { outputSize, useCausalMask, ...others } = options;
  const names = ['kernelInitializer', 'biasInitializer', 'kernelRegularizer', 'biasRegularizer'];
  return Object.assign(
    Object.fromEntries(names.map((name) => [name, parts[name] ?? null])),
    { ...others, outputShape: outputSize, attentionAxes: null },
    useCausalMask ? { useCausalMask } : {},
  );
}
