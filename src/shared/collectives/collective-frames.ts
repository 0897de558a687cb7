/**
 * Encodes and decodes the frames of one collective, and creates the errors for refused frames. Owns the memory of outgoing frames and of
 * unpacked vectors. collective.ts decides which frames are sent and awaited.
 */

import { ProtocolError } from '../errors.js';
import { payloadOf, writeHeader, type Frame, type FrameHeader, type Phase } from '../protocol/frame.js';
import type { RefusalKind } from '../protocol/refusals.js';
import type { Range, Rank } from '../sharding/identifiers.js';
import type { CollectiveContext, CollectiveSpec, SharedPeers } from './collective-spec.js';
import { bytesOnWire, frameOf, vectorsOf } from './payload.js';
import type { Vector } from './reduction.js';
import { SendBuffers } from './send-buffers.js';
import type { Vectors } from './vector-layout.js';

/** Names an outgoing frame: `key` distinguishes the frames of one phase of a round. */
export interface OutgoingFrame {
  readonly phase: Phase;
  readonly key: string;
  readonly sequence: number;
  readonly step: number;
}

export class CollectiveFrames {
  readonly #context: Pick<CollectiveContext, 'identity' | 'mesh'>;
  readonly #spec: CollectiveSpec;
  readonly #readable: SharedPeers['readable'];
  /**
   * True if several workers compute each sum. A worker can then finish a round before its peers have received its frames, so every payload
   * is inline and copied.
   */
  readonly #replicated: boolean;
  readonly #outgoing = new SendBuffers();
  readonly #unpacked = new SendBuffers();

  constructor(
    context: Pick<CollectiveContext, 'identity' | 'mesh'>,
    spec: CollectiveSpec,
    readable: SharedPeers['readable'],
    replicated: boolean,
  ) {
    this.#context = context;
    this.#spec = spec;
    this.#readable = readable;
    this.#replicated = replicated;
  }

  /** Makes a frame. The vectors are its inline payload. A frame without vectors refers to the vectors in this worker's memory. */
  make({ phase, key, sequence, step }: OutgoingFrame, vectors: readonly Vector[]): Frame {
    const { identity, mesh } = this.#context;
    const { frame, encoding } = frameOf(
      vectors,
      this.#spec.reduction,
      mesh.arithmetic,
      this.#replicated,
      (bytes) => this.#outgoing.buffer(`${phase}/${key}`, sequence, bytes),
    );
    const { runTag, generation } = identity;
    const collective = this.#spec.id;
    const header = { phase, sender: mesh.rank, runTag, generation, collective, sequence, step, encoding };
    writeHeader(frame, header, mesh.arithmetic.checksum);
    return frame;
  }

  /** The vectors in the sender's memory, if the frame was sent by reference. */
  referencedVectors({ sender }: FrameHeader, frame: Frame): Vectors | undefined {
    if (this.#replicated || payloadOf(frame).length > 0) return undefined;
    return this.#readable.get(sender as Rank);
  }

  /** The sender's partials over `range`, one vector per subtree. @throws ProtocolError when the payload has a wrong size */
  partials(header: FrameHeader, frame: Frame, { start, end }: Range): readonly Vector[] {
    const { mesh } = this.#context;
    const nodes = mesh.subtrees[header.sender] ?? [];
    const referenced = this.referencedVectors(header, frame);
    if (!referenced) {
      const lengths = nodes.map(() => end - start);
      return this.inlineVectors(header, frame, lengths);
    }
    const first = mesh.ranges[header.sender]?.start ?? 0;
    // A node is reduced in place: its value is in the vector of its first shard.
    return nodes.map(({ level, index }) =>
      (referenced.inputs[index * 2 ** level - first] as Vector).subarray(start, end),
    );
  }

  /** Decodes an inline payload into vectors of these lengths. @throws ProtocolError when the payload has another size */
  inlineVectors(header: FrameHeader, frame: Frame, lengths: readonly number[]): Vector[] {
    const { reduction } = this.#spec;
    const vectors = vectorsOf(
      frame,
      header.encoding,
      reduction,
      this.#context.mesh.arithmetic,
      lengths,
      (bytes) => this.#unpacked.buffer(`${header.phase}/${header.sender}`, header.sequence, bytes),
    );
    if (vectors) return vectors;
    const received = payloadOf(frame).reduce((total, { length }) => total + length, 0);
    if (header.encoding === 'zero-blocks') {
      const got = `${received} bytes for ${reduction}`;
      throw this.refusal(
        'payload',
        header,
        'a payload of float32 with the size that its bitmap requires',
        got,
      );
    }
    const expected = bytesOnWire(reduction) * lengths.reduce((total, length) => total + length, 0);
    throw this.refusal('payload', header, `${expected} bytes of payload`, String(received));
  }

  refusal(kind: RefusalKind, header: FrameHeader, expected: string, got: string): ProtocolError {
    const { identity, mesh } = this.#context;
    const { name } = this.#spec;
    return new ProtocolError(
      `Frame of ${name} from rank ${header.sender} refused: expected ${expected}, got ${got} ` +
        `(rank ${mesh.rank}/${mesh.worldSize}, generation ${identity.generation}, step ${header.step}).`,
      { kind, collective: name, sender: header.sender, expected, got, step: header.step },
    );
  }
}
