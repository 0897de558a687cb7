/**
 * A registered exchange: one all-reduce that is repeated every step with the same name, size and arithmetic (MPI calls
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
import { ExchangeFrames } from './collective-frames.js';
import type { ExchangeBuffers, ExchangeSpec, SendFrame, SharedPeers } from './collective-spec.js';
import { Scratch, addKnown, type Known, type Mesh } from './mesh.js';
import { bytesPerElement, type Vector } from './reduction.js';
import { dutiesOf, type Duties, type Route } from './route.js';

const alone: SharedPeers = { readable: new Map(), readers: new Set() };

/** What has come of one use. */
interface Use {
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

const newUse = (sequence: number): Use => ({
  sequence,
  partials: new Map(),
  between: new Map(),
  roots: new Set(),
  gathered: new Set(),
  sums: [],
});

/** How far this worker is with the use in flight. */
type Stage = 'scattering' | 'between' | 'roots' | 'gathering';

const lengthOf = ({ start, end }: Range): number => end - start;

export class Exchange {
  readonly spec: ExchangeSpec;
  readonly #mesh: Mesh;
  readonly #send: SendFrame;
  readonly #buffers: ExchangeBuffers;
  readonly #shared: SharedPeers;
  readonly #route: Route;
  readonly #duties: Duties;
  /** Elements of which this worker combines its group's partials, and of which it computes the sum of all. */
  readonly #combined: Range;
  readonly #owned: readonly Range[];
  /** Subtrees of each group, and the group of each rank. */
  readonly #nodes: readonly (readonly TreeNode[])[];
  readonly #groupOf: readonly number[];
  readonly #frames: ExchangeFrames;
  readonly #scratch = new Scratch();
  /** The group's sums, where they are more than one worker's partial. */
  readonly #sums = new Scratch();
  #finished = 0;
  #started = 0;
  #step = 0;
  #stage: Stage = 'scattering';
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
    const { rank } = mesh.plan;
    this.#route = mesh.route(spec.elementCount, spec.elementCount * bytesPerElement(spec.reduction));
    this.#duties = dutiesOf(this.#route, rank);
    this.#frames = new ExchangeFrames(mesh, spec, shared.readable, this.#route.replicated);
    this.#combined = this.#route.combined[rank] ?? { start: 0, end: 0 };
    this.#owned = this.#route.owned[rank] ?? [];
    this.#nodes = this.#route.groups.map((group) => mesh.subtreesOf(group));
    this.#groupOf = this.#route.groups.flatMap((group, index) => group.map(() => index));
  }

  get inFlight(): boolean {
    return this.#started > this.#finished;
  }

  /** Ranks whose frames this use still lacks; for the message of a deadline. */
  missing(): Rank[] {
    const { partials, between, roots, gathered } = this.#uses[0];
    const { scatterFrom, betweenFrom, rootsFrom, gatherFrom } = this.#duties;
    return this.#mesh.others.filter(
      (rank) =>
        (scatterFrom.has(rank) && !partials.has(rank)) ||
        (betweenFrom.has(rank) && !between.has(rank)) ||
        (rootsFrom.has(rank) && !roots.has(rank)) ||
        (gatherFrom.has(rank) && !gathered.has(rank)),
    );
  }

  /** Sends this worker's partials. The inputs must be filled. True when the use is finished already. */
  start(step: number): boolean {
    invariant(!this.inFlight, `${this.spec.name} started twice`);
    this.#started++;
    this.#step = step;
    this.#stage = 'scattering';
    const partials = this.#mesh.foldLocal(this.spec.reduction, this.#buffers.inputs);
    const cut = ({ start, end }: Range): Vector[] => partials.map((partial) => partial.subarray(start, end));
    if (this.#route.replicated) {
      const frame = this.#frame('scatter', 'all', cut({ start: 0, end: this.spec.elementCount }));
      for (const other of this.#duties.scatterTo.keys()) this.#send(other, frame);
    } else {
      for (const [other, range] of this.#duties.scatterTo) {
        const carried = this.#shared.readers.has(other) ? [] : cut(range);
        this.#send(other, this.#frame('scatter', String(other), carried));
      }
    }
    this.#uses[0].partials.set(this.#mesh.plan.rank, cut(this.#combined));
    return this.#advance();
  }

  /**
   * Takes a frame of this exchange. True when it finished the use in flight.
   * @throws ProtocolError when it is stale, from too far ahead, repeated, or of the wrong phase or size; nothing changes.
   */
  receive(header: FrameHeader, frame: Frame): boolean {
    const use = this.#uses[header.sequence - this.#uses[0].sequence];
    if (header.sequence < this.#uses[0].sequence || use === undefined) {
      throw this.#frames.refusal(
        'sequence',
        header,
        `use ${this.#uses[0].sequence} or ${this.#uses[1].sequence}`,
        `use ${header.sequence}`,
      );
    }
    const sender = header.sender as Rank;
    switch (header.phase) {
      case 'scatter':
        this.#once(header, this.#duties.scatterFrom.has(sender), use.partials.has(sender));
        use.partials.set(sender, this.#frames.partials(header, frame, this.#combined));
        break;
      case 'between': {
        const ranges = this.#duties.betweenFrom.get(sender) ?? [];
        this.#once(header, ranges.length > 0, use.between.has(sender));
        const nodes = this.#nodes[this.#groupOf[sender] ?? 0] ?? [];
        const lengths = ranges.flatMap((range) => nodes.map(() => lengthOf(range)));
        use.between.set(sender, this.#frames.carried(header, frame, lengths));
        break;
      }
      case 'roots': {
        const ranges = this.#duties.rootsFrom.get(sender) ?? [];
        this.#once(header, ranges.length > 0, use.roots.has(sender));
        this.#notBefore(header, use);
        this.#write(ranges, this.#frames.carried(header, frame, ranges.map(lengthOf)));
        use.roots.add(sender);
        break;
      }
      case 'gather': {
        const range = this.#duties.gatherFrom.get(sender);
        this.#once(header, range !== undefined, use.gathered.has(sender));
        this.#notBefore(header, use);
        const { start, end } = range ?? { start: 0, end: 0 };
        const there = this.#frames.announced(header, frame)?.output.subarray(start, end);
        this.#write([{ start, end }], there ? [there] : this.#frames.carried(header, frame, [end - start]));
        use.gathered.add(sender);
        break;
      }
      case 'hello':
        throw this.#frames.refusal('sequence', header, 'a phase of an exchange', header.phase);
    }
    return this.inFlight && this.#advance();
  }

  #once(header: FrameHeader, expected: boolean, held: boolean): void {
    if (!expected) throw this.#frames.refusal('sequence', header, `no ${header.phase} frame`, 'one');
    if (held) throw this.#frames.refusal('repeated', header, `one ${header.phase} frame`, 'a second one');
  }

  /** Nobody can know a sum before this worker has sent its partial. */
  #notBefore(header: FrameHeader, use: Use): void {
    if (use !== this.#uses[0] || !this.inFlight)
      throw this.#frames.refusal('sequence', header, 'no result before the contribution', 'one');
  }

  #write(ranges: readonly Range[], vectors: readonly Vector[]): void {
    for (const [i, { start }] of ranges.entries()) this.#buffers.output.set(vectors[i] ?? [], start);
  }

  /** Does what can be done; true when the result is in the output. */
  #advance(): boolean {
    const use = this.#uses[0];
    const { scatterFrom, betweenFrom, rootsFrom, gatherFrom } = this.#duties;
    if (this.#stage === 'scattering') {
      // Its own partials are among them.
      if (use.partials.size < scatterFrom.size + 1) return false;
      this.#combineGroup(use);
      this.#stage = 'between';
    }
    if (this.#stage === 'between') {
      if (use.between.size < betweenFrom.size) return false;
      if (this.#route.groups.length > 1) this.#combineAll(use);
      this.#stage = 'roots';
    }
    if (this.#stage === 'roots') {
      if (use.roots.size < rootsFrom.size) return false;
      this.#gather();
      this.#stage = 'gathering';
    }
    if (use.gathered.size < gatherFrom.size) return false;
    this.#finished++;
    this.#uses = [this.#uses[1], newUse(this.#finished + 2)];
    return true;
  }

  /** The group's partials over this worker's elements; with one group they are the result. */
  #combineGroup(use: Use): void {
    const { start, end } = this.#combined;
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
    for (const [other, ranges] of this.#duties.betweenTo) {
      const vectors = ranges.flatMap((range) => this.#sumsOver(use, range));
      this.#send(other, this.#frame('between', String(other), vectors));
    }
  }

  #sumsOver(use: Use, { start, end }: Range): Vector[] {
    const from = this.#combined.start;
    return use.sums.map((sum) => sum.subarray(start - from, end - from));
  }

  /** The sums over all groups of the elements that this worker owns, for whoever gave partials of them. */
  #combineAll(use: Use): void {
    const { reduction } = this.spec;
    const { output } = this.#buffers;
    const own = this.#groupOf[this.#mesh.plan.rank] ?? 0;
    for (const range of this.#owned) {
      const known: Known = new Map();
      addKnown(known, this.#nodes[own] ?? [], this.#sumsOver(use, range));
      for (const [sender, ranges] of this.#duties.betweenFrom) {
        const nodes = this.#nodes[this.#groupOf[sender] ?? 0] ?? [];
        // Each owned range lies in one worker's elements of each group.
        const at = ranges.findIndex(({ start }) => start === range.start);
        const vectors = at < 0 ? [] : (use.between.get(sender) ?? []).slice(at * nodes.length);
        addKnown(known, nodes, vectors);
      }
      this.#mesh.foldRoot(reduction, known, output.subarray(range.start, range.end), this.#scratch);
    }
    for (const [other, ranges] of this.#duties.rootsTo) {
      const vectors = ranges.map(({ start, end }) => output.subarray(start, end));
      this.#send(other, this.#frame('roots', String(other), vectors));
    }
  }

  /** Sends this worker's part of the result to its group, or word that it is there. */
  #gather(): void {
    const { start, end } = this.#combined;
    const others = [...this.#duties.gatherTo];
    // Where sums are computed by several workers, a frame always carries: that is how its receiver reads it.
    const { readers } = this.#route.replicated ? alone : this.#shared;
    const far = others.filter((other) => !readers.has(other));
    const result = this.#buffers.output.subarray(start, end);
    const carrying = far.length > 0 ? this.#frame('gather', 'carrying', [result]) : undefined;
    const announcing = far.length < others.length ? this.#frame('gather', 'announcing', []) : undefined;
    for (const other of others) {
      const frame = readers.has(other) ? announcing : carrying;
      if (frame) this.#send(other, frame);
    }
  }

  #frame(phase: Phase, key: string, vectors: readonly Vector[]): Frame {
    return this.#frames.make(phase, key, this.#started, this.#step, vectors);
  }
}
