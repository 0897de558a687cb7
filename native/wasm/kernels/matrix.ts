/** Products of ordinary row-major matrices; the right factor is in panels (panels.ts). */

import { addOuterProducts } from './outer-products';
import { blockRows } from './panels';
import { rowsTimesPanels } from './rows-times-panels';

/**
 * to[rows, columns] = left[rows, inner] * right[inner, columns]. `table` is scratch memory for blockRows + 3 addresses.
 */
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

/**
 * to[inner, columns] = transpose(left[rows, inner]) * right[rows, columns]. `table` is scratch memory for blockRows
 * addresses. Reads up to twelve bytes beyond `left` if `inner` is not a multiple of four.
 */
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
