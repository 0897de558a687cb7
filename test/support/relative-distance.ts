import { expect } from 'vitest';
import type { NamedTensor } from '../../src/shared/checkpoint/safetensors.js';

/** A few float32 roundings: the bound of a distance where PyTorch's float32 is by chance closer to float64. */
export const leastDistance = 3e-7;

/** Returns the norm of the difference from the tensor `name`, divided by the norm of that tensor. */
export function relativeDistance(
  tensors: ReadonlyMap<string, NamedTensor>,
  got: ArrayLike<number>,
  name: string,
): number {
  const expected = tensors.get(name)?.values ?? [];
  expect(got.length, name).toBe(expected.length);
  const norm = (all: number[]): number => Math.hypot(...all);
  return norm(Array.from(expected, (value, i) => value - (got[i] ?? NaN))) / norm(Array.from(expected));
}
