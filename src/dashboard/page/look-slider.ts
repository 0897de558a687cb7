/** The slider that selects a point of the displayed run, and with it a position in all charts. */

import type { XAxis } from './chart/plot-options.js';
import { byId, setText } from './dom.js';

export class LookSlider {
  readonly #input = byId<HTMLInputElement>('look');
  readonly #changed: (x: number | null) => void;
  #axis: XAxis | undefined;
  #positions: readonly number[] = [];
  /** The selected position; null for the latest one. */
  #selected: number | null = null;

  /** @param changed called with the selected position; null for the latest one */
  constructor(changed: (x: number | null) => void) {
    this.#changed = changed;
    this.#input.addEventListener('input', () => {
      const index = Number(this.#input.value);
      this.#selected = index >= this.#positions.length - 1 ? null : (this.#positions[index] ?? null);
      this.#changed(this.#selected);
      this.#say();
    });
  }

  /** @param positions of the displayed run's points */
  show(axis: XAxis, positions: readonly number[]): void {
    if (axis !== this.#axis) {
      this.#axis = axis;
      this.#selected = null;
      this.#changed(null);
    }
    this.#positions = positions;
    const last = Math.max(0, positions.length - 1);
    this.#input.max = String(last);
    // Points can be merged or dropped, after which a position has another index.
    const index = this.#selected === null ? last : positions.findLastIndex((x) => x <= (this.#selected ?? 0));
    this.#input.value = String(Math.max(0, index));
    this.#say();
  }

  #say(): void {
    const { label = 'Step', format = String } = this.#axis ?? {};
    const what = label.toLowerCase();
    const shown = format(this.#selected ?? this.#positions.at(-1) ?? 0);
    setText(byId('look-label'), label);
    setText(byId('look-text'), this.#selected === null ? 'latest' : shown);
    this.#input.setAttribute(
      'aria-valuetext',
      this.#selected === null ? `latest ${what}, ${shown}` : `${what} ${shown}`,
    );
  }
}
