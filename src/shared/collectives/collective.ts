/**
 * A persistent all-reduce (in MPI's sense): registered once, executed once per step. This module starts a round, takes the
 * contributions of the other workers, and computes the result. route.ts determines the elements that each worker reduces. The two
 * inter-group phases exist only with two levels:
 *
 * ```
 *   phase                   a worker sends                               to
 *   reduce-scatter          its partials over their reduce ranges        the workers of its group
 *   inter-group reduce      its group's sums over their owned ranges     the owners in other groups
 *   inter-group broadcast   the result over its owned ranges             the workers that sent it their group's sums
 *   all-gather              the result over its reduce range             the workers of its group
 * ```
 *
 * A worker finishes a round only when it has received every frame that is sent to it in that round. This has two consequences:
 * - workers are at most one round apart, and an arriving frame belongs to the round in flight or to the next one;
 * - a frame of round s + 1 proves that its sender has received all frames of round s. Their memory may then be reused (send-buffers.ts).
 */

import { invariant } from '../errors.js';
import type { Frame, FrameHeader, Phase } from '../protocol/frame.js';
import type { TreeNode } from '../sharding/tree.js';
import type { Range, Rank } from '../sharding/identifiers.js';
import { CollectiveFrames } from './collective-frames.js';
import type {
  CollectiveBuffers,
  CollectiveContext,
  CollectiveSpec,
  SendFrame,
  SharedPeers,
} from './collective-spec.js';
import type { Mesh } from './mesh.js';
import { Scratch, addNodeValues, type NodeValues } from './node-values.js';
import { bytesPerElement, type Vector } from './reduction.js';
import { isMissing, newRound, type Round, type Stage } from './round.js';
import { peerScheduleOf, type PeerSchedule, type Route } from './route.js';

const noSharedMemory: SharedPeers = { readable: new Map(), readers: new Set() };

const lengthOf = ({ start, end }: Range): number => end - start;

function checkLengths(spec: CollectiveSpec, { inputs, output }: CollectiveBuffers, local: Range): void {
  const shards = lengthOf(local);
  invariant(inputs.length === shards, `${spec.name}: ${inputs.length} inputs for ${shards} local shards`);
  for (const { length } of inputs.concat(output))
    invariant(length === spec.elementCount, `${spec.name}: ${length} of ${spec.elementCount} elements`);
}

export class Collective {
  readonly spec: CollectiveSpec;
  readonly #mesh: Mesh;
  readonly #send: SendFrame;
  readonly #buffers: CollectiveBuffers;
  readonly #shared: SharedPeers;
  readonly #route: Route;
  readonly #schedule: PeerSchedule;
  /** The maximal subtrees of each group, and the group of each rank. */
  readonly #groupNodes: readonly (readonly TreeNode[])[];
  readonly #groupOf: readonly number[];
  readonly #frames: CollectiveFrames;
  readonly #scratch = new Scratch();
  /** Memory of `Round.groupSums`. */
  readonly #groupSums = new Scratch();
  #finished = 0;
  #started = 0;
  #step = 0;
  #stage: Stage = 'reduce-scatter';
  /** The round in flight, or the next round if none is in flight, and the round after it. Frames of this second round can arrive early. */
  #rounds: [Round, Round] = [newRound(1), newRound(2)];

  constructor(
    context: CollectiveContext,
    spec: CollectiveSpec,
    buffers: CollectiveBuffers,
    shared: SharedPeers = noSharedMemory,
  ) {
    const { mesh, send } = context;
    checkLengths(spec, buffers, mesh.localShards);
    this.#mesh = mesh;
    this.spec = spec;
    this.#send = send;
    this.#shared = shared;
    this.#buffers = buffers;
    this.#route = mesh.route(spec.elementCount, spec.elementCount * bytesPerElement(spec.reduction));
    this.#frames = new CollectiveFrames(context, spec, shared.readable, this.#route.replicated);
    this.#schedule = peerScheduleOf(this.#route, mesh.rank);
    this.#groupNodes = this.#route.groups.map((group) => mesh.subtreesOf(group));
    this.#groupOf = this.#route.groups.flatMap((group, index) => group.map(() => index));
  }

  get inFlight(): boolean {
    return this.#started > this.#finished;
  }

  /** Ranks whose frames have not arrived in the round in flight. Messages about deadlines name them. */
  missing(): Rank[] {
    return this.#mesh.others.filter((rank) => isMissing(rank, this.#rounds[0], this.#schedule));
  }

  /**
   * Starts a round: sends this worker's partials. The inputs must be filled. The collective overwrites them. The messages and bytes of a
   * round are in the table of route.ts. Returns true if the round is already finished.
   */
  start(step: number): boolean {
    invariant(!this.inFlight, `${this.spec.name} started twice`);
    this.#started++;
    this.#step = step;
    this.#stage = 'reduce-scatter';
    const partials = this.#mesh.foldLocal(this.spec.reduction, this.#buffers.inputs);
    const over = ({ start, end }: Range): Vector[] => partials.map((partial) => partial.subarray(start, end));
    if (this.#route.replicated) {
      const frame = this.#frame('reduce-scatter', 'all', over({ start: 0, end: this.spec.elementCount }));
      for (const other of this.#schedule.reduceScatterTo.keys()) this.#send(other, frame);
    } else {
      for (const [other, range] of this.#schedule.reduceScatterTo) {
        // A peer that can read this worker's memory gets no payload, because the vectors are sent by reference.
        const payload = this.#shared.readers.has(other) ? [] : over(range);
        this.#send(other, this.#frame('reduce-scatter', String(other), payload));
      }
    }
    this.#rounds[0].partials.set(this.#mesh.rank, over(this.#schedule.reduceRange));
    return this.#advance();
  }

  /**
   * Takes a frame and may keep its memory until the round is finished. Returns true if this frame finishes the round in flight.
   * @throws ProtocolError when the frame is of another round, repeated, or of a wrong phase or size. The state is unchanged then.
   */
  receive(header: FrameHeader, frame: Frame): boolean {
    const [current, next] = this.#rounds;
    const round = this.#rounds.find(({ sequence }) => sequence === header.sequence);
    const expected = `round ${current.sequence} or ${next.sequence}`;
    if (!round) throw this.#frames.refusal('sequence', header, expected, `round ${header.sequence}`);
    switch (header.phase) {
      case 'reduce-scatter':
        this.#receivePartials(header, frame, round);
        break;
      case 'inter-group-reduce':
        this.#receiveGroupPartials(header, frame, round);
        break;
      case 'inter-group-broadcast':
        this.#receiveBroadcast(header, frame, round);
        break;
      case 'all-gather':
        this.#receiveGathered(header, frame, round);
        break;
      case 'hello':
        throw this.#frames.refusal('sequence', header, 'a phase of a collective', header.phase);
    }
    return this.inFlight && this.#advance();
  }

  #receivePartials(header: FrameHeader, frame: Frame, { partials }: Round): void {
    const sender = header.sender as Rank;
    this.#checkOnce(header, this.#schedule.reduceScatterFrom.has(sender), partials.has(sender));
    partials.set(sender, this.#frames.partials(header, frame, this.#schedule.reduceRange));
  }

  #receiveGroupPartials(header: FrameHeader, frame: Frame, { groupPartials }: Round): void {
    const sender = header.sender as Rank;
    const ranges = this.#schedule.interGroupReduceFrom.get(sender) ?? [];
    this.#checkOnce(header, ranges.length > 0, groupPartials.has(sender));
    const nodes = this.#groupNodes[this.#groupOf[sender] ?? 0] ?? [];
    const lengths = ranges.flatMap((range) => nodes.map(() => lengthOf(range)));
    groupPartials.set(sender, this.#frames.inlineVectors(header, frame, lengths));
  }

  #receiveBroadcast(header: FrameHeader, frame: Frame, round: Round): void {
    const sender = header.sender as Rank;
    const ranges = this.#schedule.interGroupBroadcastFrom.get(sender) ?? [];
    this.#checkOnce(header, ranges.length > 0, round.broadcastFrom.has(sender));
    this.#checkContributed(header, round);
    this.#write(ranges, this.#frames.inlineVectors(header, frame, ranges.map(lengthOf)));
    round.broadcastFrom.add(sender);
  }

  #receiveGathered(header: FrameHeader, frame: Frame, round: Round): void {
    const sender = header.sender as Rank;
    const range = this.#schedule.allGatherFrom.get(sender);
    this.#checkOnce(header, range !== undefined, round.gatheredFrom.has(sender));
    this.#checkContributed(header, round);
    const { start, end } = range ?? { start: 0, end: 0 };
    const referenced = this.#frames.referencedVectors(header, frame)?.output.subarray(start, end);
    const vectors = referenced ? [referenced] : this.#frames.inlineVectors(header, frame, [end - start]);
    this.#write([{ start, end }], vectors);
    round.gatheredFrom.add(sender);
  }

  #checkOnce(header: FrameHeader, expected: boolean, received: boolean): void {
    if (!expected) throw this.#frames.refusal('sequence', header, `no ${header.phase} frame`, 'one');
    if (received) throw this.#frames.refusal('repeated', header, `one ${header.phase} frame`, 'a second one');
  }

  /** No worker can have a part of the result before this worker has sent its partials. */
  #checkContributed(header: FrameHeader, round: Round): void {
    if (round !== this.#rounds[0] || !this.inFlight)
      throw this.#frames.refusal('sequence', header, 'no result before the contribution', 'one');
  }

  #write(ranges: readonly Range[], vectors: readonly Vector[]): void {
    for (const [i, { start }] of ranges.entries()) this.#buffers.output.set(vectors[i] ?? [], start);
  }

  /** Goes through the stages whose contributions are complete. Returns true when the output contains the result. */
  #advance(): boolean {
    const round = this.#rounds[0];
    const { reduceScatterFrom, interGroupReduceFrom, interGroupBroadcastFrom, allGatherFrom } =
      this.#schedule;
    if (this.#stage === 'reduce-scatter') {
      // This worker's own partials count too.
      if (round.partials.size < reduceScatterFrom.size + 1) return false;
      this.#reduceGroup(round);
      this.#stage = 'inter-group-reduce';
    }
    if (this.#stage === 'inter-group-reduce') {
      if (round.groupPartials.size < interGroupReduceFrom.size) return false;
      if (this.#route.groups.length > 1) this.#reduceGroups(round);
      this.#stage = 'inter-group-broadcast';
    }
    if (this.#stage === 'inter-group-broadcast') {
      if (round.broadcastFrom.size < interGroupBroadcastFrom.size) return false;
      this.#sendGathered();
      this.#stage = 'all-gather';
    }
    if (round.gatheredFrom.size < allGatherFrom.size) return false;
    this.#finished++;
    this.#rounds = [this.#rounds[1], newRound(this.#finished + 2)];
    return true;
  }

  /** Sums the group's partials over the reduce range. With one group, the sum is the result. Else it is sent to the owners. */
  #reduceGroup(round: Round): void {
    const { start, end } = this.#schedule.reduceRange;
    if (end <= start) return;
    const group = this.#groupOf[this.#mesh.rank] ?? 0;
    const values: NodeValues = new Map();
    for (const member of this.#route.groups[group] ?? [])
      addNodeValues(values, this.#mesh.subtrees[member] ?? [], round.partials.get(member) ?? []);
    const { reduction } = this.spec;
    if (this.#route.groups.length === 1) {
      this.#mesh.foldRoot(reduction, values, this.#buffers.output.subarray(start, end), this.#scratch);
      return;
    }
    round.groupSums = (this.#groupNodes[group] ?? []).map((node, i) => {
      const output = this.#groupSums.vector(i, reduction, end - start);
      return this.#mesh.fold(node, reduction, values, output, this.#scratch);
    });
    for (const [other, ranges] of this.#schedule.interGroupReduceTo) {
      const vectors = ranges.flatMap((range) => this.#groupSumsOver(round, range));
      this.#send(other, this.#frame('inter-group-reduce', String(other), vectors));
    }
  }

  #groupSumsOver({ groupSums }: Round, { start, end }: Range): Vector[] {
    const offset = this.#schedule.reduceRange.start;
    return groupSums.map((sum) => sum.subarray(start - offset, end - offset));
  }

  /** Sums the partials of all groups over the owned ranges, and sends the sums to the workers that contributed to them. */
  #reduceGroups(round: Round): void {
    const { output } = this.#buffers;
    const ownGroup = this.#groupOf[this.#mesh.rank] ?? 0;
    for (const range of this.#schedule.ownedRanges) {
      const values: NodeValues = new Map();
      addNodeValues(values, this.#groupNodes[ownGroup] ?? [], this.#groupSumsOver(round, range));
      for (const [sender, ranges] of this.#schedule.interGroupReduceFrom) {
        const nodes = this.#groupNodes[this.#groupOf[sender] ?? 0] ?? [];
        // Each owned range lies inside the reduce range of one worker of each group.
        const at = ranges.findIndex(({ start }) => start === range.start);
        const vectors = at < 0 ? [] : (round.groupPartials.get(sender) ?? []).slice(at * nodes.length);
        addNodeValues(values, nodes, vectors);
      }
      const result = output.subarray(range.start, range.end);
      this.#mesh.foldRoot(this.spec.reduction, values, result, this.#scratch);
    }
    for (const [other, ranges] of this.#schedule.interGroupBroadcastTo) {
      const vectors = ranges.map(({ start, end }) => output.subarray(start, end));
      this.#send(other, this.#frame('inter-group-broadcast', String(other), vectors));
    }
  }

  /** Sends the result over the reduce range to the group. Peers that can read this worker's memory get a reference to it. */
  #sendGathered(): void {
    const { start, end } = this.#schedule.reduceRange;
    const others = [...this.#schedule.allGatherTo];
    // The receiver of a replicated collective expects an inline payload.
    const { readers } = this.#route.replicated ? noSharedMemory : this.#shared;
    const remote = others.filter((other) => !readers.has(other));
    const result = this.#buffers.output.subarray(start, end);
    const inline = remote.length > 0 ? this.#frame('all-gather', 'inline', [result]) : undefined;
    const reference = remote.length < others.length ? this.#frame('all-gather', 'reference', []) : undefined;
    for (const other of others) {
      const frame = readers.has(other) ? reference : inline;
      if (frame) this.#send(other, frame);
    }
  }

  #frame(phase: Phase, key: string, vectors: readonly Vector[]): Frame {
    return this.#frames.make({ phase, key, sequence: this.#started, step: this.#step }, vectors);
  }
}
