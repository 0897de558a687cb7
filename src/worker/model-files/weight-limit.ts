/** Refuses topologies whose layers have more weights than their file, before the memory of the weights is allocated. */

import type { Tensorflow } from '../../api/tensorflow.js';

type AddWeight = (
  this: unknown,
  name: string,
  shape: readonly (number | null)[],
  ...more: unknown[]
) => unknown;

/**
 * Builds a model whose layers may have `limit` elements of weights in total.
 * @throws Error naming the weight with which the limit is exceeded
 */
export async function withWeightLimit<T>(
  { layers }: Tensorflow,
  limit: number,
  build: () => Promise<T>,
): Promise<T> {
  const prototype = layers.Layer.prototype as unknown as { addWeight: AddWeight };
  const { addWeight } = prototype;
  let elements = 0;
  prototype.addWeight = function (name, shape, ...more) {
    elements += shape.reduce<number>((size, dimension) => size * (dimension ?? 1), 1);
    if (elements > limit) {
      const { name: layer } = this as { name?: string };
      throw new Error(
        `expected layers with the ${limit} elements of the weights in the file, got more at "${layer ?? ''}", ${name} [${shape.join(', ')}]`,
      );
    }
    return addWeight.call(this, name, shape, ...more);
  };
  try {
    return await build();
  } finally {
    prototype.addWeight = addWeight;
  }
}
