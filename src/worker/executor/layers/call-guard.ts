/** Detects what a layer's call must not do: draw random numbers by itself, write a weight, or keep other state. */

import type { DataId, Tensor, Variable } from '@tensorflow/tfjs-core';
import { ModelError } from '../../../shared/errors.js';
import { withoutMathRandom } from '../../random/math-random.js';
import type { Tensorflow } from '../../../api/tensorflow.js';
import type { GraphNode } from '../graph.js';
import type { Layer, LayerVariable } from '../layer.js';
import type { Refusal } from './refusals.js';

const randomNumbers: Refusal = {
  subject: 'a custom layer that calls Math.random or a random function of tfjs, even with a seed',
  reason:
    'its result would depend on the division into shards. Use tf.layers.dropout or tf.layers.gaussianNoise before or after it, ' +
    'or make the numbers an input of the model',
};

const writtenVariable: Refusal = {
  subject: 'a custom layer that writes a variable in its call',
  reason:
    'each shard would leave another value. Compute the value from the inputs, or use BatchNormalization, which is synchronized',
};

const keptState: Refusal = {
  subject: 'a custom layer whose result changes from call to call',
  reason:
    'its result would depend on the number of shards. Remove the state or the random numbers from its call',
};

/** The refusals of the first step. */
export const callRefusals: readonly Refusal[] = [randomNumbers, writtenVariable, keptState];

/** tfjs's functions that draw random numbers. They are refused even if the call passes a seed. `dropout` is one of them. */
const randomOps = new Map(
  [
    'dropout',
    'multinomial',
    'rand',
    'randomGamma',
    'randomNormal',
    'randomStandardNormal',
    'randomUniform',
    'randomUniformInt',
    'truncatedNormal',
  ].map((name) => [`${name}__op`, name]),
);

/** tfjs-core's engine, which opens a scope named after each function that is called. */
interface ScopedEngine {
  startScope(name?: string): void;
  readonly state: { readonly registeredVariables: Readonly<Record<string, Variable>> };
}

/** Runs `body`. @throws ModelError that names `layer` if it draws a random number through tfjs or Math.random */
export function withoutRandomOps<T>(tf: Tensorflow, layer: Layer, body: () => T): T {
  const engine = tf.engine() as unknown as ScopedEngine;
  const startScope = engine.startScope.bind(engine);
  engine.startScope = (name) => {
    const op = randomOps.get(name ?? '');
    if (op !== undefined) throw new ModelError(drawsRandom(layer, `tf.${op}`));
    startScope(name);
  };
  try {
    return withoutMathRandom(drawsRandom(layer, 'Math.random'), body);
  } finally {
    Reflect.deleteProperty(engine, 'startScope');
  }
}

function drawsRandom(layer: Layer, source: string): string {
  return `Layer "${layer.name}" (${layer.getClassName()}) calls ${source}: ${randomNumbers.reason}.`;
}

/** The values that a call must not change: the layer's weights, or every variable of tfjs. */
export class WriteGuard {
  readonly #layer: Layer;
  readonly #before: readonly {
    readonly name: string;
    readonly tensor: () => Tensor;
    readonly data: DataId;
  }[];

  /** @param all watches every variable of tfjs, instead of the layer's weights */
  constructor(tf: Tensorflow, layer: Layer, all: boolean) {
    this.#layer = layer;
    const engine = tf.engine() as unknown as ScopedEngine;
    const watched = all
      ? Object.values(engine.state.registeredVariables).map((variable) => ({
          name: variable.name,
          tensor: (): Tensor => variable,
        }))
      : (layer.weights as unknown as LayerVariable[]).map((weight) => ({
          name: weight.originalName,
          tensor: (): Tensor => weight.read(),
        }));
    this.#before = watched.map(({ name, tensor }) => ({ name, tensor, data: tensor().dataId }));
  }

  /** @throws ModelError that names the layer and the weight that it wrote */
  check(): void {
    const written = this.#before.find(({ tensor, data }) => tensor().dataId !== data);
    if (!written) return;
    throw new ModelError(
      `Layer "${this.#layer.name}" (${this.#layer.getClassName()}) writes the variable "${written.name}": ${writtenVariable.reason}.`,
    );
  }
}

/**
 * Later layers are built for the declared shapes. Where a real one is smaller, their kernels would read beyond its values.
 * @throws ModelError that names the layer if an output has another number of values per sample than the layer declares
 */
export function requireDeclaredSizes(
  { layer, outputShapes }: GraphNode,
  outputs: readonly Tensor[],
  samples: number,
): void {
  for (const [i, [, ...declared]] of outputShapes.entries()) {
    const got = outputs[i];
    const expected = declared.reduce<number>((size, dimension) => size * (dimension ?? Number.NaN), samples);
    if (got === undefined || Number.isNaN(expected) || got.size === expected) continue;
    throw new ModelError(
      `Layer "${layer.name}" (${layer.getClassName()}): expected an output of the shape [${samples}, ${declared.join(', ')}], as ` +
        `it declares, got [${got.shape.join(', ')}]. Correct its computeOutputShape.`,
      { layer: layer.name },
    );
  }
}

/** Largest difference of two calls, relative to the largest value: rounding on a GPU, where sums may be in any order. */
const rounding = 1e-5;

/** @throws ModelError that names `layer` if two calls with equal inputs gave different results */
export function requireEqualResults(layer: Layer, first: readonly Tensor[], second: readonly Tensor[]): void {
  const equal = first.every((output, i) => areClose(output.dataSync(), second[i]?.dataSync() ?? []));
  if (equal && first.length === second.length) return;
  throw new ModelError(
    `Layer "${layer.name}" (${layer.getClassName()}): expected equal results of two calls with equal inputs, got different ones: ` +
      `${keptState.reason}.`,
  );
}

function areClose(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  let scale = 0;
  for (let i = 0; i < a.length; i++) scale = Math.max(scale, Math.abs(a[i] as number));
  for (let i = 0; i < a.length; i++) {
    const [value, other] = [a[i] as number, b[i] as number];
    if (!Object.is(value, other) && !(Math.abs(value - other) <= rounding * scale)) return false;
  }
  return true;
}
