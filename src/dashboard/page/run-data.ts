/** A run's data in the page, assembled from the server's updates. */

import type {
  NamedParts,
  RunHistory,
  RunState,
  RunUpdate,
  ShownConfusion,
  ShownMisclassified,
} from '../run-view/run-update.js';
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
  /** The use of CPU and memory, by rank. */
  readonly usage = new Map<number, Points>();
  /** Metrics of the batches of training, by name. */
  readonly batchMetrics = new Map<string, Points>();
  /** The values that callbacks logged, by name. */
  readonly scalars = new Map<string, Points>();
  /** Number of names of such values that the server does not keep. */
  omittedScalars = 0;
  layers: RunUpdate['layers'] = null;
  misclassified: ShownMisclassified | null = null;
  confusion: ShownConfusion | null = null;
  history: RunHistory = { evaluations: [], happenings: [], lives: [] };

  constructor(name: string) {
    this.name = name;
  }

  apply(update: RunUpdate): void {
    const { state, history, misclassified, confusion, steps, parts, usage, layers } = update;
    if (state) this.state = state;
    if (history) this.history = history;
    if (misclassified) this.misclassified = misclassified;
    if (confusion) this.confusion = confusion;
    if (steps) this.steps.apply(steps);
    if (parts) this.parts.apply(parts);
    for (const { rank, part } of usage ?? []) {
      const points = this.usage.get(rank) ?? new Points();
      points.apply(part);
      this.usage.set(rank, points);
    }
    if (layers) this.layers = layers;
    if (update.batchMetrics) applyNamed(this.batchMetrics, update.batchMetrics);
    if (!update.scalars) return;
    applyNamed(this.scalars, update.scalars);
    this.omittedScalars = update.scalars.omitted;
  }
}

function applyNamed(held: Map<string, Points>, { parts }: NamedParts): void {
  for (const { name, part } of parts) {
    const points = held.get(name) ?? new Points();
    points.apply(part);
    held.set(name, points);
  }
}
