/**
 * BatchNorm (Ioffe & Szegedy, "Batch Normalization", ICML 2015), forward, fused with the ReLU and the 2x2 max-pool that
 * may follow it. native/batch_norm.h is the same in C++.
 *
 * x is [rows, channels], or [images, height, width, channels] with even height and width when pooled. The channel count
 * is a multiple of four; the caller pads it.
 */

import { addInDouble, sumRows } from './double-sums';

/** sums[channels] (float64) = the sum of each column of x[rows, channels]. */
export function columnSums(x: usize, rows: i32, channels: i32, sums: usize): void {
  const rowBytes = channels * 4;
  memory.fill(sums, 0, channels * 8);
  for (let start = 0; start < rows; start += sumRows) {
    const count = min(sumRows, rows - start);
    for (let channel = 0; channel < channels; channel += 4) {
      let from = x + start * rowBytes + channel * 4;
      let sum = f32x4.splat(0);
      for (let i = 0; i < count; i++) {
        sum = f32x4.add(sum, v128.load(from));
        from += rowBytes;
      }
      addInDouble(sums + channel * 8, sum);
    }
  }
}

/**
 * sums[channels] and squares[channels] (float64) = the sums of x - centre and of its square. Sets centres[channels]
 * (float32) to the mean of the first block, which is close to the mean and so avoids cancellation in the squares.
 */
export function moments(
  x: usize,
  rows: i32,
  channels: i32,
  centres: usize,
  sums: usize,
  squares: usize,
): void {
  const rowBytes = channels * 4;
  const first = min(sumRows, rows);
  for (let channel = 0; channel < channels; channel += 4) {
    let sum = f32x4.splat(0);
    for (let i = 0; i < first; i++) sum = f32x4.add(sum, v128.load(x + i * rowBytes + channel * 4));
    v128.store(centres + channel * 4, f32x4.div(sum, f32x4.splat(<f32>max(1, first))));
  }
  memory.fill(sums, 0, channels * 8);
  memory.fill(squares, 0, channels * 8);
  for (let start = 0; start < rows; start += sumRows) {
    const count = min(sumRows, rows - start);
    for (let channel = 0; channel < channels; channel += 4) {
      const centre = v128.load(centres + channel * 4);
      let from = x + start * rowBytes + channel * 4;
      let sum = f32x4.splat(0);
      let square = f32x4.splat(0);
      for (let i = 0; i < count; i++) {
        const d = f32x4.sub(v128.load(from), centre);
        sum = f32x4.add(sum, d);
        square = f32x4.add(square, f32x4.mul(d, d));
        from += rowBytes;
      }
      addInDouble(sums + channel * 8, sum);
      addInDouble(squares + channel * 8, square);
    }
  }
}

/** y = (x - mean) * scale + shift, with affine[3, channels] = [mean, scale, shift]; then max(0, y) if `relu`. */
export function normalize(x: usize, rows: i32, channels: i32, affine: usize, relu: bool, y: usize): void {
  const rowBytes = channels * 4;
  // Without ReLU, the maximum with -infinity leaves every number unchanged.
  const floor = f32x4.splat(relu ? 0 : -Infinity);
  for (let row = 0; row < rows; row++) {
    for (let at = 0; at < rowBytes; at += 16) {
      const z = normalized(x + at, affine + at, rowBytes);
      v128.store(y + at, f32x4.max(z, floor));
    }
    x += rowBytes;
    y += rowBytes;
  }
}

/** (x - mean) * scale + shift for four channels. */
function normalized(x: usize, affine: usize, rowBytes: i32): v128 {
  const centred = f32x4.sub(v128.load(x), v128.load(affine));
  return f32x4.add(f32x4.mul(centred, v128.load(affine + rowBytes)), v128.load(affine + 2 * rowBytes));
}

/**
 * The same as `normalize`, followed by the maximum of each 2x2 window: y[images, height / 2, width / 2, channels].
 * `pooledRows` is images * height / 2.
 */
export function normalizeAndPool(
  x: usize,
  pooledRows: i32,
  width: i32,
  channels: i32,
  affine: usize,
  relu: bool,
  y: usize,
): void {
  const pixel = channels * 4;
  const row = width * pixel;
  const floor = f32x4.splat(relu ? 0 : -Infinity);
  for (let pooledRow = 0; pooledRow < pooledRows; pooledRow++) {
    for (let column = 0; column < width; column += 2) {
      for (let at = 0; at < pixel; at += 16) {
        const from = x + at;
        const upper = f32x4.max(
          normalized(from, affine + at, pixel),
          normalized(from + pixel, affine + at, pixel),
        );
        const lower = f32x4.max(
          normalized(from + row, affine + at, pixel),
          normalized(from + row + pixel, affine + at, pixel),
        );
        v128.store(y + at, f32x4.max(f32x4.max(upper, lower), floor));
      }
      x += 2 * pixel;
      y += pixel;
    }
    x += row;
  }
}
