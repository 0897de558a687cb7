/**
 * The frames of one collective: made from vectors and read back, and refused with what was expected. Owns the memory of outgoing frames
 * and of what is unpacked; knows nothing of hops and of what is still awaited.
 */

import { ProtocolError } from '../errors.js';
import { payloadOf, writeHeader, type Frame, type FrameHeader, type Phase } from '../protocol/frame.js';
import type { RefusalKind } from '../protocol/refusals.js';
import type { Range, Rank } from '../sharding/identifiers.js';
import type { CollectiveSpec, SharedPeers } from './collective-spec.js';
import type { Mesh } from './mesh.js';
import { bytesOnWire, frameOf, vectorsOf } from './payload.js';
import type { Vector } from './reduction.js';
import { SendBuffers } from './send-buffers.js';
import type { Vectors } from './vector-layout.js';

export class CollectiveFrames {
  readonly #mesh: Mesh;
  readonly #spec: CollectiveSpec;
  readonly #readable: SharedPeers['readable'];
  /** Sums are computed by several workers: a frame always carries, and a use may end before all have it. */
  readonly #replicated: boolean;
  readonly #made = new SendBuffers();
  readonly #unpacked = new SendBuffers();

  constructor(mesh: Mesh, spec: CollectiveSpec, readable: SharedPeers['readable'], replicated: boolean) {
    this.#mesh = mesh;
    this.#spec = spec;
    this.#readable = readable;
    this.#replicated = replicated;
  }

  /** `key` names the frame within its phase. No vectors: they lie where the receiver can read them. */
  make(phase: Phase, key: string, sequence: number, step: number, vectors: readonly Vector[]): Frame {
    const { arithmetic } = this.#mesh;
    const frame = frameOf(vectors, this.#spec.reduction, arithmetic, this.#replicated, (bytes) =>
      this.#made.take(`${phase}/${key}`, sequence, bytes),
    );
    const { rank, runTag, generation } = this.#mesh.plan;
    const collective = this.#spec.id;
    const header = { phase, sender: rank, runTag, generation, collective, sequence, step };
    writeHeader(frame, header, arithmetic.checksum);
    return frame;
  }

  /** The sender's vectors, when the frame only announces them. */
  announced({ sender }: FrameHeader, frame: Frame): Vectors | undefined {
    if (this.#replicated || payloadOf(frame).length > 0) return undefined;
    return this.#readable.get(sender as Rank);
  }

  /** What the sender gives of `range`: a vector a subtree, from the frame or where it announces them. @throws ProtocolError */
  partials(header: FrameHeader, frame: Frame, { start, end }: Range): readonly Vector[] {
    const nodes = this.#mesh.subtrees[header.sender] ?? [];
    const there = this.announced(header, frame);
    if (!there) {
      const lengths = nodes.map(() => end - start);
      return this.carried(header, frame, lengths);
    }
    const first = this.#mesh.ranges[header.sender]?.start ?? 0;
    // A node's value is in the vector of its first shard.
    return nodes.map(({ level, index }) =>
      (there.inputs[index * 2 ** level - first] as Vector).subarray(start, end),
    );
  }

  /** The vectors of these lengths that the frame carries. @throws ProtocolError when its size is another */
  carried(header: FrameHeader, frame: Frame, lengths: readonly number[]): Vector[] {
    const { reduction } = this.#spec;
    const vectors = vectorsOf(frame, reduction, this.#mesh.arithmetic, lengths, (bytes) =>
      this.#unpacked.take(`${header.phase}/${header.sender}`, header.sequence, bytes),
    );
    if (vectors) return vectors;
    const came = payloadOf(frame).reduce((total, { length }) => total + length, 0);
    const bytes = bytesOnWire(reduction) * lengths.reduce((total, length) => total + length, 0);
    throw this.refusal('payload', header, `${bytes} bytes of payload`, String(came));
  }

  refusal(kind: RefusalKind, header: FrameHeader, expected: string, got: string): ProtocolError {
    const { rank, generation } = this.#mesh.plan;
    const { name } = this.#spec;
    return new ProtocolError(
      `Frame of ${name} from rank ${header.sender} refused: expected ${expected}, got ${got} ` +
        `(rank ${rank}/${this.#mesh.worldSize}, generation ${generation}, step ${header.step}).`,
      { kind, collective: name, sender: header.sender, expected, got, step: header.step },
    );
  }
}
