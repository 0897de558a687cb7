/** Series of values by name over the steps, such as the values that callbacks log, in bounded memory. */

import type { CursorsByName, NamedParts } from './run-update.js';
import { Series } from './series.js';

/** Number of names that are kept; more charts cannot be drawn fluently. */
const maxNames = 48;
const capacity = 2_048;

export class NamedSeries {
  readonly #series = new Map<string, Series<'value' | 'seconds'>>();
  readonly #omitted = new Set<string>();
  #count = 0;

  /** Number of noted values, as a version. */
  get count(): number {
    return this.#count;
  }

  /** A second value for a step replaces the first one. */
  note(step: number, values: Readonly<Record<string, number>>, seconds: number): void {
    for (const [name, value] of Object.entries(values)) {
      let series = this.#series.get(name);
      if (!series && this.#series.size >= maxNames) {
        this.#omitted.add(name);
        continue;
      }
      if (!series) {
        series = new Series<'value' | 'seconds'>({ value: 'mean', seconds: 'last' }, capacity);
        this.#series.set(name, series);
      }
      series.insert(step, { value, seconds });
      this.#count++;
    }
  }

  /** Removes values after a step, to which the run went back. */
  truncate(step: number): void {
    for (const series of this.#series.values()) series.truncate(step);
    this.#count++;
  }

  since(cursor: CursorsByName = {}): NamedParts {
    return {
      parts: [...this.#series].map(([name, series]) => ({ name, part: series.since(cursor[name]) })),
      omitted: this.#omitted.size,
    };
  }

  get cursor(): CursorsByName {
    return Object.fromEntries([...this.#series].map(([name, series]) => [name, series.cursor]));
  }
}
