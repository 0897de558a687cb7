/** The legend of a chart: a button per line, which hides or shows the line, and the line's value. */

import { colour, h, setText, svg } from '../dom.js';
import { dashes, type Line } from './line.js';

export class Legend {
  readonly element = h('ul', { class: 'legend' });
  readonly #toggled: (key: string) => void;
  #values: HTMLElement[] = [];

  /** @param toggled called with the key of a line whose button was pressed */
  constructor(toggled: (key: string) => void) {
    this.#toggled = toggled;
  }

  /** @param filled true if the chart draws areas */
  show(lines: readonly Line[], isHidden: (key: string) => boolean, filled: boolean): void {
    const focused = [...this.element.querySelectorAll('button')].findIndex(
      (button) => button === document.activeElement,
    );
    this.#values = lines.map(() => h('span', { class: 'value' }));
    const items = lines.map((line, i) => {
      const button = h(
        'button',
        { type: 'button', class: 'line', 'aria-pressed': String(!isHidden(line.key)) },
        swatch(line, filled),
        h('span', {}, line.name),
      );
      button.addEventListener('click', () => this.#toggled(line.key));
      return h('li', {}, button, this.#values[i] ?? '');
    });
    this.element.replaceChildren(...items);
    [...this.element.querySelectorAll('button')][focused]?.focus();
  }

  /** @param texts the values of the lines, in their order; empty for a hidden line */
  setValues(texts: readonly string[]): void {
    texts.forEach((text, i) => {
      const element = this.#values[i];
      if (element) setText(element, text);
    });
  }
}

/** A piece of the line, with its colour and pattern. */
function swatch({ colour: paint, pattern, dots = false }: Line, filled: boolean): SVGElement {
  const stroke = colour(paint);
  const shape = filled
    ? svg('rect', { x: 0, y: 1, width: 26, height: 8, fill: stroke })
    : svg('line', {
        x1: 0,
        y1: 5,
        x2: 26,
        y2: 5,
        stroke,
        'stroke-width': 2,
        'stroke-dasharray': dashes[pattern].join(' '),
      });
  const dot = dots && !filled ? [svg('circle', { cx: 13, cy: 5, r: 3.5, fill: stroke })] : [];
  return svg(
    'svg',
    { viewBox: '0 0 26 10', width: 26, height: 10, class: 'swatch', 'aria-hidden': 'true' },
    shape,
    ...dot,
  );
}
