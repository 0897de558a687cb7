/**
 * All collectives of one generation on one worker. Passes each received frame to its collective and refuses frames of other runs,
 * generations and senders. Uses no thread and no socket: frames are received by `receive` and sent by the `send` of the constructor.
 */

import { InvariantError, OperationalError, StaleGenerationError } from '../errors.js';
import { bytesOf, readHeader, verifyPayload, type Frame, type FrameHeader } from '../protocol/frame.js';
import { refusal } from '../protocol/refusals.js';
import { Collective } from './collective.js';
import type {
  CollectiveBuffers,
  CollectiveContext,
  CollectiveSpec,
  SendFrame,
  SharedPeers,
} from './collective-spec.js';
import type { GenerationIdentity } from './generation-identity.js';
import { Mesh, type MeshGeometry } from './mesh.js';

/**
 * Limit in bytes of the frames that are kept for collectives that are not registered here yet. A peer can register a collective earlier
 * than this worker only at the start of a generation.
 */
const earlyBytesLimit = 256 * 1024 * 1024;

export class CollectiveEngine {
  readonly mesh: Mesh;
  readonly #context: CollectiveContext;
  readonly #collectives = new Map<number, Collective>();
  readonly #onFinished: (id: number) => void;
  readonly #onRefused: (error: OperationalError) => void;
  #early: Frame[] = [];
  #earlyBytes = 0;

  /**
   * @param onFinished called when a round of a collective is finished, possibly inside `start` or `receive`
   * @param onRefused called when a kept frame is refused. A frame that arrives before its collective is registered is kept
   */
  constructor(
    { runTag, generation, ...geometry }: GenerationIdentity & MeshGeometry,
    send: SendFrame,
    onFinished: (id: number) => void,
    onRefused: (error: OperationalError) => void = () => undefined,
  ) {
    this.mesh = new Mesh(geometry);
    this.#context = { identity: { runTag, generation }, mesh: this.mesh, send };
    this.#onFinished = onFinished;
    this.#onRefused = onRefused;
  }

  /** Registers a collective and passes it the frames that arrived early. */
  register(spec: CollectiveSpec, buffers: CollectiveBuffers, shared?: SharedPeers): void {
    if (this.#collectives.has(spec.id)) throw new InvariantError(`collective ${spec.id} registered twice`);
    this.#collectives.set(spec.id, new Collective(this.#context, spec, buffers, shared));
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
   * Takes one received frame. The frame's memory belongs to the engine from now on.
   * @throws ProtocolError or StaleGenerationError when the frame is refused. A refused frame does not change the state.
   */
  receive(frame: Frame): FrameHeader {
    const header = readHeader(frame);
    this.#checkOrigin(header);
    verifyPayload(frame, this.mesh.arithmetic.checksum);
    if (header.phase === 'hello') return header;
    const collective = this.#collectives.get(header.collective);
    if (!collective) this.#keepEarly(header, frame);
    else if (collective.receive(header, frame)) this.#onFinished(header.collective);
    return header;
  }

  /** Refuses frames of another run or generation, and senders that are not peers. */
  #checkOrigin({ sender, ...header }: FrameHeader): void {
    const { identity, mesh } = this.#context;
    if (header.runTag !== identity.runTag)
      throw refusal('other-run', `Frame from rank ${sender} refused: it belongs to another run.`);
    if (header.generation !== identity.generation)
      throw new StaleGenerationError(
        `Frame from rank ${sender} refused: expected generation ${identity.generation}, got ${header.generation}.`,
        { kind: 'stale-generation' },
      );
    if (sender >= mesh.worldSize || sender === mesh.rank)
      throw refusal(
        'sender',
        `Frame refused: expected a peer of rank ${mesh.rank} among ${mesh.worldSize} workers, got rank ${sender}.`,
      );
  }

  #keepEarly({ sender, collective }: FrameHeader, frame: Frame): void {
    const bytes = bytesOf(frame);
    if (this.#earlyBytes + bytes > earlyBytesLimit)
      throw refusal('collective', `Frame from rank ${sender} refused: collective ${collective} is unknown.`);
    this.#early.push(frame);
    this.#earlyBytes += bytes;
  }

  /** The name of a collective, for messages. */
  nameOf(id: number): string {
    return this.#collectives.get(id)?.spec.name ?? String(id);
  }

  /** The collectives in flight, and the ranks whose frames each still lacks. */
  waitingFor(): { collective: string; ranks: number[] }[] {
    return [...this.#collectives.values()]
      .filter((collective) => collective.inFlight)
      .map((collective) => ({ collective: collective.spec.name, ranks: collective.missing() }));
  }
}
