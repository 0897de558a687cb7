/** Random small models: graphs of layers from the whole catalogue with fitting shapes. One seed gives one model, data and division. */

import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs';
import { seeded, type Random } from '../../../scripts/fuzz/mutate.js';
import { elementCount } from '../../../src/shared/model/layout.js';
import { kinds, merges, pick, type Draw, type Layer } from './layer-catalogue.js';
import type { LossKind, ModelCase, Tensorflow } from './model-case.js';
import type { CaseSize } from './train-case.js';

interface Value {
  readonly tensor: SymbolicTensor;
  /** Positions of the model's inputs that it depends on. */
  readonly from: ReadonlySet<number>;
}

interface RandomInput {
  readonly shape: readonly number[];
  /** Size of the vocabulary of token numbers. */
  readonly words?: number;
}

/** Values per sample above which a value gets no further layers. */
const largestValue = 400;

const shapeOf = ({ tensor }: Value): number[] => tensor.shape.slice(1).map((size) => size ?? 1);

function randomInput(random: Random): RandomInput {
  const between = (low: number, high: number): number => low + random(high - low + 1);
  switch (random(8)) {
    case 0:
    case 1:
      return { shape: [between(2, 5)] };
    case 2:
    case 3:
      return { shape: [between(2, 5)], words: between(4, 9) };
    case 4:
      return { shape: [between(2, 5), between(1, 4)] };
    case 5:
    case 6:
      return { shape: [between(3, 6), between(3, 6), between(1, 2)] };
    default:
      return { shape: [between(2, 3), between(2, 4), between(2, 4), 1] };
  }
}

/** Applies a layer; undefined if tfjs refuses to, or the result is empty or too large. */
function applied(layer: Layer | undefined, ...values: readonly Value[]): Value | undefined {
  if (!layer) return undefined;
  try {
    const tensors = values.map(({ tensor }) => tensor);
    const result = layer.apply(tensors.length === 1 ? (tensors[0] as SymbolicTensor) : tensors);
    const tensor = Array.isArray(result) ? result[0] : (result as SymbolicTensor);
    const value = {
      tensor: tensor as SymbolicTensor,
      from: new Set(values.flatMap(({ from }) => [...from])),
    };
    const shape = shapeOf(value);
    if (shape.some((size) => size < 1) || elementCount(shape) > largestValue) return undefined;
    return value;
  } catch {
    return undefined;
  }
}

const randomLayer = (draw: Draw, value: Value): Layer | undefined => {
  const shape = shapeOf(value);
  const fitting = kinds.filter(({ rank }) => rank === shape.length);
  return fitting.length === 0 ? undefined : pick(draw.random, fitting).make(draw, shape);
};

/** A model of one to three layers as a layer. */
function nestedModel(draw: Draw, value: Value): LayersModel | undefined {
  const input = draw.tf.input({ shape: shapeOf(value) });
  let inner: Value = { tensor: input, from: new Set() };
  for (let i = 1 + draw.random(3); i > 0; i--) inner = applied(randomLayer(draw, inner), inner) ?? inner;
  return inner.tensor === input ? undefined : draw.tf.model({ inputs: input, outputs: inner.tensor });
}

/** One random addition to the graph. */
function grow(draw: Draw, values: Value[]): void {
  const { random } = draw;
  // Later values are more likely, so that graphs become deep.
  const value = values[values.length - 1 - Math.min(random(values.length), random(values.length))] as Value;
  const alike = values.filter((other) => other !== value && shapeOf(other).join() === shapeOf(value).join());
  const add = (more: Value | undefined): void => {
    if (more) values.push(more);
  };
  const action = random(10);
  if (action < 2 && alike.length > 0) {
    add(applied(pick(random, merges)(draw), value, pick(random, alike)));
    return;
  }
  const layer = action === 2 ? nestedModel(draw, value) : randomLayer(draw, value);
  const once = applied(layer, value);
  add(once);
  if (!layer || !once || random(6) > 0) return;
  // The same layer again, on its own result or on another value.
  const again = [once, ...alike].filter((other) => shapeOf(other).join() === shapeOf(value).join());
  if (again.length > 0) add(applied(layer, pick(random, again)));
}

/** Values that together depend on all inputs, the latest first. */
function heads(values: readonly Value[], inputs: number): Value[] {
  const missing = new Set(Array.from({ length: inputs }, (_, i) => i));
  const chosen: Value[] = [];
  for (const value of [...values].reverse()) {
    if (![...value.from].some((input) => missing.has(input))) continue;
    chosen.push(value);
    for (const input of value.from) missing.delete(input);
  }
  return chosen;
}

const flat = (tf: Tensorflow, value: Value): SymbolicTensor =>
  value.tensor.shape.length > 2 ? (tf.layers.flatten().apply(value.tensor) as SymbolicTensor) : value.tensor;

function buildRandom(tf: Tensorflow, seed: number): LayersModel {
  const random = seeded(seed);
  const draw = { tf, random };
  const specs = randomInputs(random);
  const inputs = specs.map(({ shape }) => tf.input({ shape: [...shape] }));
  const values = inputs.map((tensor, i): Value => {
    const words = specs[i]?.words;
    const value: Value = { tensor, from: new Set([i]) };
    if (words === undefined) return value;
    const layer = tf.layers.embedding({
      inputDim: words,
      outputDim: 1 + random(4),
      maskZero: random(3) === 0,
    });
    return applied(layer, value) ?? value;
  });
  for (let i = 1 + random(7); i > 0; i--) grow(draw, values);
  const last = heads(values, inputs.length).map((value) => flat(tf, value));
  const joined = last.length === 1 ? last[0] : tf.layers.concatenate().apply(last);
  const outputs = Array.from(
    { length: random(5) === 0 ? 2 : 1 },
    () => tf.layers.dense({ units: 1 + random(3) }).apply(joined as SymbolicTensor) as SymbolicTensor,
  );
  return tf.model({ inputs, outputs });
}

const randomInputs = (random: Random): RandomInput[] =>
  Array.from({ length: random(4) === 0 ? 2 : 1 }, () => randomInput(random));

export interface RandomTraining {
  readonly modelCase: ModelCase;
  readonly size: CaseSize;
  /** Numbers of workers to compare. */
  readonly workers: readonly number[];
}

/** The model, data sizes and division of a seed. */
export function randomTraining(seed: number): RandomTraining {
  const vocabulary = randomInputs(seeded(seed)).map(({ words }) => words);
  // Another sequence than the model's.
  const random = seeded(seed ^ 0x5bd1e995);
  const shards = 1 + random(6);
  const losses: readonly LossKind[] = ['meanSquaredError', 'meanSquaredError', 'binaryCrossEntropy'];
  return {
    modelCase: {
      name: `random ${seed}`,
      vocabulary,
      padded: random(2) === 0,
      loss: pick(random, losses),
      learningRate: 0.02,
      build: (tf) => buildRandom(tf, seed),
    },
    size: { samples: 2 + random(14), batchSize: 2 + random(7), epochs: 1 + random(2), shards, seed },
    workers: [...new Set([1, Math.min(2, shards), Math.min(3, shards), shards])],
  };
}
