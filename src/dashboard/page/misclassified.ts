/** Misclassified examples of the last evaluation, those with the highest confidence first. */

import type { ShownMisclassified } from '../run-view/run-update.js';
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
    const which =
      samples.length === 1
        ? 'One misclassified example'
        : `${integer(samples.length)} misclassified examples`;
    setText(
      byId('misclassified-text'),
      `${which} of the test set after step ${integer(step)}, those with the highest confidence first.`,
    );
    const items = samples.map(({ index, label, predicted, confidence, pixels }) => {
      const words = h('div', {}, h('strong', {}, String(label)), ` classified as ${predicted}`);
      const more = h('div', { class: 'faint' }, `${Math.round(confidence * 100)} % confident, #${index}`);
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
