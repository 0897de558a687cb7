/**
 * Why a worker does not reach its coordinator: an error for each cause that waiting cannot remove, and a sentence for each cause that
 * it can. docs/errors.md lists them.
 */

import { ConfigError } from '../../errors.js';
import { probe, type Answer } from '../../network/probe.js';
import type { ClientKeys } from '../../security/curve-key.js';

/**
 * A coordinator that ends during a handshake looks like one that cannot read this worker's greeting, so a verdict needs several failed
 * handshakes in a row.
 */
const failuresForVerdict = 3;

export const refusedKey = ({ own }: ClientKeys): ConfigError =>
  new ConfigError(
    `The coordinator refused this worker: it does not allow the key ${own.publicKey}. ` +
      "Put that key's .pub file into the coordinator's folder of authorized keys.",
  );

export const refusedStatus = (status: number): ConfigError =>
  new ConfigError(
    `The coordinator refused this worker: it answered the handshake with status ${status}. ` +
      'Run the same version of Lockstep everywhere.',
  );

export const otherMechanism = (keys: ClientKeys | null): ConfigError =>
  new ConfigError(
    keys
      ? 'The coordinator refused this worker: it uses no CURVE keys, and this worker does. Start it with --keys too.'
      : 'The coordinator refused this worker: it requires CURVE keys. Give --keys DIR, made by `lockstep keygen`.',
  );

const otherCoordinator = (endpoint: string, { serverKey }: ClientKeys): ConfigError =>
  new ConfigError(
    `Coordinator at ${endpoint}: expected the owner of the key ${serverKey} (coordinator.pub), got a process with another key. ` +
      "Copy coordinator.pub from the coordinator's folder of keys again, or correct the address.",
    { endpoint },
  );

const stranger = (endpoint: string, text: string): ConfigError => {
  const answer = text === '' ? 'which closed the connection' : `which answered "${text}"`;
  return new ConfigError(
    `Coordinator at ${endpoint}: expected a coordinator of Lockstep, got another program, ${answer}. ` +
      'Correct the host and the port of --coordinator (LOCKSTEP_COORDINATOR).',
    { endpoint },
  );
};

/** A program that speaks ZeroMQ, but not as a coordinator does. */
export const otherProgram = (endpoint: string): ConfigError =>
  stranger(endpoint, 'a ZeroMQ handshake of another kind');

export class ControlTrouble {
  readonly #endpoint: string;
  readonly #keys: ClientKeys | null;
  #failures = 0;
  /** The last cause of the same kind that was found, and how often in a row. */
  #suspicion: { readonly kind: string; readonly count: number } = { kind: '', count: 0 };

  constructor(endpoint: string, keys: ClientKeys | null) {
    this.#endpoint = endpoint;
    this.#keys = keys;
  }

  /** A handshake has succeeded. */
  clear(): void {
    this.#failures = 0;
    this.#suspicion = { kind: '', count: 0 };
  }

  /**
   * A connection to `target` was established and ended without a handshake.
   * @param timedOut true if the other end did not answer in time: a busy coordinator's ZeroMQ answers a probe, but decides no handshake
   * @returns the error, if waiting cannot help
   */
  async handshakeFailed(target: string, timedOut: boolean): Promise<ConfigError | undefined> {
    this.#failures++;
    if (timedOut) return undefined;
    const answer = await probe(target);
    const error = this.#errorOf(answer);
    const { kind, count } = this.#suspicion;
    this.#suspicion = { kind: answer.kind, count: answer.kind === kind ? count + 1 : 1 };
    // Bytes that are not ZeroMQ's leave no doubt.
    const certain = answer.kind === 'stranger' && answer.text !== '';
    return certain || this.#suspicion.count >= failuresForVerdict ? error : undefined;
  }

  /** Describes what is at `target`, for a person. */
  async describe(target: string): Promise<string> {
    const answer = await probe(target);
    switch (answer.kind) {
      case 'unreachable':
        return reasonOf(answer.code);
      case 'closed-at-once':
        return 'something closes every connection at once: a proxy or a tunnel without a coordinator behind it';
      case 'silent':
        return 'something accepts connections and does not answer: a coordinator that is stopped or busy, or another program';
      case 'stranger':
        return 'another program answers there';
      case 'zeromq':
        return this.#failures > 0
          ? `a ZeroMQ program answers (${answer.mechanism}), but the handshake fails`
          : 'a ZeroMQ program answers there';
    }
  }

  #errorOf(answer: Answer): ConfigError | undefined {
    if (answer.kind === 'stranger') return stranger(this.#endpoint, answer.text);
    if (answer.kind !== 'zeromq') return undefined;
    if (answer.mechanism !== (this.#keys ? 'CURVE' : 'NULL')) return undefined;
    return this.#keys ? otherCoordinator(this.#endpoint, this.#keys) : otherProgram(this.#endpoint);
  }
}

/** The causes that people meet, in words. */
export function reasonOf(code: string): string {
  const words: Readonly<Record<string, string>> = {
    ECONNREFUSED: 'nothing listens there',
    ENOENT: 'nothing listens there',
    ETIMEDOUT: 'no answer; a firewall may drop the packets',
    EHOSTUNREACH: 'the host cannot be reached',
    ENETUNREACH: 'no route leads to that network',
    ENOTFOUND: 'the name is unknown',
    EAI_AGAIN: 'the name server does not answer',
  };
  const text = words[code];
  return text === undefined ? code : `${text} (${code})`;
}
