/**
 * The communicator of a worker, independent of the thread that it runs in: control messages, heartbeats, collectives, and the
 * detection of lost processes. Driven by events; never blocks and uses no tensors.
 *
 * One worker alone cannot distinguish a lost peer from a broken link. It therefore reports a broken connection to the coordinator. The
 * coordinator receives the reports and heartbeats of all workers and decides which worker is lost.
 */

import { OperationalError, PeerLostError, fromWireError, invariant, asError } from '../../shared/errors.js';
import { decodeCoordinatorMessage, encodeMessage } from '../../shared/protocol/codec.js';
import type { Frame } from '../../shared/protocol/frame.js';
import type { CoordinatorMessage, Plan, WorkerMessage } from '../../shared/protocol/messages.js';
import type { DataPlane } from '../../shared/transport/transport.js';
import type { DataPlaneAddress, DataPlaneRequest } from './communicator.js';
import { permits, type CommunicatorState } from './communicator-state.js';
import type { CoreEvents, CoreTransports } from './core-environment.js';
import { EarlyFrames } from './early-frames.js';
import { GenerationEnded } from './generation-ended.js';
import { Heartbeat, type ProcessUsage } from './heartbeat.js';
import { InFlightSpans } from './in-flight-spans.js';
import { JoinedGeneration } from './joined-generation.js';
import { isLate, withoutGeneration } from './late-frames.js';
import { SuccessorReport } from './successor-report.js';

/** Time for the last messages of a connection to arrive after ZeroMQ has reported the end of the connection. */
const lastMessagesMs = 500;

/** The data plane. Exists from the moment at which it is requested. */
interface Plane {
  readonly request: DataPlaneRequest;
  readonly heartbeat: Heartbeat;
  readonly spans: InFlightSpans | undefined;
  /** Undefined while it is being opened. */
  data: DataPlane | undefined;
}

export class CommunicatorCore {
  readonly #transports: CoreTransports;
  readonly #events: CoreEvents;
  readonly #early = new EarlyFrames();
  readonly #report = new SuccessorReport();
  #state: CommunicatorState = { kind: 'idle' };
  #plane: Plane | undefined;
  /** The latest generation that has ended. */
  #ended = 0;
  /** Number of received frames. A heartbeat reports the sum of this number and of the main thread's ticks. */
  #frames = 0;

  constructor(transports: CoreTransports, events: CoreEvents) {
    this.#transports = transports;
    this.#events = events;
    transports.control.connect({
      message: (bytes) => this.#onControl(bytes),
      disconnected: () => this.#onDisconnected(),
      refused: (error) => this.#fail(error),
      busy: (error) => this.#events.refused(error),
    });
  }

  /** The generation that has been joined and has not ended. */
  get generation(): JoinedGeneration | undefined {
    return 'generation' in this.#state ? this.#state.generation : undefined;
  }

  /** Sends a control message; dropped after `close`. */
  send(message: WorkerMessage): void {
    if (this.#state.kind === 'closed') return;
    const { generation } = this;
    this.#report.sent(message);
    if (message.type === 'finished') {
      this.#plane?.spans?.flush();
      // The generation may have ended already. The main thread will then join the next one.
      if (this.#state.kind === 'running') this.#enter({ ...this.#state, kind: 'finished' });
    }
    if (message.type === 'failed') this.#enter({ kind: 'leaving', generation, failed: this.#hasFailed });
    this.#transports.control.send(encodeMessage(message));
  }

  /** Opens the data plane and starts the heartbeats. @throws ConfigError when the socket can't be bound */
  async openDataPlane(request: DataPlaneRequest): Promise<Omit<DataPlaneAddress, 'memory'>> {
    const spans = request.trace
      ? new InFlightSpans((batch) => this.send({ type: 'spans', spans: batch }))
      : undefined;
    const heartbeat = new Heartbeat({
      intervalMs: request.heartbeatMs,
      timeoutMs: request.coordinatorTimeoutMs,
      send: (usage) => this.#beat(usage),
      silent: (ms) => this.#onCoordinatorLost(`has not answered for ${Math.round(ms / 1000)} s`),
    });
    const plane: Plane = { request, heartbeat, spans, data: undefined };
    this.#plane = plane;
    const data = await this.#transports.openDataPlane(request);
    plane.data = data;
    // If `close` was called before the plane was open, it could not close the plane.
    if (this.#state.kind === 'closed') await data.close();
    const { endpoint, publicKey } = data;
    return { endpoint, publicKey };
  }

  /**
   * Connects to all peers of the plan and sends each a hello, n-1 messages. Resolves when a hello of each peer has arrived. The result
   * is true if this worker shares memory with all peers.
   * @throws GenerationEnded when the plan's generation ends before all hellos have arrived, or when the run has failed
   */
  async join(plan: Plan): Promise<boolean> {
    const { data, request, spans } = this.#plane ?? {};
    invariant(data && request, 'the data plane is not open');
    if (plan.generation <= this.#ended) throw new GenerationEnded(this.#ended);
    // The run has failed or is over, and the main thread has been informed already (`#fail`, `#onControl`).
    if (!permits(this.#state.kind, 'running')) throw new GenerationEnded(plan.generation);
    this.#report.joining(plan);
    const generation = new JoinedGeneration(plan, request, this.#transports, data, {
      finished: (id) => {
        spans?.finished(id, generation.engine.nameOf(id));
        this.#events.finished(id);
      },
      refused: (error) => this.#events.refused(error),
    });
    this.#enter({ kind: 'running', generation });
    generation.greet(data, {
      frame: (frame) => this.#onFrame(frame),
      disconnected: (lost) => this.#onPeerLost(lost),
    });
    for (const frame of this.#early.takeAll()) this.#onFrame(frame);
    generation.resolveIfConnected();
    return generation.connected;
  }

  /** Starts a collective. Has no effect if the generation has ended and the main thread has not noticed it yet. */
  start(collectiveId: number, step: number): void {
    const { generation } = this;
    if (this.#hasFailed || !generation) return;
    this.#plane?.spans?.started(collectiveId, step);
    generation.engine.start(collectiveId, step);
  }

  /** Closes both planes. Pending messages are sent for at most a second. */
  async close(): Promise<void> {
    this.generation?.close();
    this.#enter({ kind: 'closed' });
    this.#plane?.heartbeat.stop();
    await Promise.all([this.#plane?.data?.close(), this.#transports.control.close()]);
  }

  get #hasFailed(): boolean {
    return this.#state.kind === 'failed' || (this.#state.kind === 'leaving' && this.#state.failed);
  }

  #enter(next: CommunicatorState): void {
    const { kind } = this.#state;
    invariant(permits(kind, next.kind), `a communicator went from ${kind} to ${next.kind}`);
    this.#state = next;
  }

  #onControl(bytes: Uint8Array): void {
    this.#plane?.heartbeat.heard();
    let message: CoordinatorMessage;
    try {
      message = decodeCoordinatorMessage(bytes, 'the coordinator');
    } catch (error) {
      this.#refuse(error);
      return;
    }
    if (message.type === 'heartbeat') return;
    if (message.type === 'identify') {
      this.#identify();
      return;
    }
    if (message.type === 'finish') this.#onFinish();
    if (message.type === 'stop_generation') this.#onStopGeneration(message.generation);
    this.#events.message(message);
    if (message.type === 'abort') this.#fail(fromWireError(message.error));
  }

  #onFinish(): void {
    if (this.#state.kind === 'closed') return;
    this.#enter({ kind: 'leaving', generation: this.generation, failed: this.#hasFailed });
  }

  /** Ends the generation. If the previous coordinator has ended it already, the worker repeats its answer to the new coordinator. */
  #onStopGeneration(generation: number): void {
    const answer = this.#report.lastCommitted(generation);
    if (generation > this.#ended) this.#endGeneration(generation);
    else if (answer) this.send(answer);
  }

  #endGeneration(ended: number): void {
    this.#ended = ended;
    const { generation } = this;
    const state = this.#state;
    if (state.kind === 'failed' || state.kind === 'leaving') this.#enter({ ...state, generation: undefined });
    else if (state.kind !== 'closed') this.#enter({ kind: 'idle' });
    generation?.end(new GenerationEnded(ended));
    this.#events.ended(ended);
  }

  #onFrame(frame: Frame): void {
    this.#frames++;
    try {
      if (this.#keepEarly(frame)) return;
      const { generation } = this;
      if (!generation) throw withoutGeneration(frame);
      generation.receive(frame);
    } catch (error) {
      const request = this.#plane?.request;
      if (!request || !isLate(error, frame, request.runId, this.#ended)) this.#refuse(error);
    }
  }

  #keepEarly(frame: Frame): boolean {
    if (!this.#plane) return false;
    const { runId } = this.#plane.request;
    return this.#early.keep(frame, runId, Math.max(this.#ended, this.generation?.plan.generation ?? 0));
  }

  #refuse(error: unknown): void {
    if (error instanceof OperationalError) this.#events.refused(error);
    else this.#fail(asError(error));
  }

  /** Reports a broken connection. Fails if the coordinator does not end the generation within `coordinatorTimeoutMs`. */
  #onPeerLost(rank: number): void {
    if (this.#state.kind !== 'running' || !this.#plane) return;
    const { generation } = this.#state;
    const { plan } = generation;
    const peer = plan.workers.find((other) => other.rank === rank);
    const name = `rank ${rank} (pid ${peer?.pid ?? '?'} on ${peer?.host ?? '?'})`;
    this.send({ type: 'lost', generation: plan.generation, rank, reason: 'the connection to it broke' });
    generation.awaitVerdict(this.#plane.request.coordinatorTimeoutMs, () =>
      this.#fail(
        new PeerLostError(`Worker lost: the connection to ${name} broke and no verdict came.`, { rank }),
      ),
    );
  }

  /** Reports this worker's membership to a new coordinator, and repeats its latest reports. An orphan ends, so it reports nothing. */
  #identify(): void {
    if (!this.#plane || this.#events.isOrphan?.() === true) return;
    for (const message of this.#report.messages(this.#plane.request.runId))
      this.#transports.control.send(encodeMessage(message));
  }

  /** Fails, because the coordinator is lost and this worker no longer waits for a new one. */
  #onCoordinatorLost(reason: string): void {
    if (this.#state.kind === 'leaving' || this.#state.kind === 'closed') return;
    const message = `Coordinator lost: it ${reason}. Start the run again.`;
    this.#fail(new PeerLostError(message, { who: 'coordinator' }));
  }

  /**
   * Waits for a new coordinator if this worker has been a member. A worker that has never been a member has no training state, so it fails
   * once the last messages of the connection have had time to arrive: ZeroMQ may report the end of a connection before it delivers them.
   * One of them may give the reason why the coordinator ended, or may be the plan that makes this worker a member.
   */
  #onDisconnected(): void {
    setTimeout(() => {
      if (!this.#report.hasBeenMember) this.#onCoordinatorLost('closed the connection');
    }, lastMessagesMs).unref();
  }

  #beat(usage: ProcessUsage): void {
    if (this.#state.kind === 'leaving' || this.#state.kind === 'closed') return;
    this.send({
      type: 'heartbeat',
      generation: this.generation?.plan.generation ?? 0,
      ticks: this.#events.ticks() + this.#frames,
      waitingFor: this.#waitingFor(),
      usage,
    });
  }

  /** Describes the collective that blocks the main thread; empty if the main thread is not blocked. */
  #waitingFor(): string {
    const waiting = this.#events.waiting();
    const { generation } = this;
    if (waiting === 0 || !generation) return '';
    const name = generation.engine.nameOf(waiting);
    return [`${name} from another`].concat(generation.missing()).join('; ').slice(0, 4_000);
  }

  #fail(error: Error): void {
    const state = this.#state;
    if (state.kind === 'failed' || state.kind === 'closed') return;
    if (state.kind === 'leaving') {
      if (state.failed) return;
      this.#enter({ ...state, failed: true });
    } else this.#enter({ kind: 'failed', generation: this.generation });
    this.#events.failed(error);
  }
}
