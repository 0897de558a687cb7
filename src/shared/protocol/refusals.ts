/**
 * Why bytes from the network are refused, each reason by a name of its own, and how often that happened. Every refusal is
 * counted; the first of each kind is worth a line in the log, and no more.
 */

import { ProtocolError, type OperationalError } from '../errors.js';

export type RefusalKind =
  // Of any message.
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

/** A ProtocolError of this kind. `message` says what was refused, what was expected and what came. */
export function refusal(kind: RefusalKind, message: string, cause?: unknown): ProtocolError {
  return new ProtocolError(message, { kind }, cause);
}

/** The name under which an error is counted. */
export const kindOf = (error: OperationalError): string =>
  typeof error.fields['kind'] === 'string' ? error.fields['kind'] : error.code;

/** Counts by kind; bounded, because the kinds are. */
export class Refusals {
  readonly #counts = new Map<string, number>();

  /** How many of its kind there have been, this one included. */
  note(error: OperationalError): number {
    const kind = kindOf(error);
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    return count;
  }

  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** For the end of a run; undefined when all that was refused has been said already. */
  summary(): string | undefined {
    const counts = [...this.#counts].filter(([, count]) => count > 1);
    if (counts.length === 0) return undefined;
    return `Refused in all: ${[...this.#counts].map(([kind, count]) => `${kind} ${count}`).join(', ')}.`;
  }
}
