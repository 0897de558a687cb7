/** The arguments of MultiHeadAttention: their checks, and the shapes that follow from them. */

import type { Tensorflow } from '../tensorflow.js';

type Shape = readonly (number | null)[];
type DenseArguments = Parameters<Tensorflow['layers']['dense']>[0];

/** The arguments of `multiHeadAttention`. */
export interface MultiHeadAttentionArguments {
  readonly name?: string;
  readonly trainable?: boolean;
  readonly inputShape?: Shape;
  /** Number of heads. */
  readonly numHeads: number;
  /** Size of each head of query and key. */
  readonly keyDim: number;
  /** Size of each head of value; by default `keyDim`. */
  readonly valueDim?: number | null;
  /** Probability with which training drops an attention probability; 0 by default. */
  readonly dropout?: number;
  /** True by default. */
  readonly useBias?: boolean;
  /** Size of the last axis of the result; by default that of the query. */
  readonly outputShape?: number | readonly [number] | null;
  /** True if a step attends to itself and the steps before it only: the argument `use_causal_mask` of a call in Keras. */
  readonly useCausalMask?: boolean;
  /** `glorotUniform` by default. */
  readonly kernelInitializer?: DenseArguments['kernelInitializer'];
  /** `zeros` by default. */
  readonly biasInitializer?: DenseArguments['biasInitializer'];
  readonly kernelRegularizer?: DenseArguments['kernelRegularizer'];
  readonly biasRegularizer?: DenseArguments['biasRegularizer'];
}

/** The arguments of a layer with their defaults. */
export interface AttentionOptions {
  readonly numHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly dropout: number;
  readonly useBias: boolean;
  readonly useCausalMask: boolean;
  readonly outputSize: number | null;
}

/** @throws Error naming the layer and the argument */
export function optionsOf(args: MultiHeadAttentionArguments, name: string): AttentionOptions {
  checkArguments(args, name);
  const { numHeads, keyDim } = args;
  return {
    numHeads,
    keyDim,
    valueDim: args.valueDim ?? keyDim,
    dropout: args.dropout ?? 0,
    useBias: args.useBias ?? true,
    useCausalMask: args.useCausalMask ?? false,
    outputSize: sizeOf(args.outputShape),
  };
}

/** The shapes of kernel and bias of the query, the key, the value and the output, by the names of the weights in Keras. */
export function weightShapes(
  { numHeads, keyDim, valueDim, outputSize }: AttentionOptions,
  [query, value, key]: readonly [Shape, Shape, Shape],
): Readonly<Record<string, { readonly kernel: number[]; readonly bias: number[] }>> {
  const output = outputSize ?? featuresOf(query);
  const heads = (inputs: number, size: number) => ({
    kernel: [inputs, numHeads, size],
    bias: [numHeads, size],
  });
  return {
    query: heads(featuresOf(query), keyDim),
    key: heads(featuresOf(key), keyDim),
    value: heads(featuresOf(value), valueDim),
    attention_output: { kernel: [numHeads, valueDim, output], bias: [output] },
  };
}

/** Returns the shapes of query, value and key. @throws Error naming the layer */
export function inputShapes(given: Shape | readonly Shape[], name: string): readonly [Shape, Shape, Shape] {
  const shapes = (Array.isArray(given[0]) ? given : [given]) as readonly Shape[];
  const [query, value = query, key = value] = shapes;
  if (query === undefined || value === undefined || key === undefined || shapes.length > 3)
    throw new Error(
      `Layer "${name}" (MultiHeadAttention): expected [query, value, key] or less, got ${shapes.length} inputs`,
    );
  for (const shape of [query, value, key])
    if (shape.length !== 3 || shape[2] === null || shape[2] === undefined)
      throw new Error(
        `Layer "${name}" (MultiHeadAttention): expected inputs [samples, steps, features] with a known number of features, got ` +
          `[${shape.map(String).join(', ')}]`,
      );
  return [query, value, key];
}

const featuresOf = (shape: Shape): number => shape.at(-1) as number;

function sizeOf(shape: MultiHeadAttentionArguments['outputShape']): number | null {
  return Array.isArray(shape) ? (shape[0] as number) : ((shape ?? null) as number | null);
}

/** Arguments of Keras's layer whose other values are not supported, and those that change nothing. */
const unsupported: Readonly<Record<string, readonly unknown[]>> = {
  attentionAxes: [1],
  useGate: [false],
  slidingWindow: [],
  kernelConstraint: [],
  biasConstraint: [],
  activityRegularizer: [],
};

/** @throws Error naming the layer, the argument and the remedy */
function checkArguments(args: MultiHeadAttentionArguments, name: string): void {
  const refuse = (field: string, expected: string, got: unknown): never => {
    throw new Error(
      `Layer "${name}" (MultiHeadAttention), argument "${field}": expected ${expected}, got ${JSON.stringify(got)}`,
    );
  };
  const { numHeads, keyDim, valueDim, outputShape, dropout = 0 } = args;
  const size = (value: unknown): boolean => Number.isInteger(value) && (value as number) > 0;
  if (!size(numHeads)) refuse('numHeads', 'a positive integer', numHeads);
  if (!size(keyDim)) refuse('keyDim', 'a positive integer', keyDim);
  if (!size(valueDim ?? 1)) refuse('valueDim', 'a positive integer or none', valueDim);
  if (!size(sizeOf(outputShape) ?? 1) || (Array.isArray(outputShape) && outputShape.length !== 1))
    refuse('outputShape', 'one positive integer or none', outputShape);
  if (!(dropout >= 0 && dropout < 1)) refuse('dropout', 'a number of at least 0 and less than 1', dropout);
  for (const [field, neutral] of Object.entries(unsupported)) {
    const given = (args as unknown as Record<string, unknown>)[field];
    const value: unknown = Array.isArray(given) && given.length === 1 ? given[0] : given;
    if (value === undefined || value === null || neutral.includes(value)) continue;
    refuse(
      field,
      neutral.length > 0 ? `${JSON.stringify(neutral[0])} or none` : 'none, since it is not supported',
      given,
    );
  }
}
