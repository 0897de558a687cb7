/**
 * The product of rows with panels (panels.ts), one of the two loops that do nearly all arithmetic of a step. Owns the
 * order of its sums and therefore its bits: a sum runs over the inner dimension in order.
 *
 * A row of the left factor is given by its address, so it can be a row of a matrix or a patch of an image. A tile of
 * four rows and eight columns stays in registers: its eight sums are independent, which hides the latency of an
 * addition.
 */

import { panelWidth } from './panels';

/**
 * Multiplies up to four rows, whose addresses are in `table`, with one panel, and stores [rows, columns] at `to`. A row
 * consists of `bands` x `taps` runs of `length` contiguous floats, bandBytes and tapBytes apart: the patch of a
 * convolution. An ordinary row has one band and one tap. The inner loop is unrolled twice, because every row of a panel
 * is loaded once for four rows.
 */
function tile(
  table: usize,
  bands: i32,
  bandBytes: i32,
  taps: i32,
  tapBytes: i32,
  length: i32,
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
  for (let band = 0; band < bands; band++) {
    for (let tap = 0; tap < taps; tap++) {
      const offset = band * bandBytes + tap * tapBytes;
      let p0 = <usize>i32.load(table) + offset;
      let p1 = <usize>i32.load(table, 4) + offset;
      let p2 = <usize>i32.load(table, 8) + offset;
      let p3 = <usize>i32.load(table, 12) + offset;
      let k = length;
      for (; k >= 2; k -= 2) {
        let b0 = v128.load(panel);
        let b1 = v128.load(panel, 16);
        let a = v128.load32_splat(p0);
        c00 = f32x4.add(c00, f32x4.mul(a, b0));
        c01 = f32x4.add(c01, f32x4.mul(a, b1));
        a = v128.load32_splat(p1);
        c10 = f32x4.add(c10, f32x4.mul(a, b0));
        c11 = f32x4.add(c11, f32x4.mul(a, b1));
        a = v128.load32_splat(p2);
        c20 = f32x4.add(c20, f32x4.mul(a, b0));
        c21 = f32x4.add(c21, f32x4.mul(a, b1));
        a = v128.load32_splat(p3);
        c30 = f32x4.add(c30, f32x4.mul(a, b0));
        c31 = f32x4.add(c31, f32x4.mul(a, b1));
        b0 = v128.load(panel, 32);
        b1 = v128.load(panel, 48);
        a = v128.load32_splat(p0, 4);
        c00 = f32x4.add(c00, f32x4.mul(a, b0));
        c01 = f32x4.add(c01, f32x4.mul(a, b1));
        a = v128.load32_splat(p1, 4);
        c10 = f32x4.add(c10, f32x4.mul(a, b0));
        c11 = f32x4.add(c11, f32x4.mul(a, b1));
        a = v128.load32_splat(p2, 4);
        c20 = f32x4.add(c20, f32x4.mul(a, b0));
        c21 = f32x4.add(c21, f32x4.mul(a, b1));
        a = v128.load32_splat(p3, 4);
        c30 = f32x4.add(c30, f32x4.mul(a, b0));
        c31 = f32x4.add(c31, f32x4.mul(a, b1));
        panel += 64;
        p0 += 8;
        p1 += 8;
        p2 += 8;
        p3 += 8;
      }
      if (k > 0) {
        const b0 = v128.load(panel);
        const b1 = v128.load(panel, 16);
        let a = v128.load32_splat(p0);
        c00 = f32x4.add(c00, f32x4.mul(a, b0));
        c01 = f32x4.add(c01, f32x4.mul(a, b1));
        a = v128.load32_splat(p1);
        c10 = f32x4.add(c10, f32x4.mul(a, b0));
        c11 = f32x4.add(c11, f32x4.mul(a, b1));
        a = v128.load32_splat(p2);
        c20 = f32x4.add(c20, f32x4.mul(a, b0));
        c21 = f32x4.add(c21, f32x4.mul(a, b1));
        a = v128.load32_splat(p3);
        c30 = f32x4.add(c30, f32x4.mul(a, b0));
        c31 = f32x4.add(c31, f32x4.mul(a, b1));
        panel += 32;
      }
    }
  }
  storeRow(to, c00, c01, columns);
  if (rows > 1) storeRow(to + toRowBytes, c10, c11, columns);
  if (rows > 2) storeRow(to + 2 * toRowBytes, c20, c21, columns);
  if (rows > 3) storeRow(to + 3 * toRowBytes, c30, c31, columns);
}

/** Stores up to eight sums. */
function storeRow(to: usize, low: v128, high: v128, columns: i32): void {
  if (columns >= 8) {
    v128.store(to, low);
    v128.store(to, high, 16);
    return;
  }
  if (columns >= 4) {
    v128.store(to, low);
    low = high;
    to += 16;
    columns -= 4;
  }
  if (columns > 0) f32.store(to, f32x4.extract_lane(low, 0));
  if (columns > 1) f32.store(to, f32x4.extract_lane(low, 1), 4);
  if (columns > 2) f32.store(to, f32x4.extract_lane(low, 2), 8);
}

/**
 * Multiplies `count` (at most blockRows) rows, whose addresses are in `table`, with all panels, and stores [count,
 * columns] at `to`. See `tile` for bands and taps. Writes up to three entries beyond the `count` of the table, which
 * must have room for them.
 */
export function rowsTimesPanels(
  table: usize,
  count: i32,
  bands: i32,
  bandBytes: i32,
  taps: i32,
  tapBytes: i32,
  length: i32,
  panels: usize,
  columns: i32,
  to: usize,
): void {
  // The products of rows missing from the last tile are not stored, so any valid address will do.
  for (let i = count; (i & 3) != 0; i++) i32.store(table + i * 4, i32.load(table));
  const panelBytes = bands * taps * length * 32;
  for (let column = 0; column < columns; column += panelWidth) {
    const panel = panels + (column / panelWidth) * panelBytes;
    for (let row = 0; row < count; row += 4) {
      tile(
        table + row * 4,
        bands,
        bandBytes,
        taps,
        tapBytes,
        length,
        panel,
        to + (row * columns + column) * 4,
        columns * 4,
        count - row,
        columns - column,
      );
    }
  }
}
