/**
 * The ZAP handler (ZeroMQ RFC 27) of a context: decides which handshakes with its sockets succeed. ZeroMQ sends its requests to
 * `inproc://zeromq.zap.01`. With `zapEnforceDomain` a missing handler means that no connection is accepted; by default it would mean
 * that all are. The handler must be open before a socket is bound, and belongs to one context.
 *
 * With keys, the key alone decides: connections that stay silent or have another key cannot keep out a peer whose key is allowed. It is
 * used for sockets without keys too: it refuses peers older than ZMTP 3, whose bytes ZeroMQ would deliver as messages, and limits the
 * number of connections.
 */

import { Router, type Context, type Socket } from 'zeromq';
import { keyText, type ServerKeys } from '../../security/curve-key.js';
import { handshakeMs, monitorOf, Outbox, receiveLoop } from './sockets.js';

const address = 'inproc://zeromq.zap.01';
const domain = 'lockstep';

/** Maximum number of open connections of a socket without keys: two for each of 1024 workers. */
export const mostConnections = 2_048;
/** Maximum number of handshakes that wait for a decision; a further one causes the oldest to be put off. */
export const mostHeld = 256;

/**
 * Status codes of an answer. A client with `later` tries again by itself, once its handshake has timed out. One with `busy` or
 * `refused` receives the code and does not try again.
 */
const answers = { accepted: '200', later: '300', refused: '400', busy: '500' } as const;
type Answer = keyof typeof answers;
/** The code that a client receives if there are too many connections. */
export const busyStatus = 500;

interface Request {
  /** The ZAP frames with which the answer begins. */
  readonly reply: readonly Buffer[];
  readonly key: string;
}

export interface GateOptions {
  /** Null: no keys; connections are only counted. */
  readonly keys: ServerKeys | null;
  /** True if a key that is not allowed waits for `reconsider` instead of being refused at once. */
  readonly patient?: boolean;
  /** Maximum number of open connections without keys. */
  readonly maxConnections?: number;
}

export class Gatekeeper {
  readonly #socket: Router;
  /** Queues answers: the socket accepts one at a time. */
  readonly #answers: Outbox<(Buffer | string)[]>;
  readonly #options: GateOptions;
  readonly #held: Request[] = [];
  #open = 0;

  private constructor(socket: Router, options: GateOptions) {
    this.#socket = socket;
    // An answer fails when the requesting connection is closed.
    this.#answers = new Outbox<(Buffer | string)[]>(socket);
    this.#options = options;
  }

  static async open(context: Context, options: GateOptions): Promise<Gatekeeper> {
    const socket = new Router({ context, linger: 0, sendTimeout: 0 });
    await socket.bind(address);
    const gate = new Gatekeeper(socket, options);
    void receiveLoop(socket, (parts) => gate.#asked(parts));
    return gate;
  }

  /** Options of the sockets whose handshakes this handler decides. */
  get guarded(): {
    zapDomain: string;
    zapEnforceDomain: true;
    curveServer?: true;
    curveSecretKey?: string;
  } {
    const { keys } = this.#options;
    const enforced = { zapDomain: domain, zapEnforceDomain: true } as const;
    return keys ? { ...enforced, curveServer: true, curveSecretKey: keys.own.secretKey } : enforced;
  }

  /** Counts the connections of a guarded socket. */
  watch(socket: Socket): void {
    const monitor = monitorOf(socket);
    monitor.on('accept', () => this.#open++);
    monitor.on('disconnect', () => this.#open--);
  }

  /** Decides the waiting handshakes again, after a change of the allowed keys. */
  reconsider(): void {
    const { keys } = this.#options;
    if (keys) for (const request of this.#held.splice(0)) this.#decide(request, keys);
  }

  close(): void {
    this.#socket.close();
  }

  #asked(parts: Buffer[]): void {
    const [path, delimiter, version, id, askedDomain, , , mechanism, credential] = parts;
    if (!path || !delimiter || version?.toString() !== '1.0' || !id) return;
    const reply = [path, delimiter, version, id];
    const { keys, maxConnections = mostConnections } = this.#options;
    const wanted = keys ? 'CURVE' : 'NULL';
    if (askedDomain?.toString() !== domain || mechanism?.toString() !== wanted)
      this.#answer(reply, 'refused');
    else if (!keys) this.#answer(reply, this.#open > maxConnections ? 'busy' : 'accepted');
    else {
      const key = credential && keyText(credential);
      if (key === undefined) this.#answer(reply, 'refused');
      else this.#decide({ reply, key }, keys);
    }
  }

  #decide(request: Request, keys: ServerKeys): void {
    const { patient = false } = this.#options;
    if (keys.allows(request.key)) this.#answer(request.reply, 'accepted');
    else if (!patient) this.#answer(request.reply, 'refused');
    else this.#hold(request);
  }

  /** ZeroMQ itself ends a handshake that takes longer than `handshakeMs`. */
  #hold(request: Request): void {
    this.#held.push(request);
    const oldest = this.#held.length > mostHeld ? this.#held.shift() : undefined;
    // It may be a peer's, which must be able to try again.
    if (oldest) this.#answer(oldest.reply, 'later');
    const timer = setTimeout(() => {
      const at = this.#held.indexOf(request);
      if (at < 0) return;
      this.#held.splice(at, 1);
      this.#answer(request.reply, 'later');
    }, handshakeMs);
    timer.unref();
  }

  #answer(reply: readonly Buffer[], answer: Answer): void {
    this.#answers.push([...reply, answers[answer], answer, '', '']);
  }
}
