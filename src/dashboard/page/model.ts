/** The model's layers in order of computation. */

import { byId, h, setText, tableRows } from './dom.js';
import { integer } from './format.js';
import type { RunData } from './run-data.js';

export class ModelTable {
  #shown: RunData['layers'] = null;

  show({ layers }: RunData): void {
    if (layers === this.#shown) return;
    this.#shown = layers;
    byId('model-section').hidden = layers === null;
    if (!layers) return;
    const parameters = layers.reduce((sum, layer) => sum + layer.parameters, 0);
    const count = layers.length === 1 ? '1 layer' : `${integer(layers.length)} layers`;
    setText(byId('model-text'), `${count} with ${integer(parameters)} parameters.`);
    const rows = layers.map(({ name, kind, inputs, shape, parameters: own }) => [
      name,
      kind,
      inputs.join(', ') || '–',
      shape.map((size) => (size === null ? 'batch' : String(size))).join(' × '),
      integer(own),
    ]);
    byId('model').replaceChildren(
      h('caption', { class: 'unseen' }, 'Layers of the model'),
      ...tableRows(['-Layer', '-Kind', '-Inputs', '-Output', 'Parameters'], rows),
    );
  }
}
