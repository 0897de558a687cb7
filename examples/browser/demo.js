// @ts-check
/**
 * Classifies a drawn digit with a model that Lockstep trained. Requires the files that `lockstep demo` serves with this page: tfjs,
 * model/ and about.json.
 */

import { toModelInput } from './field.js';

const { tf } = /** @type {any} */ (globalThis);

/**
 * @template {Element} T
 * @param {string} id
 * @returns {T}
 */
const element = (id) => /** @type {any} */ (document.getElementById(id));
/** @type {HTMLCanvasElement} */
const pad = element('pad');
const pen = /** @type {CanvasRenderingContext2D} */ (pad.getContext('2d', { willReadFrequently: true }));
/** @type {HTMLCanvasElement} */
const shown = element('field');
const best = element('best');
const classes = element('classes');

const emptyText = 'Nothing drawn yet.';

async function start() {
  const about = await fetch('about.json').then((response) => response.json());
  const model = about.server ? remoteModel(about.server) : await localModel(about.normalize);
  shown.width = model.width;
  shown.height = model.height;
  best.textContent = emptyText;
  enableDrawing(() => {
    classify(model).catch((error) => (best.textContent = error.message));
  });
}

/**
 * @typedef {object} Model
 * @property {number} width of its input
 * @property {number} height of its input
 * @property {(field: Float32Array) => Promise<ArrayLike<number>>} probabilities takes values from 0 to 255
 */

/**
 * Opens the model in the browser.
 * @param {{ mean: number, std: number }} normalize
 * @returns {Promise<Model>}
 */
async function localModel(normalize) {
  tf.wasm.setWasmPaths('./');
  if (!(await tf.setBackend('wasm'))) await tf.setBackend('cpu');
  const model = await tf.loadLayersModel('model/model.json');
  const [, height, width, channels] = model.inputs[0].shape;
  if (channels !== 1)
    throw new Error(
      `expected a model with 1 input channel, got ${channels}. This page only supports grayscale images.`,
    );
  return {
    width,
    height,
    probabilities: async (field) =>
      tf.tidy(() => {
        const pixels = tf.tensor4d(field, [1, height, width, 1]);
        const output = model.predict(pixels.div(255).sub(normalize.mean).div(normalize.std));
        return (hasProbabilities(model) ? output : tf.softmax(output)).dataSync();
      }),
  };
}

/**
 * A model that only the server can open, because it has layers of its own.
 * @param {{ width: number, height: number }} size
 * @returns {Model}
 */
function remoteModel(size) {
  return {
    ...size,
    probabilities: async (field) => {
      const response = await fetch('classify', { method: 'POST', body: field });
      if (!response.ok) throw new Error(`expected an answer of the server, got status ${response.status}.`);
      return response.json();
    },
  };
}

/**
 * Draws strokes on the pad with any pointer and reports each change.
 * @param {() => void} changed
 */
function enableDrawing(changed) {
  pen.lineWidth = 22;
  pen.lineCap = pen.lineJoin = 'round';
  clear();
  /** @type {number | undefined} */
  let drawing;
  /** @param {PointerEvent} event */
  const at = (event) => {
    const { left, top, width, height } = pad.getBoundingClientRect();
    return [((event.clientX - left) * pad.width) / width, ((event.clientY - top) * pad.height) / height];
  };
  pad.addEventListener('pointerdown', (event) => {
    if (drawing !== undefined) return;
    drawing = event.pointerId;
    pad.setPointerCapture(event.pointerId);
    const [x = 0, y = 0] = at(event);
    pen.beginPath();
    pen.moveTo(x, y);
    // A tap without movement draws a dot.
    pen.lineTo(x, y + 0.01);
    pen.stroke();
  });
  pad.addEventListener('pointermove', (event) => {
    if (event.pointerId !== drawing) return;
    for (const moved of event.getCoalescedEvents?.() ?? [event]) {
      const [x = 0, y = 0] = at(moved);
      pen.lineTo(x, y);
    }
    pen.stroke();
    changed();
  });
  const end = (/** @type {PointerEvent} */ event) => {
    if (event.pointerId !== drawing) return;
    drawing = undefined;
    changed();
  };
  pad.addEventListener('pointerup', end);
  pad.addEventListener('pointercancel', end);
  element('clear').addEventListener('click', () => {
    clear();
    changed();
  });
}

function clear() {
  pen.fillStyle = '#fff';
  pen.fillRect(0, 0, pad.width, pad.height);
}

/** The number of classifications that were started; the answer of an earlier one is dropped. */
let started = 0;

/** @param {Model} model */
async function classify(model) {
  const number = ++started;
  const { data } = pen.getImageData(0, 0, pad.width, pad.height);
  const ink = Float32Array.from({ length: pad.width * pad.height }, (_, i) => 255 - (data[i * 4] ?? 255));
  const field = toModelInput({ ink, width: pad.width, height: pad.height }, model);
  showInput(field, model);
  if (!field) {
    best.textContent = emptyText;
    classes.replaceChildren();
    return;
  }
  const shares = Array.from(await model.probabilities(field));
  if (number !== started) return;
  const winner = shares.indexOf(Math.max(...shares));
  best.innerHTML = `<b>${winner}</b> with ${percent(shares[winner] ?? 0)}`;
  classes.replaceChildren(
    ...shares.map((share, label) => {
      const row = document.createElement('li');
      const bar = document.createElement('progress');
      bar.value = share;
      bar.ariaLabel = `${label}`;
      row.append(text(`${label}`), bar, text(percent(share)));
      return row;
    }),
  );
}

/**
 * @param {Float32Array | undefined} field
 * @param {{ width: number, height: number }} size
 */
function showInput(field, { width, height }) {
  const context = /** @type {CanvasRenderingContext2D} */ (shown.getContext('2d'));
  const image = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    const level = field?.[i] ?? 0;
    image.data.set([level, level, level, 255], i * 4);
  }
  context.putImageData(image, 0, 0);
}

/** @param {string} content */
function text(content) {
  const span = document.createElement('span');
  span.textContent = content;
  return span;
}

/** @param {number} share */
function percent(share) {
  return `${(share * 100).toFixed(1)} %`;
}

start().catch((error) => {
  best.textContent = `The model cannot be loaded: ${error.message}`;
});

/**
 * True if the model ends with a softmax; otherwise its output is logits.
 * @param {{ layers: any[] }} model
 */
function hasProbabilities({ layers }) {
  const last = layers[layers.length - 1];
  return last.getClassName() === 'Softmax' || last.getConfig().activation === 'softmax';
}
