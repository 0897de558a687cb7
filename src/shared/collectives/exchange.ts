/**
 * A registered exchange: one all-reduce that is repeated every step with the same name, size and arithmetic (MPI calls
 * these persistent collectives). Owns the life of one use of it: started here, partials from everywhere, result.
 *
 * Two algorithms, chosen by size alone, so that every worker chooses alike:
 * - one hop: everyone sends its partials to everyone, and all compute the same sum. 1 message to each other worker,
 *   S bytes each for S bytes of vector and one subtree.
 * - direct reduce-scatter + all-gather: the owner of chunk j gets chunk j of every worker's partials, sums them in tree
 *   order and sends the result to all. 2 messages to each other worker, 2 (n - 1) / n * S bytes a worker in two hops
 *   (Rabenseifner 2004, with direct rather than halving exchanges).
 */

import { ProtocolError, invariant } from '../errors.js';
import { payloadOf, writeHeader, type Frame, type FrameHeader, type Phase } from '../protocol/frame.js';
import type { RefusalKind } from '../protocol/refusals.js';
import type { Rank } from '../words.js';
import { Scratch, type Mesh } from './mesh.js';
import { frameOf, vectorsOf } from './payload.js';
import { bytesPerElement, type Vector, type VectorReduction } from './reduction.js';
import { SendBuffers } from './send-buffers.js';
import type { Vectors } from './vector-layout.js';

/** Vectors of more bytes than this go by reduce-scatter + all-gather. */
export const oneHopBytes = 32 * 1024;

export interface ExchangeSpec {
  /** 1, 2, 3 ... in the order of registration; the same on every worker. */
  readonly id: number;
  /** For people: `gradients/3`, `batch_normalization_1/forward`. */
  readonly name: string;
  readonly reduction: VectorReduction;
  readonly elementCount: number;
}

export interface ExchangeBuffers {
  /** One vector a local shard; overwritten by the exchange. */
  readonly inputs: readonly Vector[];
  /** Receives the result. */
  readonly output: Vector;
}

/** What this worker shares memory with. Frames between the two announce vectors instead of carrying them. */
export interface SharedPeers {
  /** Vectors of this exchange in the memory of those whose memory this worker can read. */
  readonly readable: ReadonlyMap<Rank, Vectors>;
  /** Those who can read this worker's. */
  readonly readers: ReadonlySet<Rank>;
}

const alone: SharedPeers = { readable: new Map(), readers: new Set() };

export type SendFrame = (to: Rank, frame: Frame) => void;

/** The payloads of one use of an exchange that have come so far. */
interface Use {
  readonly sequence: number;
  readonly partials: Map<number, Vector[]>;
  readonly gathered: Set<number>;
}

const newUse = (sequence: number): Use => ({ sequence, partials: new Map(), gathered: new Set() });

export class Exchange {
  readonly spec: ExchangeSpec;
  readonly #mesh: Mesh;
  readonly #send: SendFrame;
  readonly #buffers: ExchangeBuffers;
  readonly #shared: SharedPeers;
  readonly #frames = new SendBuffers();
  readonly #scratch = new Scratch();
  readonly #oneHop: boolean;
  readonly #elementBytes: 4 | 8;
  #finished = 0;
  #started = 0;
  #step = 0;
  #reduced = false;
  /** The use in flight (or next) and the one after it, of which early frames may come. */
  #uses: [Use, Use] = [newUse(1), newUse(2)];

  constructor(
    mesh: Mesh,
    spec: ExchangeSpec,
    buffers: ExchangeBuffers,
    send: SendFrame,
    shared: SharedPeers = alone,
  ) {
    const local = mesh.localShards;
    invariant(
      buffers.inputs.length === local.end - local.start,
      `${spec.name}: ${buffers.inputs.length} inputs for ${local.end - local.start} local shards`,
    );
    for (const vector of [...buffers.inputs, buffers.output]) {
      invariant(
        vector.length === spec.elementCount,
        `${spec.name}: ${vector.length} of ${spec.elementCount} elements`,
      );
    }
    this.#mesh = mesh;
    this.spec = spec;
    this.#send = send;
    this.#shared = shared;
    this.#buffers = buffers;
    this.#elementBytes = bytesPerElement(spec.reduction);
    this.#oneHop = spec.elementCount * this.#elementBytes <= oneHopBytes;
  }

  get inFlight(): boolean {
    return this.#started > this.#finished;
  }

  /** Ranks whose frames this use still lacks; for the message of a deadline. */
  missing(): Rank[] {
    const use = this.#uses[0];
    return this.#mesh.others.filter(
      (rank) => !use.partials.has(rank) || (!this.#oneHop && !use.gathered.has(rank)),
    );
  }

  /** Sends this worker's partials. The inputs must be filled. True when the use is finished already. */
  start(step: number): boolean {
    invariant(!this.inFlight, `${this.spec.name} started twice`);
    this.#started++;
    this.#step = step;
    this.#reduced = false;
    const partials = this.#mesh.foldLocal(this.spec.reduction, this.#buffers.inputs);
    const own = this.#mesh.plan.rank;
    if (this.#oneHop) {
      const frame = this.#frame('contribution', 'all', partials, 0, this.spec.elementCount);
      for (const other of this.#mesh.others) this.#send(other, frame);
      this.#uses[0].partials.set(own, partials);
    } else {
      for (const other of this.#mesh.others) {
        const { start, end } = this.#mesh.chunk(this.spec.elementCount, other);
        const carried = this.#shared.readers.has(other) ? [] : partials;
        this.#send(other, this.#frame('scatter', String(other), carried, start, end));
      }
      const { start, end } = this.#mesh.chunk(this.spec.elementCount, own);
      this.#uses[0].partials.set(
        own,
        partials.map((partial) => partial.subarray(start, end)),
      );
    }
    return this.#advance();
  }

  /**
   * Takes a frame of this exchange. True when it finished the use in flight.
   * @throws ProtocolError when it is stale, from too far ahead, repeated, or of the wrong phase or size; nothing changes.
   */
  receive(header: FrameHeader, frame: Frame): boolean {
    const use = this.#uses[header.sequence - this.#uses[0].sequence];
    if (header.sequence < this.#uses[0].sequence || use === undefined) {
      throw this.#refusal(
        'sequence',
        header,
        `use ${this.#uses[0].sequence} or ${this.#uses[1].sequence}`,
        `use ${header.sequence}`,
      );
    }
    const expectedPhases: readonly Phase[] = this.#oneHop ? ['contribution'] : ['scatter', 'gather'];
    if (!expectedPhases.includes(header.phase)) {
      throw this.#refusal('sequence', header, expectedPhases.join(' or '), header.phase);
    }
    if (header.phase === 'gather') {
      if (use.gathered.has(header.sender))
        throw this.#refusal('repeated', header, 'one gather frame', 'a second one');
      if (use !== this.#uses[0] || !this.inFlight) {
        // The owner of a chunk can send its sum only after this worker has sent its partial.
        throw this.#refusal('sequence', header, 'no result before the contribution', 'one');
      }
      const { start, end } = this.#mesh.chunk(this.spec.elementCount, header.sender);
      const there = this.#announced(header, frame)?.output.subarray(start, end);
      this.#buffers.output.set(there ?? (this.#carried(header, frame, 1, end - start)[0] as Vector), start);
      use.gathered.add(header.sender);
    } else {
      if (use.partials.has(header.sender))
        throw this.#refusal('repeated', header, `one ${header.phase} frame`, 'a second one');
      const { start, end } = this.#oneHop
        ? { start: 0, end: this.spec.elementCount }
        : this.#mesh.chunk(this.spec.elementCount, this.#mesh.plan.rank);
      const nodes = this.#mesh.subtrees[header.sender] ?? [];
      const there = this.#announced(header, frame);
      const first = this.#mesh.ranges[header.sender]?.start ?? 0;
      const partials = there
        ? nodes.map(({ level, index }) =>
            // A node's value is in the vector of its first shard.
            (there.inputs[index * 2 ** level - first] as Vector).subarray(start, end),
          )
        : this.#carried(header, frame, nodes.length, end - start);
      use.partials.set(header.sender, partials);
    }
    return this.inFlight && this.#advance();
  }

  /** Sums what is complete; true when the result is in the output. */
  #advance(): boolean {
    const use = this.#uses[0];
    const { plan, others, worldSize } = this.#mesh;
    if (use.partials.size < worldSize) return false;
    if (!this.#reduced) {
      const everyone = Array.from({ length: worldSize }, (_, rank) => use.partials.get(rank) ?? []);
      const { output } = this.#buffers;
      const { start, end } = this.#oneHop
        ? { start: 0, end: output.length }
        : this.#mesh.chunk(output.length, plan.rank);
      this.#mesh.foldAll(this.spec.reduction, everyone, output.subarray(start, end), this.#scratch);
      this.#reduced = true;
      if (!this.#oneHop) this.#gather(others, output, start, end);
    }
    if (!this.#oneHop && use.gathered.size < others.length) return false;
    this.#finished++;
    this.#uses = [this.#uses[1], newUse(this.#finished + 2)];
    return true;
  }

  /** Sends this worker's chunk of the result to all, or word that it is there. */
  #gather(others: readonly Rank[], output: Vector, start: number, end: number): void {
    const { readers } = this.#shared;
    const far = others.filter((other) => !readers.has(other));
    const carrying = far.length > 0 ? this.#frame('gather', 'carrying', [output], start, end) : undefined;
    const announcing =
      far.length < others.length ? this.#frame('gather', 'announcing', [], start, end) : undefined;
    for (const other of others) {
      const frame = readers.has(other) ? announcing : carrying;
      if (frame) this.#send(other, frame);
    }
  }

  /** The sender's vectors, when the frame only announces them. */
  #announced(header: FrameHeader, frame: Frame): Vectors | undefined {
    if (this.#oneHop || payloadOf(frame).length > 0) return undefined;
    return this.#shared.readable.get(header.sender as Rank);
  }

  #frame(phase: Phase, key: string, vectors: readonly Vector[], start: number, end: number): Frame {
    const frame = frameOf(
      vectors.map((vector) => vector.subarray(start, end)),
      (bytes) => this.#frames.take(`${phase}/${key}`, this.#started, bytes),
    );
    const { rank, runTag, generation } = this.#mesh.plan;
    const header: FrameHeader = {
      phase,
      sender: rank,
      runTag,
      generation,
      exchange: this.spec.id,
      sequence: this.#started,
      step: this.#step,
    };
    writeHeader(frame, header, this.#mesh.arithmetic.checksum);
    return frame;
  }

  #carried(header: FrameHeader, frame: Frame, count: number, elements: number): Vector[] {
    const vectors = vectorsOf(frame, this.spec.reduction, count, elements);
    if (vectors) return vectors;
    const came = payloadOf(frame).reduce((total, { length }) => total + length, 0);
    const bytes = count * elements * this.#elementBytes;
    throw this.#refusal('payload', header, `${bytes} bytes of payload`, String(came));
  }

  #refusal(kind: RefusalKind, header: FrameHeader, expected: string, got: string): ProtocolError {
    const { rank, generation } = this.#mesh.plan;
    const { worldSize } = this.#mesh;
    return new ProtocolError(
      `Frame of ${this.spec.name} from rank ${header.sender} refused: expected ${expected}, got ${got} ` +
        `(rank ${rank}/${worldSize}, generation ${generation}, step ${header.step}).`,
      { kind, exchange: this.spec.name, sender: header.sender, expected, got, step: header.step },
    );
  }
}
