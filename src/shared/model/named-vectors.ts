/**
 * The training state as named float32 vectors. The same shape is used by the optimizer's kernels, by the broadcast to a worker
 * that joins, and by checkpoints.
 */

import { InvariantError } from '../errors.js';
import type { PinnedVector } from '../memory/pinned-vector.js';

/** Vectors with one element per trainable parameter, flat, in the order in which backward reaches the parameters. */
export const parameterVectors = [
  'weights',
  'sgd.momentum',
  'adam.first',
  'adam.second',
  'rmsprop.square',
  'rmsprop.mean',
  'rmsprop.momentum',
  'adagrad.sum',
  'adadelta.square',
  'adadelta.update',
  'adamax.first',
  'adamax.norm',
  'ema',
] as const;
export type ParameterVector = (typeof parameterVectors)[number];

/** Number of these vectors in one training state, at most: those of centered rmsprop with momentum, and the average. */
export const mostParameterVectors = 5;

/** Vectors with one element per weight that is not trainable (BatchNorm's running statistics), flat, in layout order. */
export const statisticsVectors = ['statistics', 'ema.statistics'] as const;
export type StatisticsVector = (typeof statisticsVectors)[number];

/** The vectors of Adam, in the order in which kernels take them. */
export const adamVectors = ['weights', 'adam.first', 'adam.second'] as const;

/** Reads the vectors of Adam, or only one of them. @param read called with the vector's name and its place in `adamVectors` */
export function readAdamVectors(
  only: ParameterVector | undefined,
  read: (name: ParameterVector, index: number) => Float32Array,
): NamedVectors {
  const vectors = new Map<VectorName, Float32Array>();
  for (const [index, name] of adamVectors.entries())
    if (only === undefined || only === name) vectors.set(name, read(name, index));
  return vectors;
}

export type VectorName = ParameterVector | StatisticsVector;

export type NamedVectors = ReadonlyMap<VectorName, Float32Array>;

/** Named vectors to which native code copies a training state. */
export type PinnedVectors = ReadonlyMap<VectorName, PinnedVector>;

/** The vector itself, not a copy. @throws InvariantError if there is none of this name */
export function vectorOf(vectors: NamedVectors, name: VectorName): Float32Array {
  const vector = vectors.get(name);
  if (!vector) throw new InvariantError(`the training state has no vector "${name}"`);
  return vector;
}
