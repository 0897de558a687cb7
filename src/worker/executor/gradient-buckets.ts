/**
 * Collects the gradients of each shard into buckets and sends a bucket as soon as it is complete, while backward goes
 * on (as PyTorch DDP's Reducer does; Li et al., VLDB 2020). Owns the flat order of the trainable parameters: the order in
 * which backward reaches them.
 */

import type { Tensor } from '@tensorflow/tfjs';
import { InvariantError, invariant } from '../../shared/errors.js';
import { elementCount, type Layout } from '../../shared/layout.js';
import type { Communicator, ExchangeHandle } from '../communicator/communicator.js';
import type { ActiveShard } from './layer-op.js';

export interface FlatParameter {
  /** Index in the layout. */
  readonly weight: number;
  readonly shape: readonly number[];
  /** Elements before it in the flat vector. */
  readonly offset: number;
  readonly size: number;
}

/** The trainable parameters as one vector. */
export function flatten(layout: Layout, order: readonly number[]): FlatParameter[] {
  let offset = 0;
  return order.map((weight) => {
    const entry = layout[weight];
    invariant(entry, `no weight ${weight} in the layout`);
    const size = elementCount(entry.shape);
    offset += size;
    return { weight, shape: entry.shape, offset: offset - size, size };
  });
}

interface Bucket {
  readonly exchange: ExchangeHandle;
  readonly start: number;
  /** Contributions that this use still lacks, over all active shards. */
  missing: number;
}

interface Place {
  readonly bucket: Bucket;
  /** Element inside the bucket. */
  readonly at: number;
  readonly size: number;
  readonly uses: number;
}

export class GradientBuckets {
  readonly #buckets: Bucket[] = [];
  readonly #places = new Map<number, Place>();
  readonly #flat: Float32Array;
  /** Contributions so far, by `weight/shard`. */
  readonly #seen = new Map<string, number>();
  #step = 0;
  #active = 0;

  constructor(
    communicator: Pick<Communicator, 'register'>,
    parameters: readonly FlatParameter[],
    uses: ReadonlyMap<number, number>,
    bucketBytes: number,
  ) {
    this.#flat = new Float32Array(parameters.reduce((sum, { size }) => sum + size, 0));
    let group: FlatParameter[] = [];
    const close = (): void => {
      const [first] = group;
      if (!first) return;
      const size = group.reduce((sum, parameter) => sum + parameter.size, 0);
      const name = `gradients/${this.#buckets.length}`;
      const exchange = communicator.register({ name, reduction: 'sum-float32', elementCount: size });
      const bucket: Bucket = { exchange, start: first.offset, missing: 0 };
      for (const parameter of group) {
        const at = parameter.offset - first.offset;
        this.#places.set(parameter.weight, {
          bucket,
          at,
          size: parameter.size,
          uses: uses.get(parameter.weight) ?? 1,
        });
      }
      this.#buckets.push(bucket);
      group = [];
    };
    let bytes = 0;
    for (const parameter of parameters) {
      group.push(parameter);
      bytes += parameter.size * 4;
      if (bytes >= bucketBytes) {
        close();
        bytes = 0;
      }
    }
    close();
  }

  /** Opens a step. Shards without samples contribute zeros. */
  begin(step: number, active: readonly ActiveShard[]): void {
    this.#step = step;
    this.#active = active.length;
    this.#seen.clear();
    for (const bucket of this.#buckets) {
      for (const [local, vector] of bucket.exchange.inputs.entries()) {
        if (!active.some((shard) => shard.local === local)) vector.fill(0);
      }
      bucket.missing = 0;
    }
    for (const { bucket, uses } of this.#places.values()) bucket.missing += uses * active.length;
    for (const bucket of this.#buckets) if (bucket.missing === 0) bucket.exchange.start(step);
  }

  /** Adds one shard's gradient of one weight; the bucket leaves when this was its last. */
  add(weight: number, shard: ActiveShard, value: Tensor | Float32Array): void {
    const place = this.#places.get(weight);
    invariant(place, `weight ${weight} is not trainable`);
    const { bucket, at, size, uses } = place;
    const values = value instanceof Float32Array ? value : value.dataSync<'float32'>();
    const target = bucket.exchange.inputs[shard.local];
    invariant(
      target && values.length === size,
      `gradient of weight ${weight}: ${values.length} of ${size} elements`,
    );
    const key = `${weight}/${shard.local}`;
    const seen = (this.#seen.get(key) ?? 0) + 1;
    if (seen > uses)
      throw new InvariantError(`weight ${weight} has ${seen} gradients of shard ${shard.local}`);
    this.#seen.set(key, seen);
    if (seen === 1) target.set(values, at);
    else for (let i = 0; i < size; i++) target[at + i] = (target[at + i] as number) + (values[i] as number);
    if (--bucket.missing === 0) bucket.exchange.start(this.#step);
  }

  /**
   * Waits for every bucket and returns the gradient of the global mean loss as one flat vector, valid until the next
   * step. Weights that backward didn't reach have gradient zero.
   */
  finish(): Float32Array {
    for (const [weight, { bucket, at, size, uses }] of this.#places) {
      if (bucket.missing === 0) continue;
      for (const [local, vector] of bucket.exchange.inputs.entries()) {
        const seen = this.#seen.get(`${weight}/${local}`) ?? 0;
        if (seen === 0) vector.fill(0, at, at + size);
        bucket.missing -= this.#active > 0 ? uses - seen : 0;
      }
      if (bucket.missing <= 0) {
        bucket.missing = 0;
        bucket.exchange.start(this.#step);
      }
    }
    for (const { exchange, start } of this.#buckets) {
      exchange.wait();
      this.#flat.set(exchange.output, start);
    }
    return this.#flat;
  }
}
