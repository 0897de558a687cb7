/**
 * This worker's part of the audit ledger: hashes of the gradient of each local shard before the all-reduce, and hashes of the weights
 * after the step. One message contains the entries of several steps. A killed worker therefore loses its last few entries.
 */

import { hashBytes, hashPlace, type HashFloats } from '../../shared/ledger/hash.js';
import type { LedgerEntry } from '../../shared/ledger/entries.js';
import { invariant } from '../../shared/errors.js';

const stepsPerMessage = 8;
/** A message with more characters of hashes than this is sent before it has `stepsPerMessage` steps. A message is limited to a megabyte. */
const maxCharacters = 400_000;

export interface LedgerOptions {
  /** Names of the trainable parameters, in backward order. */
  readonly names: readonly string[];
  /** Indices of the same parameters in the layout. */
  readonly weights: readonly number[];
  readonly rank: number;
  readonly worldSize: number;
  readonly firstShard: number;
  readonly hash: HashFloats;
  readonly send: (entries: LedgerEntry[]) => void;
}

/** The hashes of one shard's gradients, in backward order. */
interface ShardHashes {
  readonly all: Buffer;
  /** Views of the 8 bytes of each parameter. */
  readonly each: readonly Uint8Array[];
}

export class Ledger {
  readonly #options: LedgerOptions;
  /** Position in backward order, by index in the layout. */
  readonly #positions: ReadonlyMap<number, number>;
  readonly #shards = new Map<number, ShardHashes>();
  #entries: LedgerEntry[];
  #steps = 0;
  #characters = 0;
  /**
   * The hash of each parameter after the step, in backward order, then the hash of the statistics. The optimizer writes the hashes of the
   * parameters.
   */
  readonly #after: Buffer;

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.#positions = new Map(options.weights.map((weight, position) => [weight, position]));
    this.#after = Buffer.alloc(hashBytes * (options.weights.length + 1));
    this.#entries = [{ type: 'parameters', names: [...options.names], workers: options.worldSize }];
  }

  /** The 8 bytes for the hash of a gradient. @param weight index in the layout @param local index of the local shard */
  gradientHash(weight: number, local: number): Uint8Array {
    const position = this.#positions.get(weight);
    const target = position === undefined ? undefined : this.#hashesOf(local).each[position];
    invariant(target, `weight ${weight} is not in the ledger`);
    return target;
  }

  /** Hashes a gradient that was not hashed while it was copied. */
  gradient(weight: number, local: number, values: Float32Array): void {
    this.#options.hash(values, this.gradientHash(weight, local));
  }

  /** The bytes for the hash of each parameter after a step, 8 per parameter, in backward order. */
  get parameters(): Uint8Array {
    return this.#after.subarray(0, -hashBytes);
  }

  /** Completes the entry of a local shard for a step, with its share of the loss. */
  shard(step: number, local: number, loss: number): void {
    const { all } = this.#hashesOf(local);
    const gradients = all.toString('hex');
    all.fill(0);
    this.#add({ type: 'shard', step, shard: this.#options.firstShard + local, loss, gradients }, gradients);
  }

  /** Completes a step. The optimizer must have written the hashes of the parameters. @param statistics 8 bytes */
  weights(step: number, statistics: Uint8Array): void {
    this.#after.set(statistics, this.#after.length - hashBytes);
    const hash = this.#after.toString('hex');
    this.#add({ type: 'weights', step, rank: this.#options.rank, hash }, hash);
    if (++this.#steps >= stepsPerMessage) this.flush();
  }

  /** Sends all completed entries. */
  flush(): void {
    if (this.#entries.length > 0) this.#options.send(this.#entries);
    this.#entries = [];
    this.#steps = 0;
    this.#characters = 0;
  }

  #add(entry: LedgerEntry, hashes: string): void {
    this.#entries.push(entry);
    this.#characters += hashes.length;
    if (this.#characters > maxCharacters) this.flush();
  }

  #hashesOf(local: number): ShardHashes {
    const existing = this.#shards.get(local);
    if (existing) return existing;
    const all = Buffer.alloc(hashBytes * this.#options.weights.length);
    const each = this.#options.weights.map((_, i) => hashPlace(all, i));
    const hashes = { all, each };
    this.#shards.set(local, hashes);
    return hashes;
  }
}
