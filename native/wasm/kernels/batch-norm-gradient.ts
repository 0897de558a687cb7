/**
 * The backward pass of batch-norm.ts. x and dy are as there; `affine` holds the mean, scale and shift of the forward
 * pass. A window's gradient goes to its largest element, on ties to the first one in row-major order, as in PyTorch.
 */

import { addInDouble, sumRows } from './double-sums';

/**
 * sums[channels] and products[channels] (float64) = the sums over rows of dz and of dz * (x - mean), where dz is dy
 * propagated back through the ReLU.
 */
export function gradientSums(
  dy: usize,
  x: usize,
  rows: i32,
  channels: i32,
  affine: usize,
  relu: bool,
  sums: usize,
  products: usize,
): void {
  const rowBytes = channels * 4;
  const floor = f32x4.splat(relu ? 0 : -Infinity);
  memory.fill(sums, 0, channels * 8);
  memory.fill(products, 0, channels * 8);
  for (let start = 0; start < rows; start += sumRows) {
    const count = min(sumRows, rows - start);
    for (let at = 0; at < rowBytes; at += 16) {
      const mean = v128.load(affine + at);
      const scale = v128.load(affine + rowBytes + at);
      const shift = v128.load(affine + 2 * rowBytes + at);
      let offset = start * rowBytes + at;
      let sum = f32x4.splat(0);
      let product = f32x4.splat(0);
      for (let i = 0; i < count; i++) {
        const centred = f32x4.sub(v128.load(x + offset), mean);
        const z = f32x4.add(f32x4.mul(centred, scale), shift);
        const dz = v128.and(v128.load(dy + offset), f32x4.gt(z, floor));
        sum = f32x4.add(sum, dz);
        product = f32x4.add(product, f32x4.mul(dz, centred));
        offset += rowBytes;
      }
      addInDouble(sums + at * 2, sum);
      addInDouble(products + at * 2, product);
    }
  }
}

/** The same as `gradientSums` for a pooled output; `rows` counts the pixels of dy, `pooledWidth` is its width. */
export function pooledGradientSums(
  dy: usize,
  x: usize,
  rows: i32,
  pooledWidth: i32,
  channels: i32,
  affine: usize,
  relu: bool,
  sums: usize,
  products: usize,
): void {
  const pixel = channels * 4;
  const row = 2 * pooledWidth * pixel;
  const floor = f32x4.splat(relu ? 0 : -Infinity);
  memory.fill(sums, 0, channels * 8);
  memory.fill(products, 0, channels * 8);
  for (let start = 0; start < rows; start += sumRows) {
    const count = min(sumRows, rows - start);
    for (let at = 0; at < pixel; at += 16) {
      const mean = v128.load(affine + at);
      const scale = v128.load(affine + pixel + at);
      const shift = v128.load(affine + 2 * pixel + at);
      let sum = f32x4.splat(0);
      let product = f32x4.splat(0);
      for (let r = start; r < start + count; r++) {
        const from = x + (r / pooledWidth) * 2 * row + (r % pooledWidth) * 2 * pixel + at;
        let centred = f32x4.sub(v128.load(from), mean);
        let largest = f32x4.add(f32x4.mul(centred, scale), shift);
        let d = f32x4.sub(v128.load(from + pixel), mean);
        let z = f32x4.add(f32x4.mul(d, scale), shift);
        let exceeds = f32x4.gt(z, largest);
        largest = v128.bitselect(z, largest, exceeds);
        centred = v128.bitselect(d, centred, exceeds);
        d = f32x4.sub(v128.load(from + row), mean);
        z = f32x4.add(f32x4.mul(d, scale), shift);
        exceeds = f32x4.gt(z, largest);
        largest = v128.bitselect(z, largest, exceeds);
        centred = v128.bitselect(d, centred, exceeds);
        d = f32x4.sub(v128.load(from + row + pixel), mean);
        z = f32x4.add(f32x4.mul(d, scale), shift);
        exceeds = f32x4.gt(z, largest);
        largest = v128.bitselect(z, largest, exceeds);
        centred = v128.bitselect(d, centred, exceeds);
        const dz = v128.and(v128.load(dy + r * pixel + at), f32x4.gt(largest, floor));
        sum = f32x4.add(sum, dz);
        product = f32x4.add(product, f32x4.mul(dz, centred));
      }
      addInDouble(sums + at * 2, sum);
      addInDouble(products + at * 2, product);
    }
  }
}

/** dx = a * dz + (b * (x - mean) + c), with coefficients[3, channels] = [a, b, c]. */
export function inputGradient(
  dy: usize,
  x: usize,
  rows: i32,
  channels: i32,
  affine: usize,
  coefficients: usize,
  relu: bool,
  dx: usize,
): void {
  const rowBytes = channels * 4;
  const floor = f32x4.splat(relu ? 0 : -Infinity);
  for (let row = 0; row < rows; row++) {
    for (let at = 0; at < rowBytes; at += 16) {
      const centred = f32x4.sub(v128.load(x + at), v128.load(affine + at));
      const z = f32x4.add(
        f32x4.mul(centred, v128.load(affine + rowBytes + at)),
        v128.load(affine + 2 * rowBytes + at),
      );
      const dz = v128.and(v128.load(dy + at), f32x4.gt(z, floor));
      v128.store(dx + at, inputGradientOf(dz, centred, coefficients + at, rowBytes));
    }
    x += rowBytes;
    dy += rowBytes;
    dx += rowBytes;
  }
}

/** a * dz + (b * centred + c) for four channels. */
function inputGradientOf(dz: v128, centred: v128, coefficients: usize, rowBytes: i32): v128 {
  const rest = f32x4.add(
    f32x4.mul(v128.load(coefficients + rowBytes), centred),
    v128.load(coefficients + 2 * rowBytes),
  );
  return f32x4.add(f32x4.mul(v128.load(coefficients), dz), rest);
}

/**
 * The same as `inputGradient` for a pooled output; `pooledRows` counts the rows of pixels of dy, `pooledWidth` is its
 * width.
 */
export function pooledInputGradient(
  dy: usize,
  x: usize,
  pooledRows: i32,
  pooledWidth: i32,
  channels: i32,
  affine: usize,
  coefficients: usize,
  relu: bool,
  dx: usize,
): void {
  const pixel = channels * 4;
  const row = 2 * pooledWidth * pixel;
  const floor = f32x4.splat(relu ? 0 : -Infinity);
  for (let pooledRow = 0; pooledRow < pooledRows; pooledRow++) {
    for (let column = 0; column < pooledWidth; column++) {
      for (let at = 0; at < pixel; at += 16) {
        const mean = v128.load(affine + at);
        const scale = v128.load(affine + pixel + at);
        const shift = v128.load(affine + 2 * pixel + at);
        const x0 = f32x4.sub(v128.load(x + at), mean);
        const x1 = f32x4.sub(v128.load(x + at + pixel), mean);
        const x2 = f32x4.sub(v128.load(x + at + row), mean);
        const x3 = f32x4.sub(v128.load(x + at + row + pixel), mean);
        let largest = f32x4.add(f32x4.mul(x0, scale), shift);
        const z1 = f32x4.add(f32x4.mul(x1, scale), shift);
        const exceeds1 = f32x4.gt(z1, largest);
        largest = v128.bitselect(z1, largest, exceeds1);
        const z2 = f32x4.add(f32x4.mul(x2, scale), shift);
        const exceeds2 = f32x4.gt(z2, largest);
        largest = v128.bitselect(z2, largest, exceeds2);
        const z3 = f32x4.add(f32x4.mul(x3, scale), shift);
        const exceeds3 = f32x4.gt(z3, largest);
        largest = v128.bitselect(z3, largest, exceeds3);
        // The last element that exceeds all before it is the largest, and receives the whole gradient.
        let dz = v128.and(v128.load(dy + at), f32x4.gt(largest, floor));
        const dz3 = v128.and(dz, exceeds3);
        dz = v128.andnot(dz, exceeds3);
        const dz2 = v128.and(dz, exceeds2);
        dz = v128.andnot(dz, exceeds2);
        const dz1 = v128.and(dz, exceeds1);
        const dz0 = v128.andnot(dz, exceeds1);
        const k = coefficients + at;
        v128.store(dx + at, inputGradientOf(dz0, x0, k, pixel));
        v128.store(dx + at + pixel, inputGradientOf(dz1, x1, k, pixel));
        v128.store(dx + at + row, inputGradientOf(dz2, x2, k, pixel));
        v128.store(dx + at + row + pixel, inputGradientOf(dz3, x3, k, pixel));
      }
      x += 2 * pixel;
      dx += 2 * pixel;
      dy += pixel;
    }
    x += row;
    dx += row;
  }
}
