/**
 * Records of workers by connection, in the order in which the workers joined. Immutable: a change returns a new table. The new table
 * shares the unchanged records with the old one, so a message of one worker does not copy the records of all others. The table counts
 * its records by state, so that a message need not visit all workers to find out whether it was the last one.
 */

import type { ConnectionId } from '../shared/transport/transport.js';
import { PersistentVector } from './persistent-vector.js';

interface Row {
  readonly connection: ConnectionId;
  readonly join: { readonly workerId: string };
  readonly lifecycle: { readonly state: string };
}

/**
 * Positions of records. All versions of a table to which records were appended share one index: a version ignores positions beyond its
 * own length. Only the newest version extends the index.
 */
interface Index {
  readonly connections: Map<ConnectionId, number>;
  readonly workerIds: Map<string, number>;
  length: number;
}

type Counts = Readonly<Partial<Record<string, number>>>;

export class WorkerTable<R extends Row> {
  readonly #index: Index;
  readonly #counts: Counts;
  readonly records: PersistentVector<R>;

  private constructor(index: Index, records: PersistentVector<R>, counts: Counts) {
    this.#index = index;
    this.records = records;
    this.#counts = counts;
  }

  static of<R extends Row>(records: readonly R[]): WorkerTable<R> {
    return new WorkerTable(indexOf(records), PersistentVector.from(records), countsOf(records));
  }

  get size(): number {
    return this.records.length;
  }

  get(connection: ConnectionId): R | undefined {
    return this.#at(this.#index.connections.get(connection));
  }

  has(connection: ConnectionId): boolean {
    return this.get(connection) !== undefined;
  }

  hasWorkerId(workerId: string): boolean {
    return this.#at(this.#index.workerIds.get(workerId)) !== undefined;
  }

  /** Number of workers in this state. */
  count(state: R['lifecycle']['state']): number {
    return this.#counts[state] ?? 0;
  }

  values(): Generator<R, void, undefined> {
    return this.records.values();
  }

  /** Adds or replaces a record. Cost: O(log size); O(size) if an older version of the table has been extended before. */
  set(record: R): WorkerTable<R> {
    const position = this.#index.connections.get(record.connection);
    const old = this.#at(position);
    if (position === undefined || old === undefined) return this.#append(record);
    const counts = moved(this.#counts, old.lifecycle.state, record.lifecycle.state);
    return new WorkerTable(this.#index, this.records.with(position, record), counts);
  }

  /** Removes a record. Cost: O(size). */
  delete(connection: ConnectionId): WorkerTable<R> {
    return WorkerTable.of([...this.values()].filter((record) => record.connection !== connection));
  }

  /** Replaces every record by one of the same connection. Cost: O(size). */
  map(change: (record: R) => R): WorkerTable<R> {
    const records = [...this.values()].map(change);
    return new WorkerTable(this.#index, PersistentVector.from(records), countsOf(records));
  }

  #at(position: number | undefined): R | undefined {
    return position === undefined || position >= this.size ? undefined : this.records.get(position);
  }

  #append(record: R): WorkerTable<R> {
    const position = this.size;
    const index = this.#index.length === position ? this.#index : indexOf([...this.values()]);
    index.connections.set(record.connection, position);
    index.workerIds.set(record.join.workerId, position);
    index.length = position + 1;
    const counts = moved(this.#counts, undefined, record.lifecycle.state);
    return new WorkerTable(index, this.records.append(record), counts);
  }
}

function indexOf(records: readonly Row[]): Index {
  return {
    connections: new Map(records.map(({ connection }, position) => [connection, position])),
    workerIds: new Map(records.map(({ join }, position) => [join.workerId, position])),
    length: records.length,
  };
}

function countsOf(records: readonly Row[]): Counts {
  const counts: Partial<Record<string, number>> = {};
  for (const { lifecycle } of records) counts[lifecycle.state] = (counts[lifecycle.state] ?? 0) + 1;
  return counts;
}

/** The counts after a record has changed from one state to another; `from` is undefined for a new record. */
function moved(counts: Counts, from: string | undefined, to: string): Counts {
  if (from === to) return counts;
  const less = from === undefined ? {} : { [from]: (counts[from] ?? 0) - 1 };
  return { ...counts, ...less, [to]: (counts[to] ?? 0) + 1 };
}
