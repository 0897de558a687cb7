/** The use of CPU and memory by the workers over the steps, for the first ranks of a large run. */

import type { EventOf, RankUsage, RunCursor } from './run-update.js';
import { Series } from './series.js';

/** Number of ranks that are kept; a chart has no colours for more. */
const maxRanks = 8;
const capacity = 512;

type Column = 'cores' | 'memoryBytes' | 'seconds';

export class UsageHistory {
  readonly #ranks = new Map<number, Series<Column>>();
  #count = 0;

  /** Number of status events with measurements. */
  get count(): number {
    return this.#count;
  }

  note({ step, workers }: EventOf<'status'>, seconds: number): void {
    let isMeasured = false;
    for (const { rank, usage } of workers) {
      if (rank === null || rank >= maxRanks || usage?.cores === undefined || usage.cores === null) continue;
      let series = this.#ranks.get(rank);
      if (!series) {
        series = new Series<Column>({ cores: 'mean', memoryBytes: 'max', seconds: 'last' }, capacity);
        this.#ranks.set(rank, series);
      }
      series.append(step, { cores: usage.cores, memoryBytes: usage.memoryBytes, seconds });
      isMeasured = true;
    }
    if (isMeasured) this.#count++;
  }

  truncate(step: number): void {
    for (const series of this.#ranks.values()) series.truncate(step);
  }

  since(cursor: RunCursor['usage'] = {}): RankUsage[] {
    return [...this.#ranks]
      .sort(([a], [b]) => a - b)
      .map(([rank, series]) => ({ rank, part: series.since(cursor[rank]) }));
  }

  get cursor(): RunCursor['usage'] {
    return Object.fromEntries([...this.#ranks].map(([rank, series]) => [rank, series.cursor]));
  }
}
