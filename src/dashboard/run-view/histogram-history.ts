/** The recorded histograms of a run in bounded memory: when a tensor has too many, every second one is dropped. */

import type { EventOf, TensorHistograms } from './run-update.js';

const maxEntries = 24;
const maxTensors = 2_048;

interface Held extends TensorHistograms {
  entries: TensorHistograms['entries'][number][];
  /** One in so many recorded histograms is kept, beside the last one. */
  stride: number;
  recorded: number;
}

export class HistogramHistory {
  readonly #tensors = new Map<string, Held>();

  note({ step, histograms }: EventOf<'histograms'>): void {
    for (const { kind, name, histogram } of histograms) {
      const key = `${kind}/${name}`;
      let held = this.#tensors.get(key);
      if (!held) {
        if (this.#tensors.size >= maxTensors) continue;
        this.#tensors.set(key, (held = { kind, name, entries: [], stride: 1, recorded: 0 }));
      }
      // The last entry stays until the next one comes, so that the newest histogram is always there.
      const isExtra = held.recorded > 0 && (held.recorded - 1) % held.stride !== 0;
      if (isExtra) held.entries.pop();
      held.entries.push({ step, histogram });
      held.recorded++;
      if (held.entries.length > maxEntries) {
        held.entries = held.entries.filter((_, i) => i % 2 === 0);
        held.stride *= 2;
      }
    }
  }

  /** Removes histograms after a step, to which the run went back. */
  truncate(step: number): void {
    for (const held of this.#tensors.values()) {
      const entries = held.entries.filter((entry) => entry.step <= step);
      if (entries.length === held.entries.length) continue;
      held.entries = entries;
      // Without the last entry all are `stride` apart, and the next one must not replace any of them.
      held.recorded = Math.max(0, (entries.length - 1) * held.stride + 1);
    }
  }

  /** Names of the tensors with their kinds, e.g. `weights/dense/kernel`, in the order of the model. */
  get names(): string[] {
    return [...this.#tensors.keys()];
  }

  of(name: string): TensorHistograms | undefined {
    const held = this.#tensors.get(name);
    return held && { kind: held.kind, name: held.name, entries: held.entries };
  }
}
