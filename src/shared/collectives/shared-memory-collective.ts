/**
 * The collective of a small vector between workers that share memory, by their main threads alone: each writes its partials
 * into its own memory, publishes a word, waits for everybody else's word and sums what it reads there. No message, no other
 * thread; the same tree and the same bits as over sockets.
 *
 * Two places a worker and collective, used in turn: a worker starts use s + 2 only after it finished s + 1, to which every
 * other worker contributed after it had read all of s. A word holds generation and use, and exactly the expected value is
 * waited for, so nothing that an earlier generation left there can be taken for an answer.
 */

import { invariant } from '../errors.js';
import type { NativeMemory } from '../memory/native-memory.js';
import type { CollectiveBuffers, CollectiveSpec } from './collective-spec.js';
import { Scratch, oneHopBytes, type Mesh } from './mesh.js';
import { bytesPerElement, vectorOver, type Vector } from './reduction.js';

/** Room for small vectors in each worker's memory, between the page of its token and the large vectors. */
export const smallBytes = 64 * 2 ** 20;
/** Words come first, two a collective. */
const wordBytes = 64;
const maxDirect = 4_096;
const placesStart = 2 * wordBytes * maxDirect;
const alignment = 64;

/** Longer than a wake-up takes; a core of one's own has nothing better to do meanwhile. */
const spinUs = 60;
/** How often a waiting thread looks whether the generation has ended. */
const sliceUs = 4_000;

export type Futex = Required<Pick<NativeMemory, 'publish' | 'await'>>;

export interface DirectGroup {
  readonly mesh: Mesh;
  readonly futex: Futex;
  /** Each worker's room for small vectors, by rank; this worker's own included. */
  readonly rooms: readonly ArrayBuffer[];
  /** Throws what ended the wait. */
  readonly check: () => void;
  /** Says what is being waited for; 0: nothing. */
  readonly waiting: (collectiveId: number) => void;
}

/** Where small vectors lie; the same on every worker, from the same calls in the same order. */
export class DirectLayout {
  #next = placesStart;

  /** Offset of the first of both places, and bytes of one. Undefined when the vector isn't small or there is no room. */
  add(
    mesh: Mesh,
    { id, elementCount, reduction }: CollectiveSpec,
  ): { at: number; bytes: number } | undefined {
    const vector = Math.ceil((elementCount * bytesPerElement(reduction)) / alignment) * alignment;
    const most = Math.max(...mesh.subtrees.map((nodes) => nodes.length));
    const bytes = vector * most;
    if (vector > oneHopBytes || id >= maxDirect || this.#next + 2 * bytes > smallBytes) return undefined;
    this.#next += 2 * bytes;
    return { at: this.#next - 2 * bytes, bytes };
  }
}

export class SharedMemoryCollective {
  readonly #group: DirectGroup;
  readonly #spec: CollectiveSpec;
  readonly #buffers: CollectiveBuffers;
  readonly #scratch = new Scratch();
  /** [parity][rank][subtree] */
  readonly #places: readonly (readonly (readonly Vector[])[])[];
  #use = 0;

  constructor(
    group: DirectGroup,
    spec: CollectiveSpec,
    buffers: CollectiveBuffers,
    { at, bytes }: { at: number; bytes: number },
  ) {
    this.#group = group;
    this.#spec = spec;
    this.#buffers = buffers;
    const { elementCount, reduction } = spec;
    const stride = Math.ceil((elementCount * bytesPerElement(reduction)) / alignment) * alignment;
    this.#places = [0, 1].map((parity) =>
      group.mesh.subtrees.map((nodes, rank) => {
        const room = group.rooms[rank];
        invariant(room, `no memory of rank ${rank}`);
        return nodes.map((_, i) =>
          vectorOver(reduction, room, at + parity * bytes + i * stride, elementCount),
        );
      }),
    );
  }

  /** Publishes this worker's partials. The inputs must be filled. */
  start(): void {
    this.#use++;
    const { mesh, futex, rooms } = this.#group;
    const { rank } = mesh.plan;
    const own = this.#places[this.#use % 2]?.[rank] ?? [];
    for (const [i, partial] of mesh.foldLocal(this.#spec.reduction, this.#buffers.inputs).entries())
      own[i]?.set(partial);
    futex.publish(rooms[rank] as ArrayBuffer, this.#word(), this.#tag());
  }

  /** Blocks until the result is in the output. @throws what ended the wait */
  wait(): void {
    const { mesh, rooms } = this.#group;
    for (const rank of mesh.others) this.#await(rooms[rank] as ArrayBuffer);
    const partials = this.#places[this.#use % 2] ?? [];
    mesh.foldAll(this.#spec.reduction, partials, this.#buffers.output, this.#scratch);
  }

  #await(room: ArrayBuffer): void {
    const { futex, check, waiting } = this.#group;
    if (futex.await(room, this.#word(), this.#tag(), spinUs, spinUs)) return;
    waiting(this.#spec.id);
    try {
      while (!futex.await(room, this.#word(), this.#tag(), 0, sliceUs)) check();
    } finally {
      waiting(0);
    }
  }

  #word(): number {
    return wordBytes * (2 * this.#spec.id + (this.#use % 2));
  }

  #tag(): number {
    return (this.#group.mesh.plan.generation << 20) | (this.#use & 0xfffff) | 0;
  }
}
