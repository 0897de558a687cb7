/**
 * This worker's part of the audit ledger: hashes of what each of its shards contributed to a step, before anything is
 * combined, and of the weights after it. Owns when entries leave: some steps' together, since each message costs more than
 * its hashes. A worker that dies takes the last few steps' entries with it.
 */

import { hashBytes, hashPlace, type HashFloats } from '../../shared/ledger/hash.js';
import type { LedgerEntry } from '../../shared/ledger/entries.js';
import { invariant } from '../../shared/errors.js';

const stepsTogether = 8;
/** Characters of hashes in one message at most; a message may have a megabyte. */
const charactersTogether = 400_000;

export interface LedgerOptions {
  /** Names of the trainable parameters, in backward order. */
  readonly names: readonly string[];
  /** The same parameters as indices into the layout. */
  readonly weights: readonly number[];
  readonly rank: number;
  readonly worldSize: number;
  readonly firstShard: number;
  readonly hash: HashFloats;
  readonly send: (entries: LedgerEntry[]) => void;
}

interface ShardHashes {
  readonly all: Buffer;
  readonly each: readonly Uint8Array[];
}

export class Ledger {
  readonly #options: LedgerOptions;
  readonly #places: ReadonlyMap<number, number>;
  readonly #shards = new Map<number, ShardHashes>();
  #entries: LedgerEntry[];
  #steps = 0;
  #characters = 0;
  /** Each parameter's hash after the step, in backward order, and the statistics'; the optimizer writes the former. */
  readonly #after: Buffer;

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.#places = new Map(options.weights.map((weight, place) => [weight, place]));
    this.#after = Buffer.alloc(hashBytes * (options.weights.length + 1));
    this.#entries = [{ type: 'parameters', names: [...options.names], workers: options.worldSize }];
  }

  /** Where the hash of local shard `local`'s gradient of a weight (index in the layout) belongs. */
  gradientPlace(weight: number, local: number): Uint8Array {
    const place = this.#places.get(weight);
    const target = place === undefined ? undefined : this.#of(local).each[place];
    invariant(target, `weight ${weight} is not in the ledger`);
    return target;
  }

  /** Notes that gradient, where the op that copied it has not. */
  gradient(weight: number, local: number, values: Float32Array): void {
    this.#options.hash(values, this.gradientPlace(weight, local));
  }

  /** Where each parameter's hash after a step belongs, 8 bytes each, in backward order. */
  get parameters(): Uint8Array {
    return this.#after.subarray(0, -hashBytes);
  }

  /** Closes local shard `local`'s entry of a step, with its part of the loss. */
  shard(step: number, local: number, loss: number): void {
    const { all } = this.#of(local);
    const gradients = all.toString('hex');
    all.fill(0);
    this.#add({ type: 'shard', step, shard: this.#options.firstShard + local, loss, gradients });
    this.#characters += gradients.length;
  }

  /** Closes the step, whose parameters' hashes are in their places. */
  weights(step: number, statistics: Uint8Array): void {
    this.#after.set(statistics, this.#after.length - hashBytes);
    this.#add({ type: 'weights', step, rank: this.#options.rank, hash: this.#after.toString('hex') });
    if (++this.#steps >= stepsTogether) this.flush();
  }

  flush(): void {
    if (this.#entries.length > 0) this.#options.send(this.#entries);
    this.#entries = [];
    this.#steps = 0;
    this.#characters = 0;
  }

  #add(entry: LedgerEntry): void {
    this.#entries.push(entry);
    if (this.#characters > charactersTogether) this.flush();
  }

  #of(local: number): ShardHashes {
    const held = this.#shards.get(local);
    if (held) return held;
    const all = Buffer.alloc(hashBytes * this.#options.weights.length);
    const each = this.#options.weights.map((_, i) => hashPlace(all, i));
    const made = { all, each };
    this.#shards.set(local, made);
    return made;
  }
}
