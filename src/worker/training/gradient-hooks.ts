/** Handles each shard's gradient between the backward pass and the all-reduce: stores it, hashes it and, in tests, flips a bit. */

import { hashFloats } from '../../shared/ledger/hash.js';
import { invariant } from '../../shared/errors.js';
import type { Plan } from '../../shared/protocol/messages.js';
import type { Range } from '../../shared/sharding/identifiers.js';
import { maximalSubtrees } from '../../shared/sharding/tree.js';
import type { Communicator } from '../communicator/communicator.js';
import type { FlatParameter, GradientHooks } from '../executor/gradient-buckets.js';
import { bitFlipper, type BitFlip } from '../faults/bit-flip.js';
import { Ledger } from './ledger.js';
import type { Replica } from './replica.js';

/**
 * Opens the audit ledger of a generation; undefined without `--audit`.
 * @param firstShard global index of the worker's first shard
 */
export function openLedger(
  { engine, config, layout }: Replica,
  communicator: Pick<Communicator, 'send'>,
  { rank, workers, generation }: Pick<Plan, 'rank' | 'workers' | 'generation'>,
  parameters: readonly FlatParameter[],
  firstShard: number,
): Ledger | undefined {
  if (!config.audit) return undefined;
  return new Ledger({
    names: parameters.map(({ weight }) => layout[weight]?.name ?? String(weight)),
    weights: parameters.map(({ weight }) => weight),
    rank,
    worldSize: workers.length,
    firstShard,
    hash: engine.memory?.hash ?? hashFloats,
    send: (entries) => communicator.send({ type: 'ledger', generation, entries }),
  });
}

/** @param localShards the worker's shards */
export function gradientHooks(
  { kernels, layout, config }: Replica,
  ledger: Ledger | undefined,
  localShards: Range,
  bitFlip: BitFlip | undefined,
): GradientHooks {
  const flipBit = bitFlip && bitFlipper(bitFlip, layout);
  const { start: firstShard } = localShards;
  const subtrees = maximalSubtrees(localShards, config.shards).map(({ level, index }) => ({
    start: index * 2 ** level - firstShard,
    end: Math.min((index + 1) * 2 ** level, config.shards) - firstShard,
  }));
  // In bfloat16, the gradient of each shard is rounded before it is added.
  const mayAdd = !flipBit && config.gradientDtype === 'float32';
  return {
    store: (value, targets, weight, local, isOnly) => {
      const target = targets[local];
      invariant(target, `shard ${firstShard + local} does not belong to this worker`);
      const shards = mayAdd && isOnly ? { targets, subtrees } : undefined;
      kernels.store(value, target, ledger?.gradientHash(weight, local), shards);
    },
    completeStores: () => kernels.completeStores(),
    discardStores: () => kernels.discardStores(),
    complete:
      ledger || flipBit
        ? (step, weight, local, gradient, stored) => {
            if (flipBit) kernels.completeStores();
            flipBit?.(step, weight, firstShard + local, gradient);
            if (flipBit || !stored) ledger?.gradient(weight, local, gradient);
          }
        : undefined,
  };
}
