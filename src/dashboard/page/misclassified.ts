/** Pictures that the last evaluation got wrong, surest first. */

import type { ShownMisclassified } from '../run-view/run-view.js';
import { byId, h, setText } from './dom.js';
import { integer } from './format.js';

export class MistakeGrid {
  #shown: ShownMisclassified | null = null;

  show(misclassified: ShownMisclassified | null): void {
    if (misclassified === this.#shown) return;
    this.#shown = misclassified;
    byId('misclassified-section').hidden = misclassified === null || misclassified.samples.length === 0;
    if (!misclassified) return;
    const { step, samples, picture } = misclassified;
    const which = samples.length === 1 ? 'One answer' : `${integer(samples.length)} answers`;
    setText(
      byId('misclassified-text'),
      `${which} on the test set after step ${integer(step)} that are wrong, those first that it was surest of.`,
    );
    const items = samples.map(({ index, label, predicted, confidence, pixels }) => {
      const words = h('div', {}, h('strong', {}, String(label)), ` read as ${predicted}`);
      const more = h('div', { class: 'faint' }, `${Math.round(confidence * 100)} % sure, #${index}`);
      return pixels !== null && picture
        ? h('li', {}, draw(pixels, picture, `Picture ${index}, a ${label}`), words, more)
        : h('li', {}, words, more);
    });
    byId('misclassified').replaceChildren(...items);
  }
}

function draw(
  base64: string,
  { width, height, channels }: NonNullable<ShownMisclassified['picture']>,
  label: string,
): HTMLElement {
  const canvas = h('canvas', { role: 'img', 'aria-label': label });
  [canvas.width, canvas.height] = [width, height];
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = bytes[i * channels + (channels === 3 ? c : 0)] ?? 0;
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext('2d')?.putImageData(image, 0, 0);
  return canvas;
}
