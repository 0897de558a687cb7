/**
 * The memory of a worker's collectives, as the main thread uses it: allocations, and the regions of small vectors of all workers. Where the
 * system supports it, other workers of the host can open this memory. On other systems, only the threads of this process share it.
 */

import type { Mesh } from '../../shared/collectives/mesh.js';
import { type Futex, type SharedMemoryGroup } from '../../shared/collectives/shared-memory-collective.js';
import {
  VectorLayout,
  bytesOf,
  vectorsIn,
  type Region,
  smallBytes,
} from '../../shared/collectives/vector-layout.js';
import { invariant } from '../../shared/errors.js';
import { loadNativeMemory, type NativeMemory } from '../../shared/memory/native-memory.js';
import { SharedMemory, pageBytes } from '../../shared/memory/shared-memory.js';
import type { Plan } from '../../shared/protocol/messages.js';
import type { Range } from '../../shared/sharding/identifiers.js';
import type { Allocation } from './communicator.js';

/** An allocation, and the buffer that the communicator thread needs for it. */
export interface NewAllocation {
  readonly allocation: Allocation;
  /** Undefined: the allocation is in shared memory, at the region that follows from the plan. */
  readonly buffer: SharedArrayBuffer | undefined;
}

export class CollectiveMemory {
  readonly #native: NativeMemory | undefined;
  #shared: SharedMemory | undefined;
  /** Buffers by allocation; used only without shared memory. */
  readonly #buffers: SharedArrayBuffer[] = [];
  /** Mapped memory by region. */
  readonly #mapped = new Map<string, ArrayBuffer>();
  #smallRegion: ArrayBuffer | undefined;
  #layout: VectorLayout | undefined;
  #rank = 0;
  #localShards: Range = { start: 0, end: 0 };
  #allocated = 0;

  /** @param addon file of the addon for shared memory */
  constructor(addon: string | undefined) {
    this.#native = loadNativeMemory(addon);
  }

  get localShards(): Range {
    return this.#localShards;
  }

  /** Creates this worker's shared memory; undefined where the system does not support it. */
  create(): { readonly descriptor: number; readonly address: string } | undefined {
    const created = SharedMemory.create(this.#native);
    this.#shared = created?.memory;
    return created;
  }

  /** Starts the layout of another generation. */
  join({ rank, workers }: Plan): void {
    const ranges = workers.map(({ shards }) => shards);
    const own = ranges[rank];
    invariant(own, `rank ${rank} is not in the plan`);
    this.#rank = rank;
    this.#localShards = own;
    this.#layout = new VectorLayout(ranges);
    this.#allocated = 0;
  }

  allocate(elementCount: number): NewAllocation {
    const region = this.#layout?.add(elementCount)[this.#rank];
    invariant(region, 'no generation has been joined');
    const buffer = this.#shared ? undefined : this.#buffer(bytesOf(this.#localShards, elementCount));
    const memory = buffer ?? this.#map(region);
    invariant(memory, 'an allocation without memory');
    const vectors = vectorsIn(memory, this.#localShards, elementCount);
    return { allocation: { ...vectors, index: this.#allocated++ }, buffer };
  }

  /**
   * The memory of the next allocation, of at least this many bytes. Every generation uses the same buffer again unless it is too small,
   * because TensorFlow keeps a kernel for each address that was passed to a custom op.
   */
  #buffer(bytes: number): SharedArrayBuffer {
    const held = this.#buffers[this.#allocated];
    if (held && held.byteLength >= bytes) return held;
    return (this.#buffers[this.#allocated] = new SharedArrayBuffer(bytes));
  }

  /** Maps each region once, so that its address is the same in every generation. */
  #map({ offset, bytes }: Region): ArrayBuffer | undefined {
    const key = `${offset}/${bytes}`;
    const mapped = this.#mapped.get(key) ?? this.#shared?.map(offset, bytes);
    if (mapped) this.#mapped.set(key, mapped);
    return mapped;
  }

  /** The futex and the regions of small vectors of all workers; undefined if the memory of a peer can't be opened. */
  openGroup(
    { workers }: Plan,
    { rank: own }: Mesh,
  ): Pick<SharedMemoryGroup, 'futex' | 'regions'> | undefined {
    const futex = this.#futex();
    const shared = this.#shared;
    if (!futex || !shared) return undefined;
    const regions: ArrayBuffer[] = [];
    for (const { rank, host, memory: address } of workers) {
      if (rank === own) {
        regions.push((this.#smallRegion ??= shared.map(pageBytes, smallBytes)));
        continue;
      }
      const memory = SharedMemory.open(this.#native, host === workers[own]?.host ? address : null);
      if (!memory) return undefined;
      regions.push(memory.map(pageBytes, smallBytes));
      memory.close();
    }
    return { futex, regions };
  }

  #futex(): Futex | undefined {
    const native = this.#native;
    return native?.publish && native.await ? { publish: native.publish, await: native.await } : undefined;
  }
}
