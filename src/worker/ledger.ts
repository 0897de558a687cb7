/**
 * This worker's part of the audit ledger: hashes of what each of its shards contributed to a step, before anything is
 * combined, and of the weights after it. Owns when entries leave: some steps' together, since each message costs more than
 * its hashes. A worker that dies takes the last few steps' entries with it.
 */

import { hashBytes, type HashFloats } from '../shared/ledger/hash.js';
import type { LedgerEntry } from '../shared/ledger/entries.js';
import { invariant } from '../shared/errors.js';

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

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.#places = new Map(options.weights.map((weight, place) => [weight, place]));
    this.#entries = [{ type: 'parameters', names: [...options.names], workers: options.worldSize }];
  }

  /** Notes local shard `local`'s gradient of a weight (index in the layout). */
  gradient(weight: number, local: number, values: Float32Array): void {
    const place = this.#places.get(weight);
    const target = place === undefined ? undefined : this.#of(local).each[place];
    invariant(target, `weight ${weight} is not in the ledger`);
    this.#options.hash(values, target);
  }

  /** Closes local shard `local`'s entry of a step, with its part of the loss. */
  shard(step: number, local: number, loss: number): void {
    const { all } = this.#of(local);
    const gradients = all.toString('hex');
    all.fill(0);
    this.#add({ type: 'shard', step, shard: this.#options.firstShard + local, loss, gradients });
    this.#characters += gradients.length;
  }

  /** Closes the step. */
  weights(step: number, hashes: readonly Uint8Array[]): void {
    const hash = Buffer.concat(hashes).toString('hex');
    this.#add({ type: 'weights', step, rank: this.#options.rank, hash });
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
    const each = this.#options.weights.map((_, i) => all.subarray(i * hashBytes, (i + 1) * hashBytes));
    const made = { all, each };
    this.#shards.set(local, made);
    return made;
  }
}
