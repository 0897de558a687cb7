/**
 * The kinds of refusals of bytes from the network, and their counts. Every refusal is counted; only the first one of each kind is
 * logged.
 */

import { ProtocolError, type OperationalError } from '../errors.js';

export type RefusalKind =
  // Any connection.
  | 'busy'
  // Any message.
  | 'too-long'
  // Control messages.
  | 'malformed'
  | 'bad-field'
  | 'unexpected'
  // Data frames, in the order of the checks.
  | 'short'
  | 'magic'
  | 'version'
  | 'header'
  | 'length'
  | 'other-run'
  | 'stale-generation'
  | 'sender'
  | 'checksum'
  | 'collective'
  | 'sequence'
  | 'repeated'
  | 'payload';

/** Returns a ProtocolError of this kind. `message` contains what was refused, what was expected and what was received. */
export function refusal(kind: RefusalKind, message: string, cause?: unknown): ProtocolError {
  return new ProtocolError(message, { kind }, cause);
}

/** The kind under which an error is counted. */
export const kindOf = (error: OperationalError): string =>
  typeof error.fields['kind'] === 'string' ? error.fields['kind'] : error.code;

/** Counts by kind. The size is bounded because the number of kinds is. */
export class Refusals {
  readonly #counts = new Map<string, number>();

  /** Counts a refusal and returns the number of its kind, including this one. */
  note(error: OperationalError): number {
    const kind = kindOf(error);
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    return count;
  }

  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** The summary at the end of a run; undefined if every refusal has been logged already. */
  summary(): string | undefined {
    const counts = [...this.#counts].filter(([, count]) => count > 1);
    if (counts.length === 0) return undefined;
    return `Refused messages in total: ${[...this.#counts].map(([kind, count]) => `${kind} ${count}`).join(', ')}.`;
  }
}
