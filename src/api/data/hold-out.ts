/** Uses a part of the training set as the test set, for the choice of settings. The real test set is then evaluated once, at the end. */

import { createHash } from 'node:crypto';
import type { DataSplit } from '../../shared/data/training-data.js';
import { DataError } from '../../shared/errors.js';
import { epochPermutation } from '../../shared/random/permutation.js';
import type { DataSource } from '../define-training.js';
import { checkInteger, checkOptionNames } from './known-options.js';

/** Moves `count` training samples, selected with `seed`, to the test set. The other ones remain in the training set. */
export function holdOut(
  source: DataSource,
  options: { readonly count: number; readonly seed?: number },
): DataSource {
  checkOptionNames('holdOut', options, ['count', 'seed']);
  const { count, seed = 0 } = options;
  checkInteger('holdOut: seed', seed, { min: 0, max: 2 ** 32 - 1 });
  return {
    load: async (saved) => {
      const { name, sha256, train, notes, preprocessing } = await source.load(saved);
      if (!Number.isInteger(count) || count < 1 || count >= train.count)
        throw new DataError(`holdOut: expected 1 to ${train.count - 1} samples of ${name}, got ${count}.`);
      const order = epochPermutation(seed, 0, train.count);
      return {
        name: `${name}, ${count} held out`,
        sha256: createHash('sha256')
          .update(JSON.stringify([sha256, count, seed]))
          .digest('hex'),
        train: select(train, order.subarray(count)),
        test: select(train, order.subarray(0, count)),
        ...(notes ? { notes } : {}),
        ...(preprocessing ? { preprocessing } : {}),
      };
    },
  };
}

function select(split: DataSplit, chosen: Int32Array): DataSplit {
  return {
    ...split,
    count: chosen.length,
    ...(split.origin ? { origin: (index: number) => split.origin?.(chosen[index] ?? 0) ?? '' } : {}),
    fill: (indices, into) =>
      split.fill(
        indices.map((index) => chosen[index] ?? 0),
        into,
      ),
  };
}
