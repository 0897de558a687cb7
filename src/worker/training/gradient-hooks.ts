/** Handles each shard's gradient between the backward pass and the all-reduce: stores it, hashes it and, in tests, flips a bit. */

import { hashFloats } from '../../shared/ledger/hash.js';
import type { Plan } from '../../shared/protocol/messages.js';
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

/** @param firstShard global index of the worker's first shard */
export function gradientHooks(
  { kernels, layout }: Replica,
  ledger: Ledger | undefined,
  firstShard: number,
  bitFlip: BitFlip | undefined,
): GradientHooks {
  const flipBit = bitFlip && bitFlipper(bitFlip, layout);
  return {
    store: (value, target, weight, local) =>
      kernels.store(value, target, ledger?.gradientHash(weight, local)),
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
