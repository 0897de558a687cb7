/** Uses a part of the training set as the test set, for the choice of settings. The real test set is then evaluated once, at the end. */

import { createHash } from 'node:crypto';
import type { DataSplit, TrainingData } from '../../shared/data/training-data.js';
import { ConfigError, DataError } from '../../shared/errors.js';
import { epochPermutation } from '../../shared/random/permutation.js';
import type { DataSource } from '../define-training.js';
import { checkInteger, checkOptionNames, show } from './known-options.js';

/** Either the number of samples that are held out, or their share of the training set. */
export type HoldOutOptions = { readonly seed?: number } & (
  | { readonly count: number }
  /** More than 0 and less than 1; the number is rounded down. */
  | { readonly share: number }
);

/**
 * Moves a part of the training samples, selected with `seed`, to the test set. The other ones remain in the training set.
 * @example
 * data: holdOut(arrays({ inputs, targets }), { share: 0.2 })
 */
export function holdOut(source: DataSource, options: HoldOutOptions): DataSource<TrainingData> {
  checkOptionNames('holdOut', options, ['count', 'share', 'seed']);
  const { count: given, share, seed = 0 } = options as { count?: number; share?: number; seed?: number };
  checkInteger('holdOut: seed', seed, { min: 0, max: 2 ** 32 - 1 });
  if ((given === undefined) === (share === undefined))
    throw new ConfigError(
      `holdOut: expected either count or share, got ${given === undefined ? 'none' : 'both'}.`,
    );
  if (share !== undefined && !(share > 0 && share < 1))
    throw new ConfigError(`holdOut: share: expected a number above 0 and below 1, got ${show(share)}.`);
  return {
    load: async (saved) => {
      const { name, sha256, train, notes, preprocessing } = await source.load(saved);
      const count = given ?? Math.floor(train.count * (share ?? 0));
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
