// @ts-check
/**
 * Converts a drawing to the input of a model trained on MNIST: the bounding box is scaled to 20 of the image's 28 pixels, the center of
 * mass is moved to the middle, and the strongest pixel is set to full intensity. `lockstep predict` converts image files in the same
 * way (src/worker/predict).
 */

/** MNIST's digits occupy 20 of the image's 28 pixels. */
const INNER = 20 / 28;
/** Ink below this level, of 255, does not extend the bounding box. */
const FAINT = 32;

/**
 * @typedef {{ readonly ink: Float32Array, readonly width: number, readonly height: number }} Plane 0 is no ink, 255 is full
 */

/**
 * @param {Plane} drawing
 * @param {{ width: number, height: number }} size
 * @returns {Float32Array | undefined} one value from 0 to 255 per pixel, row by row; undefined for an empty drawing
 */
export function toModelInput(drawing, size) {
  const box = boundingBox(drawing);
  if (!box) return undefined;
  const scale = INNER * Math.min(size.height / box.height, size.width / box.width);
  const glyph = shrink(
    drawing,
    box,
    Math.max(1, Math.round(box.width * scale)),
    Math.max(1, Math.round(box.height * scale)),
  );
  const centre = centreOfMass(glyph);
  const top = clamp(Math.round(Math.floor(size.height / 2) - centre.row), 0, size.height - glyph.height);
  const left = clamp(Math.round(Math.floor(size.width / 2) - centre.column), 0, size.width - glyph.width);
  const field = new Float32Array(size.width * size.height);
  for (let row = 0; row < glyph.height; row++)
    field.set(
      glyph.ink.subarray(row * glyph.width, (row + 1) * glyph.width),
      (top + row) * size.width + left,
    );
  return field;
}

/** @param {Plane} plane */
function boundingBox({ ink, width, height }) {
  let [top, bottom, left, right] = [height, -1, width, -1];
  for (let row = 0; row < height; row++)
    for (let column = 0; column < width; column++) {
      if ((ink[row * width + column] ?? 0) < FAINT) continue;
      top = Math.min(top, row);
      bottom = row;
      left = Math.min(left, column);
      right = Math.max(right, column);
    }
  return bottom < 0 ? undefined : { top, left, height: bottom - top + 1, width: right - left + 1 };
}

/**
 * Scales the box down: each output pixel is the mean ink of the area that it covers.
 * @param {Plane} plane
 * @param {{ top: number, left: number, width: number, height: number }} box
 * @param {number} width
 * @param {number} height
 * @returns {Plane}
 */
function shrink(plane, box, width, height) {
  const ink = new Float32Array(width * height);
  let strongest = 1;
  for (let row = 0; row < height; row++)
    for (let column = 0; column < width; column++) {
      const rows = parts((row * box.height) / height, ((row + 1) * box.height) / height);
      const columns = parts((column * box.width) / width, ((column + 1) * box.width) / width);
      let sum = 0;
      let area = 0;
      for (const [r, tall] of rows)
        for (const [c, wide] of columns) {
          sum += (plane.ink[(box.top + r) * plane.width + box.left + c] ?? 0) * tall * wide;
          area += tall * wide;
        }
      const level = sum / area;
      ink[row * width + column] = level;
      strongest = Math.max(strongest, level);
    }
  // Scaling down makes thin strokes faint, so the strongest pixel is set to full ink again.
  return { ink: ink.map((level) => Math.round((level * 255) / strongest)), width, height };
}

/**
 * Returns the integer cells between `start` and `end` with the fraction of each cell that lies in this range.
 * @param {number} start
 * @param {number} end
 */
function parts(start, end) {
  /** @type {[number, number][]} */
  const found = [];
  for (let at = Math.floor(start); at < Math.ceil(end); at++) {
    const covered = Math.min(end, at + 1) - Math.max(start, at);
    if (covered > 0) found.push([at, covered]);
  }
  return found;
}

/** @param {Plane} plane */
function centreOfMass({ ink, width, height }) {
  let [mass, rows, columns] = [0, 0, 0];
  for (let row = 0; row < height; row++)
    for (let column = 0; column < width; column++) {
      const level = ink[row * width + column] ?? 0;
      mass += level;
      rows += level * row;
      columns += level * column;
    }
  return { row: rows / mass, column: columns / mass };
}

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
function clamp(value, low, high) {
  return Math.max(low, Math.min(high, value));
}
