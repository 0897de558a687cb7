/**
 * Matrix products: the two loops in which nearly all of a step's arithmetic happens. Owns the order of their sums, and with it
 * their bits: over the inner dimension one after the other in `rowsTimesPanels`, in blocks of `blockRows` in `addOuterProducts`.
 *
 * The right factor lies in panels of eight columns, [panel][row][8], zeros beyond its last column, so that a step of the inner
 * loop reads one cache line. The left factor is any set of rows given by address: those of a matrix, or patches of an image.
 * A tile of four rows and eight columns stays in registers: with eight sums in flight no addition waits for the one before.
 */

/** Rows of the left factor that are worked on together: they stay in the first-level cache while all panels pass. */
export const blockRows: i32 = 64;
/** Columns a panel. */
export const panelWidth: i32 = 8;

/**
 * Copies a matrix into panels. Element (r, c) is at from + r * rowBytes + c * columnBytes, so a transposed one packs as well.
 * `panelBytes` is the distance of two panels: more than rows * 32 where these rows are a part of the panel's.
 */
export function packPanels(
  from: usize,
  rows: i32,
  columns: i32,
  rowBytes: i32,
  columnBytes: i32,
  to: usize,
  panelBytes: i32,
): void {
  for (let column = 0; column < columns; column += panelWidth) {
    const width = min(panelWidth, columns - column);
    let source = from + column * columnBytes;
    let target = to + (column / panelWidth) * panelBytes;
    for (let row = 0; row < rows; row++) {
      if (width == panelWidth && columnBytes == 4) {
        v128.store(target, v128.load(source));
        v128.store(target, v128.load(source, 16), 16);
      } else {
        for (let i = 0; i < panelWidth; i++) {
          f32.store(target + i * 4, i < width ? f32.load(source + i * columnBytes) : 0);
        }
      }
      source += rowBytes;
      target += 32;
    }
  }
}

/**
 * One tile: up to four rows, whose addresses are in `table`, times a panel. A row's elements are `bands` times `taps` stretches of
 * `length` floats, bandBytes and tapBytes apart: a patch of an image, or with one band and one tap an ordinary row.
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
 * `count` (at most blockRows) rows by the addresses in `table` times all panels, [count, columns] at `to`. The table has room for
 * three entries more, which this writes.
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
  // Rows that are missing in the last tile: any address will do, their products are not stored.
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

/** to[4, 8] += the sum over `count` rows of four elements of the left row times the panel's row. */
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
 * to[bands * taps * length, columns] += transpose(left) times right, over `count` (at most blockRows) rows of both. Rows of the left
 * factor as in `rowsTimesPanels`; those of the right one are in panels, panelBytes apart. Reads up to twelve bytes beyond a
 * stretch whose length is no multiple of four.
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

/** [rows, inner] times [inner, columns], the right factor in panels. `table` has room for blockRows + 3 addresses. */
export function multiply(
  left: usize,
  rows: i32,
  inner: i32,
  panels: usize,
  columns: i32,
  table: usize,
  to: usize,
): void {
  for (let start = 0; start < rows; start += blockRows) {
    const count = min(blockRows, rows - start);
    for (let i = 0; i < count; i++) i32.store(table + i * 4, <i32>left + (start + i) * inner * 4);
    rowsTimesPanels(table, count, 1, 0, 1, 0, inner, panels, columns, to + start * columns * 4);
  }
}

/** transpose([rows, inner]) times [rows, columns], the right factor in panels: [inner, columns]. */
export function multiplyTransposed(
  left: usize,
  rows: i32,
  inner: i32,
  panels: usize,
  columns: i32,
  table: usize,
  to: usize,
): void {
  memory.fill(to, 0, inner * columns * 4);
  for (let start = 0; start < rows; start += blockRows) {
    const count = min(blockRows, rows - start);
    for (let i = 0; i < count; i++) i32.store(table + i * 4, <i32>left + (start + i) * inner * 4);
    addOuterProducts(table, count, 1, 0, 1, 0, inner, panels + start * 32, rows * 32, columns, to);
  }
}
