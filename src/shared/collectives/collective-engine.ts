/**
 * All exchanges of one generation on one worker: gives every arriving frame to the exchange that it belongs to, and
 * refuses the rest. Knows no threads and no sockets: frames come in by `receive` and leave by `send`.
 */

import { InvariantError, OperationalError, StaleGenerationError } from '../errors.js';
import { bytesOf, readHeader, verifyPayload, type Frame, type FrameHeader } from '../protocol/frame.js';
import { refusal } from '../protocol/refusals.js';
import { Exchange } from './collective.js';
import type { ExchangeBuffers, ExchangeSpec, SendFrame, SharedPeers } from './collective-spec.js';
import { Mesh, type MeshPlan } from './mesh.js';

/** Bytes of frames for exchanges that aren't registered here yet. A peer gets this far ahead only at the very start. */
const earlyBytesLimit = 256 * 1024 * 1024;

export class CollectiveEngine {
  readonly mesh: Mesh;
  readonly #send: SendFrame;
  readonly #exchanges = new Map<number, Exchange>();
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

  register(spec: ExchangeSpec, buffers: ExchangeBuffers, shared?: SharedPeers): void {
    if (this.#exchanges.has(spec.id)) throw new InvariantError(`exchange ${spec.id} registered twice`);
    this.#exchanges.set(spec.id, new Exchange(this.mesh, spec, buffers, this.#send, shared));
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
    const exchange = this.#exchanges.get(id);
    if (!exchange) throw new InvariantError(`exchange ${id} was never registered`);
    if (exchange.start(step)) this.#onFinished(id);
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
    const exchange = this.#exchanges.get(header.exchange);
    if (exchange) {
      if (exchange.receive(header, frame)) this.#onFinished(header.exchange);
      return header;
    }
    const bytes = bytesOf(frame);
    if (this.#earlyBytes + bytes > earlyBytesLimit) {
      throw refusal(
        'exchange',
        `Frame from rank ${header.sender} refused: exchange ${header.exchange} is unknown.`,
      );
    }
    this.#early.push(frame);
    this.#earlyBytes += bytes;
    return header;
  }

  /** What people call an exchange. */
  nameOf(id: number): string {
    return this.#exchanges.get(id)?.spec.name ?? String(id);
  }

  /** What is being waited for, and from whom: `gradients/3 from rank 1, 2`. */
  waitingFor(): { exchange: string; ranks: number[] }[] {
    return [...this.#exchanges.values()]
      .filter((exchange) => exchange.inFlight)
      .map((exchange) => ({ exchange: exchange.spec.name, ranks: exchange.missing() }));
  }
}
