/** A run's data in the page, assembled from the server's updates. */

import type { RunHistory, RunState, RunUpdate, ShownMisclassified } from '../run-view/run-view.js';
import type { SeriesPart } from '../run-view/series.js';

export class Points {
  x: number[] = [];
  readonly #columns = new Map<string, (number | null)[]>();

  column(name: string): (number | null)[] {
    return this.#columns.get(name) ?? [];
  }

  apply({ from, x, columns }: SeriesPart): void {
    this.x.splice(from, this.x.length, ...x);
    for (const [name, values] of Object.entries(columns)) {
      const held = this.#columns.get(name);
      if (held) held.splice(from, held.length, ...values);
      else this.#columns.set(name, [...values]);
    }
  }
}

export class RunData {
  readonly name: string;
  readonly steps = new Points();
  readonly parts = new Points();
  state: RunState | null = null;
  misclassified: ShownMisclassified | null = null;
  history: RunHistory = { evaluations: [], happenings: [], lives: [] };

  constructor(name: string) {
    this.name = name;
  }

  apply({ state, history, misclassified, steps, parts }: RunUpdate): void {
    if (state) this.state = state;
    if (history) this.history = history;
    if (misclassified) this.misclassified = misclassified;
    if (steps) this.steps.apply(steps);
    if (parts) this.parts.apply(parts);
  }
}
