/**
 * The all-reduce of a small vector between workers that share memory, done by their main threads alone. Each worker writes its partials
 * into its own memory, publishes a state word, waits for the state words of all others, and adds up the partials of all workers, which it
 * reads in their memory. A round costs one futex wake per worker. It needs no message and no other thread. It uses the same tree as a
 * collective over sockets, so it computes the same bits.
 *
 * Each worker has two buffers per collective. Even rounds use one and odd rounds the other, so round s + 2 overwrites the buffer of
 * round s. All other workers have read this buffer by then: a worker starts round s + 2 after every other worker has published its
 * state word of round s + 1, and each published that word after it had finished round s.
 *
 * A state word holds the generation and the round. A reader waits for the exact word of its own generation and round.
 */

import { invariant } from '../errors.js';
import type { NativeMemory } from '../memory/native-memory.js';
import type { Generation } from '../sharding/identifiers.js';
import type { CollectiveBuffers, CollectiveSpec } from './collective-spec.js';
import { oneHopBytes, type Mesh } from './mesh.js';
import { Scratch } from './node-values.js';
import { bytesPerElement, vectorOver, type Vector } from './reduction.js';
import { smallBytes } from './vector-layout.js';

/** The region starts with two state words per collective, one cache line each. */
const stateWordBytes = 64;
const maxCollectives = 4_096;
const buffersStart = 2 * stateWordBytes * maxCollectives;
const alignment = 64;

/** A thread spins for at most this time before it waits on a futex. Up to this time, spinning costs less than a futex wait and wake. */
const spinUs = 60;
/** Interval at which a blocked thread checks whether the generation has ended. */
const checkIntervalUs = 4_000;

export type Futex = Required<Pick<NativeMemory, 'publish' | 'await'>>;

export interface SharedMemoryGroup {
  readonly mesh: Mesh;
  readonly generation: Generation;
  readonly futex: Futex;
  /** The regions for small vectors of all workers, this worker included, by rank. */
  readonly regions: readonly ArrayBuffer[];
  /** Throws the reason if the generation or the run has ended. */
  readonly check: () => void;
  /** Called with the collective on which the thread is about to block, and with 0 afterwards. */
  readonly waiting: (collectiveId: number) => void;
}

/** The two alternating buffers of a collective: the offset of the first, and the bytes of each. */
export interface SmallBuffers {
  readonly offset: number;
  readonly bytes: number;
}

const strideOf = ({ elementCount, reduction }: CollectiveSpec): number =>
  Math.ceil((elementCount * bytesPerElement(reduction)) / alignment) * alignment;

/** Offsets of the small vectors. They are the same on every worker, because all workers register the same collectives in the same order. */
export class SmallVectorLayout {
  #next = buffersStart;

  /** Returns undefined if the vector is not small or the region is full. The collective must then use sockets. */
  add(mesh: Mesh, spec: CollectiveSpec): SmallBuffers | undefined {
    const stride = strideOf(spec);
    const bytes = stride * Math.max(...mesh.subtrees.map((nodes) => nodes.length));
    if (stride > oneHopBytes || spec.id >= maxCollectives || this.#next + 2 * bytes > smallBytes)
      return undefined;
    const offset = this.#next;
    this.#next += 2 * bytes;
    return { offset, bytes };
  }
}

export class SharedMemoryCollective {
  readonly #group: SharedMemoryGroup;
  readonly #spec: CollectiveSpec;
  readonly #buffers: CollectiveBuffers;
  readonly #scratch = new Scratch();
  /** [round % 2][rank][subtree] */
  readonly #partials: readonly (readonly (readonly Vector[])[])[];
  #round = 0;

  constructor(
    group: SharedMemoryGroup,
    spec: CollectiveSpec,
    buffers: CollectiveBuffers,
    { offset, bytes }: SmallBuffers,
  ) {
    this.#group = group;
    this.#spec = spec;
    this.#buffers = buffers;
    const stride = strideOf(spec);
    this.#partials = [0, 1].map((parity) =>
      group.mesh.subtrees.map((nodes, rank) => {
        const region = group.regions[rank];
        invariant(region, `no memory of rank ${rank}`);
        const start = offset + parity * bytes;
        return nodes.map((_, i) => vectorOver(spec.reduction, region, start + i * stride, spec.elementCount));
      }),
    );
  }

  /** Starts a round: publishes this worker's partials. The inputs must be filled. The collective overwrites them. */
  start(): void {
    this.#round++;
    const { mesh, futex, regions } = this.#group;
    const own = this.#partials[this.#round % 2]?.[mesh.rank] ?? [];
    for (const [i, partial] of mesh.foldLocal(this.#spec.reduction, this.#buffers.inputs).entries())
      own[i]?.set(partial);
    futex.publish(regions[mesh.rank] as ArrayBuffer, this.#stateWordOffset(), this.#stateWord());
  }

  /** Blocks the thread until the result is in the output. @throws what `check` throws; the output is undefined then */
  wait(): void {
    const { mesh, regions } = this.#group;
    for (const rank of mesh.others) this.#await(regions[rank] as ArrayBuffer);
    const partials = this.#partials[this.#round % 2] ?? [];
    mesh.foldAll(this.#spec.reduction, partials, this.#buffers.output, this.#scratch);
  }

  #await(region: ArrayBuffer): void {
    const { futex, check, waiting } = this.#group;
    const [offset, expected] = [this.#stateWordOffset(), this.#stateWord()];
    if (futex.await(region, offset, expected, spinUs, spinUs)) return;
    waiting(this.#spec.id);
    try {
      while (!futex.await(region, offset, expected, 0, checkIntervalUs)) check();
    } finally {
      waiting(0);
    }
  }

  #stateWordOffset(): number {
    return stateWordBytes * (2 * this.#spec.id + (this.#round % 2));
  }

  /** 12 bits of the generation and 20 bits of the round. */
  #stateWord(): number {
    return (this.#group.generation << 20) | (this.#round & 0xfffff) | 0;
  }
}
