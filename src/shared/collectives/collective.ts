/**
 * A registered collective: one all-reduce that is repeated every step with the same name, size and arithmetic (MPI calls
 * these persistent collectives). Owns the life of one use of it: started here, frames from others, result. The way that the
 * elements go is the route's (route.ts); here it is walked, in up to four hops:
 *
 * ```
 *   start    own partials ── scatter ──► group: sums of the group over `combined`
 *            (two levels) ── between ──► other groups: sums over all groups over `owned`, first part of the result
 *            (two levels) ── roots   ──► other groups: the rest of the result over `combined`
 *            result       ── gather  ──► group
 * ```
 *
 * Every frame that is sent is one that its receiver waits for. So a worker that has finished use s knows that everybody has
 * started it and, before it gets anything of use s + 1 from somebody, that this one has all frames of s (send-buffers.ts).
 */

import { invariant } from '../errors.js';
import type { Frame, FrameHeader, Phase } from '../protocol/frame.js';
import type { TreeNode } from '../sharding/tree.js';
import type { Range, Rank } from '../sharding/identifiers.js';
import { CollectiveFrames } from './collective-frames.js';
import type { CollectiveBuffers, CollectiveSpec, SendFrame, SharedPeers } from './collective-spec.js';
import { Scratch, addKnown, type Known, type Mesh } from './mesh.js';
import { bytesPerElement, type Vector } from './reduction.js';
import { peerScheduleOf, type PeerSchedule, type Route } from './route.js';

const alone: SharedPeers = { readable: new Map(), readers: new Set() };

/** What has come of one use. */
interface Round {
  readonly sequence: number;
  /** The group's partials over this worker's `combined`, by rank. */
  readonly partials: Map<number, readonly Vector[]>;
  /** Other groups' partials, by rank: for each common range those of the group's nodes. */
  readonly between: Map<number, readonly Vector[]>;
  readonly roots: Set<number>;
  readonly gathered: Set<number>;
  /** This group's partials over `combined`, once they are complete. */
  sums: readonly Vector[];
}

const newRound = (sequence: number): Round => ({
  sequence,
  partials: new Map(),
  between: new Map(),
  roots: new Set(),
  gathered: new Set(),
  sums: [],
});

/** How far this worker is with the use in flight. */
type Stage = 'reduce-scatter' | 'inter-group-reduce' | 'inter-group-broadcast' | 'all-gather';

const lengthOf = ({ start, end }: Range): number => end - start;

export class Collective {
  readonly spec: CollectiveSpec;
  readonly #mesh: Mesh;
  readonly #send: SendFrame;
  readonly #buffers: CollectiveBuffers;
  readonly #shared: SharedPeers;
  readonly #route: Route;
  readonly #schedule: PeerSchedule;
  /** Elements of which this worker combines its group's partials, and of which it computes the sum of all. */
  readonly #reduceRange: Range;
  readonly #ownedRanges: readonly Range[];
  /** Subtrees of each group, and the group of each rank. */
  readonly #nodes: readonly (readonly TreeNode[])[];
  readonly #groupOf: readonly number[];
  readonly #frames: CollectiveFrames;
  readonly #scratch = new Scratch();
  /** The group's sums, where they are more than one worker's partial. */
  readonly #sums = new Scratch();
  #finished = 0;
  #started = 0;
  #step = 0;
  #stage: Stage = 'reduce-scatter';
  /** The use in flight (or next) and the one after it, of which early frames may come. */
  #rounds: [Round, Round] = [newRound(1), newRound(2)];

  constructor(
    mesh: Mesh,
    spec: CollectiveSpec,
    buffers: CollectiveBuffers,
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
    const { rank } = mesh.plan;
    this.#route = mesh.route(spec.elementCount, spec.elementCount * bytesPerElement(spec.reduction));
    this.#schedule = peerScheduleOf(this.#route, rank);
    this.#frames = new CollectiveFrames(mesh, spec, shared.readable, this.#route.replicated);
    this.#reduceRange = this.#route.reduceRanges[rank] ?? { start: 0, end: 0 };
    this.#ownedRanges = this.#route.ownedRanges[rank] ?? [];
    this.#nodes = this.#route.groups.map((group) => mesh.subtreesOf(group));
    this.#groupOf = this.#route.groups.flatMap((group, index) => group.map(() => index));
  }

  get inFlight(): boolean {
    return this.#started > this.#finished;
  }

  /** Ranks whose frames this use still lacks; for the message of a deadline. */
  missing(): Rank[] {
    const { partials, between, roots, gathered } = this.#rounds[0];
    const { reduceScatterFrom, interGroupReduceFrom, interGroupBroadcastFrom, allGatherFrom } =
      this.#schedule;
    return this.#mesh.others.filter(
      (rank) =>
        (reduceScatterFrom.has(rank) && !partials.has(rank)) ||
        (interGroupReduceFrom.has(rank) && !between.has(rank)) ||
        (interGroupBroadcastFrom.has(rank) && !roots.has(rank)) ||
        (allGatherFrom.has(rank) && !gathered.has(rank)),
    );
  }

  /** Sends this worker's partials. The inputs must be filled. True when the use is finished already. */
  start(step: number): boolean {
    invariant(!this.inFlight, `${this.spec.name} started twice`);
    this.#started++;
    this.#step = step;
    this.#stage = 'reduce-scatter';
    const partials = this.#mesh.foldLocal(this.spec.reduction, this.#buffers.inputs);
    const cut = ({ start, end }: Range): Vector[] => partials.map((partial) => partial.subarray(start, end));
    if (this.#route.replicated) {
      const frame = this.#frame('reduce-scatter', 'all', cut({ start: 0, end: this.spec.elementCount }));
      for (const other of this.#schedule.reduceScatterTo.keys()) this.#send(other, frame);
    } else {
      for (const [other, range] of this.#schedule.reduceScatterTo) {
        const carried = this.#shared.readers.has(other) ? [] : cut(range);
        this.#send(other, this.#frame('reduce-scatter', String(other), carried));
      }
    }
    this.#rounds[0].partials.set(this.#mesh.plan.rank, cut(this.#reduceRange));
    return this.#advance();
  }

  /**
   * Takes a frame of this collective. True when it finished the use in flight.
   * @throws ProtocolError when it is stale, from too far ahead, repeated, or of the wrong phase or size; nothing changes.
   */
  receive(header: FrameHeader, frame: Frame): boolean {
    const round = this.#rounds[header.sequence - this.#rounds[0].sequence];
    if (header.sequence < this.#rounds[0].sequence || round === undefined) {
      throw this.#frames.refusal(
        'sequence',
        header,
        `use ${this.#rounds[0].sequence} or ${this.#rounds[1].sequence}`,
        `use ${header.sequence}`,
      );
    }
    const sender = header.sender as Rank;
    switch (header.phase) {
      case 'reduce-scatter':
        this.#once(header, this.#schedule.reduceScatterFrom.has(sender), round.partials.has(sender));
        round.partials.set(sender, this.#frames.partials(header, frame, this.#reduceRange));
        break;
      case 'inter-group-reduce': {
        const ranges = this.#schedule.interGroupReduceFrom.get(sender) ?? [];
        this.#once(header, ranges.length > 0, round.between.has(sender));
        const nodes = this.#nodes[this.#groupOf[sender] ?? 0] ?? [];
        const lengths = ranges.flatMap((range) => nodes.map(() => lengthOf(range)));
        round.between.set(sender, this.#frames.carried(header, frame, lengths));
        break;
      }
      case 'inter-group-broadcast': {
        const ranges = this.#schedule.interGroupBroadcastFrom.get(sender) ?? [];
        this.#once(header, ranges.length > 0, round.roots.has(sender));
        this.#notBefore(header, round);
        this.#write(ranges, this.#frames.carried(header, frame, ranges.map(lengthOf)));
        round.roots.add(sender);
        break;
      }
      case 'all-gather': {
        const range = this.#schedule.allGatherFrom.get(sender);
        this.#once(header, range !== undefined, round.gathered.has(sender));
        this.#notBefore(header, round);
        const { start, end } = range ?? { start: 0, end: 0 };
        const there = this.#frames.announced(header, frame)?.output.subarray(start, end);
        this.#write([{ start, end }], there ? [there] : this.#frames.carried(header, frame, [end - start]));
        round.gathered.add(sender);
        break;
      }
      case 'hello':
        throw this.#frames.refusal('sequence', header, 'a phase of a collective', header.phase);
    }
    return this.inFlight && this.#advance();
  }

  #once(header: FrameHeader, expected: boolean, held: boolean): void {
    if (!expected) throw this.#frames.refusal('sequence', header, `no ${header.phase} frame`, 'one');
    if (held) throw this.#frames.refusal('repeated', header, `one ${header.phase} frame`, 'a second one');
  }

  /** Nobody can know a sum before this worker has sent its partial. */
  #notBefore(header: FrameHeader, use: Round): void {
    if (use !== this.#rounds[0] || !this.inFlight)
      throw this.#frames.refusal('sequence', header, 'no result before the contribution', 'one');
  }

  #write(ranges: readonly Range[], vectors: readonly Vector[]): void {
    for (const [i, { start }] of ranges.entries()) this.#buffers.output.set(vectors[i] ?? [], start);
  }

  /** Does what can be done; true when the result is in the output. */
  #advance(): boolean {
    const use = this.#rounds[0];
    const { reduceScatterFrom, interGroupReduceFrom, interGroupBroadcastFrom, allGatherFrom } =
      this.#schedule;
    if (this.#stage === 'reduce-scatter') {
      // Its own partials are among them.
      if (use.partials.size < reduceScatterFrom.size + 1) return false;
      this.#combineGroup(use);
      this.#stage = 'inter-group-reduce';
    }
    if (this.#stage === 'inter-group-reduce') {
      if (use.between.size < interGroupReduceFrom.size) return false;
      if (this.#route.groups.length > 1) this.#combineAll(use);
      this.#stage = 'inter-group-broadcast';
    }
    if (this.#stage === 'inter-group-broadcast') {
      if (use.roots.size < interGroupBroadcastFrom.size) return false;
      this.#gather();
      this.#stage = 'all-gather';
    }
    if (use.gathered.size < allGatherFrom.size) return false;
    this.#finished++;
    this.#rounds = [this.#rounds[1], newRound(this.#finished + 2)];
    return true;
  }

  /** The group's partials over this worker's elements; with one group they are the result. */
  #combineGroup(use: Round): void {
    const { start, end } = this.#reduceRange;
    const { rank } = this.#mesh.plan;
    const group = this.#groupOf[rank] ?? 0;
    const known: Known = new Map();
    for (const member of this.#route.groups[group] ?? [])
      addKnown(known, this.#mesh.subtrees[member] ?? [], use.partials.get(member) ?? []);
    const { reduction } = this.spec;
    if (end <= start) return;
    if (this.#route.groups.length === 1) {
      this.#mesh.foldRoot(reduction, known, this.#buffers.output.subarray(start, end), this.#scratch);
      return;
    }
    use.sums = (this.#nodes[group] ?? []).map((node, i) =>
      this.#mesh.fold(node, reduction, known, this.#sums.take(i, reduction, end - start), this.#scratch),
    );
    for (const [other, ranges] of this.#schedule.interGroupReduceTo) {
      const vectors = ranges.flatMap((range) => this.#sumsOver(use, range));
      this.#send(other, this.#frame('inter-group-reduce', String(other), vectors));
    }
  }

  #sumsOver(use: Round, { start, end }: Range): Vector[] {
    const from = this.#reduceRange.start;
    return use.sums.map((sum) => sum.subarray(start - from, end - from));
  }

  /** The sums over all groups of the elements that this worker owns, for whoever gave partials of them. */
  #combineAll(use: Round): void {
    const { reduction } = this.spec;
    const { output } = this.#buffers;
    const own = this.#groupOf[this.#mesh.plan.rank] ?? 0;
    for (const range of this.#ownedRanges) {
      const known: Known = new Map();
      addKnown(known, this.#nodes[own] ?? [], this.#sumsOver(use, range));
      for (const [sender, ranges] of this.#schedule.interGroupReduceFrom) {
        const nodes = this.#nodes[this.#groupOf[sender] ?? 0] ?? [];
        // Each owned range lies in one worker's elements of each group.
        const at = ranges.findIndex(({ start }) => start === range.start);
        const vectors = at < 0 ? [] : (use.between.get(sender) ?? []).slice(at * nodes.length);
        addKnown(known, nodes, vectors);
      }
      this.#mesh.foldRoot(reduction, known, output.subarray(range.start, range.end), this.#scratch);
    }
    for (const [other, ranges] of this.#schedule.interGroupBroadcastTo) {
      const vectors = ranges.map(({ start, end }) => output.subarray(start, end));
      this.#send(other, this.#frame('inter-group-broadcast', String(other), vectors));
    }
  }

  /** Sends this worker's part of the result to its group, or word that it is there. */
  #gather(): void {
    const { start, end } = this.#reduceRange;
    const others = [...this.#schedule.allGatherTo];
    // Where sums are computed by several workers, a frame always carries: that is how its receiver reads it.
    const { readers } = this.#route.replicated ? alone : this.#shared;
    const far = others.filter((other) => !readers.has(other));
    const result = this.#buffers.output.subarray(start, end);
    const carrying = far.length > 0 ? this.#frame('all-gather', 'carrying', [result]) : undefined;
    const announcing = far.length < others.length ? this.#frame('all-gather', 'announcing', []) : undefined;
    for (const other of others) {
      const frame = readers.has(other) ? announcing : carrying;
      if (frame) this.#send(other, frame);
    }
  }

  #frame(phase: Phase, key: string, vectors: readonly Vector[]): Frame {
    return this.#frames.make(phase, key, this.#started, this.#step, vectors);
  }
}
