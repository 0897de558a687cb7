/**
 * The product of a transposed left factor with panels (panels.ts), the second of the two loops that do nearly all
 * arithmetic of a step. Owns the order of its sums and therefore its bits: a sum runs over at most `blockRows` rows in
 * order, and the sums of such blocks are added in order.
 */

import { panelWidth } from './panels';

/**
 * to[rows, columns] += the sum over `count` rows of (element i of the left row) * (element j of the panel's row), for
 * up to four i and eight j. `offset` is the distance in bytes from a left row's address to its first element.
 */
function outerTile(
  table: usize,
  count: i32,
  offset: i32,
  panel: usize,
  to: usize,
  toRowBytes: i32,
  rows: i32,
  columns: i32,
): void {
  let c00 = f32x4.splat(0);
  let c01 = c00;
  let c10 = c00;
  let c11 = c00;
  let c20 = c00;
  let c21 = c00;
  let c30 = c00;
  let c31 = c00;
  const end = table + count * 4;
  for (; table < end; table += 4) {
    const p = <usize>i32.load(table) + offset;
    const b0 = v128.load(panel);
    const b1 = v128.load(panel, 16);
    let a = v128.load32_splat(p);
    c00 = f32x4.add(c00, f32x4.mul(a, b0));
    c01 = f32x4.add(c01, f32x4.mul(a, b1));
    a = v128.load32_splat(p, 4);
    c10 = f32x4.add(c10, f32x4.mul(a, b0));
    c11 = f32x4.add(c11, f32x4.mul(a, b1));
    a = v128.load32_splat(p, 8);
    c20 = f32x4.add(c20, f32x4.mul(a, b0));
    c21 = f32x4.add(c21, f32x4.mul(a, b1));
    a = v128.load32_splat(p, 12);
    c30 = f32x4.add(c30, f32x4.mul(a, b0));
    c31 = f32x4.add(c31, f32x4.mul(a, b1));
    panel += 32;
  }
  addRow(to, c00, c01, columns);
  if (rows > 1) addRow(to + toRowBytes, c10, c11, columns);
  if (rows > 2) addRow(to + 2 * toRowBytes, c20, c21, columns);
  if (rows > 3) addRow(to + 3 * toRowBytes, c30, c31, columns);
}

/** Adds up to eight sums to what is stored. */
function addRow(to: usize, low: v128, high: v128, columns: i32): void {
  if (columns >= 8) {
    v128.store(to, f32x4.add(v128.load(to), low));
    v128.store(to, f32x4.add(v128.load(to, 16), high), 16);
    return;
  }
  if (columns >= 4) {
    v128.store(to, f32x4.add(v128.load(to), low));
    low = high;
    to += 16;
    columns -= 4;
  }
  if (columns > 0) f32.store(to, f32.load(to) + f32x4.extract_lane(low, 0));
  if (columns > 1) f32.store(to, f32.load(to, 4) + f32x4.extract_lane(low, 1), 4);
  if (columns > 2) f32.store(to, f32.load(to, 8) + f32x4.extract_lane(low, 2), 8);
}

/**
 * to[bands * taps * length, columns] += transpose(left) * right, over `count` (at most blockRows) rows of both. The
 * rows of the left factor are as in `rowsTimesPanels`; the panels of the right factor are panelBytes apart. Reads up to
 * twelve bytes beyond a run whose length is not a multiple of four.
 */
export function addOuterProducts(
  table: usize,
  count: i32,
  bands: i32,
  bandBytes: i32,
  taps: i32,
  tapBytes: i32,
  length: i32,
  panels: usize,
  panelBytes: i32,
  columns: i32,
  to: usize,
): void {
  for (let band = 0; band < bands; band++) {
    for (let tap = 0; tap < taps; tap++) {
      for (let element = 0; element < length; element += 4) {
        const offset = band * bandBytes + tap * tapBytes + element * 4;
        for (let column = 0; column < columns; column += panelWidth) {
          outerTile(
            table,
            count,
            offset,
            panels + (column / panelWidth) * panelBytes,
            to + (element * columns + column) * 4,
            columns * 4,
            length - element,
            columns - column,
          );
        }
      }
      to += length * columns * 4;
    }
  }
}
