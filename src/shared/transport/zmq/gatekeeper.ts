/**
 * Who may finish the handshake with this context's sockets. ZeroMQ asks at `inproc://zeromq.zap.01` (ZAP, its RFC 27), and with
 * `zapEnforceDomain` lets nobody in while nobody answers there: without it a missing handler means that everyone may.
 * Must be open before a socket is bound, and belongs to one context.
 *
 * Asked for sockets without keys too: that keeps out everything older than ZMTP 3, which ZeroMQ would make messages of,
 * and bounds the number of connections.
 */

import { Router, type Context, type Socket } from 'zeromq';
import { keyText, type ServerKeys } from '../../security/curve-key.js';
import { handshakeMs, monitorOf, Outbox, receiveLoop } from './sockets.js';

const address = 'inproc://zeromq.zap.01';
const domain = 'lockstep';

/** Most connections of a socket at a time: two for each of 1024 workers. */
export const mostConnections = 2_048;
/** Most handshakes that wait for a decision; the oldest is refused for another. */
export const mostHeld = 256;

interface Request {
  /** ZAP frames that an answer begins with. */
  readonly reply: readonly Buffer[];
  readonly key: string;
}

export interface GateOptions {
  /** Null: no keys; connections are counted only. */
  readonly keys: ServerKeys | null;
  /** A key that isn't allowed waits for `reconsider`, instead of being refused at once. */
  readonly patient?: boolean;
  readonly most?: number;
}

export class Gatekeeper {
  readonly #socket: Router;
  /** Takes answers that come while another is on its way, which the socket would not. */
  readonly #answers: Outbox<(Buffer | string)[]>;
  readonly #options: GateOptions;
  readonly #held: Request[] = [];
  #open = 0;
  /** Handshakes refused so far. */
  refused = 0;

  private constructor(socket: Router, options: GateOptions) {
    this.#socket = socket;
    // An answer fails when the one that asked is gone.
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

  /** Options of the sockets that are guarded. */
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

  /** Other keys may be allowed now. */
  reconsider(): void {
    const held = this.#held.splice(0);
    for (const request of held) this.#decide(request);
  }

  close(): void {
    this.#socket.close();
  }

  #asked(parts: Buffer[]): void {
    const [path, delimiter, version, id, askedDomain, , , mechanism, credential] = parts;
    if (!path || !delimiter || version?.toString() !== '1.0' || !id) return;
    const reply = [path, delimiter, version, id];
    const { keys, most = mostConnections } = this.#options;
    const wanted = keys ? 'CURVE' : 'NULL';
    if (askedDomain?.toString() !== domain || mechanism?.toString() !== wanted || this.#open > most) {
      this.#answer(reply, false);
      return;
    }
    const key = keys && credential ? keyText(credential) : '';
    if (key === undefined) this.#answer(reply, false);
    else this.#decide({ reply, key });
  }

  #decide(request: Request): void {
    const { keys, patient = false } = this.#options;
    if (!keys || keys.allows(request.key)) this.#answer(request.reply, true);
    else if (!patient) this.#answer(request.reply, false);
    else this.#hold(request);
  }

  /** ZeroMQ itself ends a handshake that takes longer than `handshakeMs`. */
  #hold(request: Request): void {
    this.#held.push(request);
    const oldest = this.#held.length > mostHeld ? this.#held.shift() : undefined;
    if (oldest) this.#answer(oldest.reply, false);
    const timer = setTimeout(() => {
      const at = this.#held.indexOf(request);
      if (at < 0) return;
      this.#held.splice(at, 1);
      this.#answer(request.reply, false);
    }, handshakeMs);
    timer.unref();
  }

  #answer(reply: readonly Buffer[], allowed: boolean): void {
    if (!allowed) this.refused++;
    const [code, text] = allowed ? ['200', 'OK'] : ['400', 'not allowed'];
    this.#answers.push([...reply, code, text, '', '']);
  }
}
