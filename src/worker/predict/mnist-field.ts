/**
 * Lays ink out in a network's input field like MNIST: bounding box, scale, centre of mass. Does not decide what is ink.
 */
import { loadSharp } from '../../api/data/load-sharp.js';

export interface FieldSize {
  readonly height: number;
  readonly width: number;
}

/** One byte per pixel, row by row. */
export interface Plane extends FieldSize {
  readonly pixels: Uint8Array;
}

/** MNIST's digits fit 20 of the field's 28 pixels. */
const INNER = 20 / 28;
/** Fainter ink (of 255) does not widen the bounding box: JPEG's artefacts around a stroke are below it. */
const FAINT = 32;

/**
 * Returns a field of `size` with the ink of `plane` in its middle. The strongest pixel of `plane` must be 255. All ink stays in
 * the field: if the centre of mass would move it over an edge, it stops at the edge.
 */
export async function layOut(plane: Plane, size: FieldSize): Promise<Uint8Array> {
  const { height, width } = size;
  const glyph = await scaleToFit(plane, size);
  const centre = centreOfMass(glyph);
  // MNIST's own images have their centre of mass at pixel 14 of 0..27, to half a pixel.
  const top = clamp(Math.round(Math.floor(height / 2) - centre.row), 0, height - glyph.height);
  const left = clamp(Math.round(Math.floor(width / 2) - centre.column), 0, width - glyph.width);
  const field = new Uint8Array(height * width);
  for (let row = 0; row < glyph.height; row++) {
    const line = glyph.pixels.subarray(row * glyph.width, (row + 1) * glyph.width);
    field.set(line, (top + row) * width + left);
  }
  return field;
}

/** Returns the bounding box of the ink, resized to fit the inner part of the field and stretched to full contrast. */
async function scaleToFit(plane: Plane, size: FieldSize): Promise<Plane> {
  const box = boundingBox(plane);
  const scale = INNER * Math.min(size.height / box.height, size.width / box.width);
  const height = Math.max(1, Math.round(box.height * scale));
  const width = Math.max(1, Math.round(box.width * scale));
  const sharp = await loadSharp('Pictures of digits');
  const resized = await sharp(plane.pixels, {
    raw: { height: plane.height, width: plane.width, channels: 1 },
  })
    .extract(box)
    .resize(width, height, { fit: 'fill' })
    .toColourspace('b-w')
    .raw()
    .toBuffer();
  // A thin stroke fades when a large picture shrinks; its strongest pixel is full ink again.
  const strongest = resized.reduce((most, level) => Math.max(most, level), 1);
  return {
    pixels: Uint8Array.from(resized, (level) => Math.round((level * 255) / strongest)),
    height,
    width,
  };
}

function boundingBox({ pixels, height, width }: Plane): FieldSize & { top: number; left: number } {
  let [top, bottom, left, right] = [height, 0, width, 0];
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      if ((pixels[row * width + column] ?? 0) < FAINT) continue;
      top = Math.min(top, row);
      bottom = row;
      left = Math.min(left, column);
      right = Math.max(right, column);
    }
  }
  return { top, left, height: bottom - top + 1, width: right - left + 1 };
}

function centreOfMass({ pixels, height, width }: Plane): { row: number; column: number } {
  let mass = 0;
  let rows = 0;
  let columns = 0;
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const level = pixels[row * width + column] ?? 0;
      mass += level;
      rows += level * row;
      columns += level * column;
    }
  }
  return { row: rows / mass, column: columns / mass };
}

function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, value));
}
