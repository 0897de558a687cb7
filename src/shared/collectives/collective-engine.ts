/**
 * All collectives of one generation on one worker: gives every arriving frame to the collective that it belongs to, and
 * refuses the rest. Knows no threads and no sockets: frames come in by `receive` and leave by `send`.
 */

import { InvariantError, OperationalError, StaleGenerationError } from '../errors.js';
import { bytesOf, readHeader, verifyPayload, type Frame, type FrameHeader } from '../protocol/frame.js';
import { refusal } from '../protocol/refusals.js';
import { Collective } from './collective.js';
import type { CollectiveBuffers, CollectiveSpec, SendFrame, SharedPeers } from './collective-spec.js';
import { Mesh, type MeshPlan } from './mesh.js';

/** Bytes of frames for collectives that aren't registered here yet. A peer gets this far ahead only at the very start. */
const earlyBytesLimit = 256 * 1024 * 1024;

export class CollectiveEngine {
  readonly mesh: Mesh;
  readonly #send: SendFrame;
  readonly #collectives = new Map<number, Collective>();
  readonly #onFinished: (id: number) => void;
  readonly #onRefused: (error: OperationalError) => void;
  #early: Frame[] = [];
  #earlyBytes = 0;

  /** @param onRefused frames that came early and turn out to be wrong; without it they are dropped */
  constructor(
    plan: MeshPlan,
    send: SendFrame,
    onFinished: (id: number) => void,
    onRefused: (error: OperationalError) => void = () => undefined,
  ) {
    this.mesh = new Mesh(plan);
    this.#send = send;
    this.#onFinished = onFinished;
    this.#onRefused = onRefused;
  }

  register(spec: CollectiveSpec, buffers: CollectiveBuffers, shared?: SharedPeers): void {
    if (this.#collectives.has(spec.id)) throw new InvariantError(`collective ${spec.id} registered twice`);
    this.#collectives.set(spec.id, new Collective(this.mesh, spec, buffers, this.#send, shared));
    const early = this.#early;
    this.#early = [];
    this.#earlyBytes = 0;
    for (const frame of early) {
      try {
        this.receive(frame);
      } catch (error) {
        if (!(error instanceof OperationalError)) throw error;
        this.#onRefused(error);
      }
    }
  }

  start(id: number, step: number): void {
    const collective = this.#collectives.get(id);
    if (!collective) throw new InvariantError(`collective ${id} was never registered`);
    if (collective.start(step)) this.#onFinished(id);
  }

  /**
   * Takes one frame from the wire. Its memory belongs to the engine from now on.
   * @throws ProtocolError or StaleGenerationError when it is refused; nothing has changed then.
   */
  receive(frame: Frame): FrameHeader {
    const header = readHeader(frame);
    const { runTag, generation, rank } = this.mesh.plan;
    const { worldSize } = this.mesh;
    if (header.runTag !== runTag) {
      throw refusal('other-run', `Frame from rank ${header.sender} refused: it belongs to another run.`);
    }
    if (header.generation !== generation) {
      throw new StaleGenerationError(
        `Frame from rank ${header.sender} refused: expected generation ${generation}, got ${header.generation}.`,
        { kind: 'stale-generation' },
      );
    }
    if (header.sender >= worldSize || header.sender === rank) {
      throw refusal(
        'sender',
        `Frame refused: rank ${header.sender} of ${worldSize} can't have sent it to ${rank}.`,
      );
    }
    verifyPayload(frame, this.mesh.arithmetic.checksum);
    if (header.phase === 'hello') return header;
    const collective = this.#collectives.get(header.collective);
    if (collective) {
      if (collective.receive(header, frame)) this.#onFinished(header.collective);
      return header;
    }
    const bytes = bytesOf(frame);
    if (this.#earlyBytes + bytes > earlyBytesLimit) {
      throw refusal(
        'collective',
        `Frame from rank ${header.sender} refused: collective ${header.collective} is unknown.`,
      );
    }
    this.#early.push(frame);
    this.#earlyBytes += bytes;
    return header;
  }

  /** What people call a collective. */
  nameOf(id: number): string {
    return this.#collectives.get(id)?.spec.name ?? String(id);
  }

  /** What is being waited for, and from whom: `gradients/3 from rank 1, 2`. */
  waitingFor(): { collective: string; ranks: number[] }[] {
    return [...this.#collectives.values()]
      .filter((collective) => collective.inFlight)
      .map((collective) => ({ collective: collective.spec.name, ranks: collective.missing() }));
  }
}
