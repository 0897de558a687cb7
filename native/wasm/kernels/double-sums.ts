/**
 * Sums over rows: in float32 within a block of `sumRows` rows, in float64 across blocks. The blocks determine the bits
 * of a sum.
 */

/** Rows per block. */
export const sumRows: i32 = 64;

/** Adds the four float32 lanes of a block's sum to four float64 numbers at `sums`. */
export function addInDouble(sums: usize, block: v128): void {
  const high = i32x4.shuffle(block, block, 2, 3, 2, 3);
  v128.store(sums, f64x2.add(v128.load(sums), f64x2.promote_low_f32x4(block)));
  v128.store(sums, f64x2.add(v128.load(sums, 16), f64x2.promote_low_f32x4(high)), 16);
}
