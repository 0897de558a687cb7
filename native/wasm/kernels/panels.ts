/**
 * The layout of the right factor of a matrix product: panels of eight columns, [panel][row][8], with zeros beyond the
 * last column, so that a step of the inner loop reads 32 contiguous bytes.
 */

/** Rows of the left factor that are processed together: they stay in the first-level cache while all panels pass. */
export const blockRows: i32 = 64;
/** Columns per panel. */
export const panelWidth: i32 = 8;

/**
 * Copies a matrix [rows, columns] into panels at `to`. Element (r, c) is at from + r * rowBytes + c * columnBytes, so a
 * transposed matrix can be packed as well. `panelBytes` is the distance between two panels: rows * 32, or more if these
 * rows are only some of the panels' rows.
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
