/** The runs that are compared with the displayed one. */

import type { Address } from '../address.js';
import type { RunData } from '../run-data.js';
import { fetchRun } from './fetch.js';

export class Selection {
  readonly #address: Address;
  readonly #changed: () => void;
  /** Loaded runs, which stay here when they are deselected. */
  readonly #loaded = new Map<string, RunData>();

  /** @param changed called when other runs are compared */
  constructor(address: Address, changed: () => void) {
    this.#address = address;
    this.#changed = changed;
  }

  /** Selected runs that are loaded, in the order of their selection. */
  get compared(): RunData[] {
    return this.#address.settings.compare.flatMap((name) => this.#loaded.get(name) ?? []);
  }

  /** Loads the selected runs. A run that does not exist any more is deselected. */
  async load(): Promise<void> {
    for (const name of this.#address.settings.compare) {
      if (this.#loaded.has(name)) continue;
      await fetchRun(name).then(
        (run) => this.#loaded.set(name, run),
        () => this.#set(name, false),
      );
    }
    this.#changed();
  }

  async select(name: string, wanted: boolean): Promise<void> {
    this.#set(name, wanted);
    await this.load();
  }

  #set(name: string, wanted: boolean): void {
    const others = this.#address.settings.compare.filter((other) => other !== name);
    this.#address.change({ compare: wanted ? [...others, name] : others });
  }
}
