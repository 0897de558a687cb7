/**
 * Records of workers by connection, in the order in which the workers joined. Immutable: a change returns a new table. The new table
 * shares the unchanged records with the old one, so a message of one worker does not copy the records of all others.
 */

import type { ConnectionId } from '../shared/transport/transport.js';
import { PersistentVector } from './persistent-vector.js';

export class WorkerTable<R extends { readonly connection: ConnectionId }> {
  readonly #positions: ReadonlyMap<ConnectionId, number>;
  readonly records: PersistentVector<R>;

  private constructor(positions: ReadonlyMap<ConnectionId, number>, records: PersistentVector<R>) {
    this.#positions = positions;
    this.records = records;
  }

  static of<R extends { readonly connection: ConnectionId }>(records: readonly R[]): WorkerTable<R> {
    const positions = new Map(records.map(({ connection }, position) => [connection, position]));
    return new WorkerTable(positions, PersistentVector.from(records));
  }

  get size(): number {
    return this.records.length;
  }

  get(connection: ConnectionId): R | undefined {
    const position = this.#positions.get(connection);
    return position === undefined ? undefined : this.records.get(position);
  }

  has(connection: ConnectionId): boolean {
    return this.#positions.has(connection);
  }

  values(): Generator<R, void, undefined> {
    return this.records.values();
  }

  /** Adds or replaces a record. Cost: O(log size) to replace, O(size) to add. */
  set(record: R): WorkerTable<R> {
    const position = this.#positions.get(record.connection);
    if (position === undefined) return WorkerTable.of([...this.values(), record]);
    return new WorkerTable(this.#positions, this.records.with(position, record));
  }

  /** Removes a record. Cost: O(size). */
  delete(connection: ConnectionId): WorkerTable<R> {
    return WorkerTable.of([...this.values()].filter((record) => record.connection !== connection));
  }

  /** Replaces every record by one of the same connection. Cost: O(size). */
  map(change: (record: R) => R): WorkerTable<R> {
    return new WorkerTable(this.#positions, PersistentVector.from([...this.values()].map(change)));
  }
}
