/**
 * BatchNorm with the ReLU and the 2x2 max-pool that follow it, in as few passes over memory as they can have; the same
 * functions as in native/arithmetic.h. Owns the order of their sums: in float32 over blocks of `sumRows` rows, in float64 from
 * block to block.
 *
 * x is [rows, channels], for the pool [images, height, width, channels] with even height and width. Channels come in fours;
 * whoever calls pads them. Ties in a window go to its first element, as in PyTorch.
 */

const sumRows: i32 = 64;

/** float64 sums[4] += the lanes of a block's float32 sum. */
function addTo(sums: usize, block: v128): void {
  const high = i32x4.shuffle(block, block, 2, 3, 2, 3);
  v128.store(sums, f64x2.add(v128.load(sums), f64x2.promote_low_f32x4(block)));
  v128.store(sums, f64x2.add(v128.load(sums, 16), f64x2.promote_low_f32x4(high)), 16);
}

/** Sums of each column, in float64. */
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
      addTo(sums + channel * 8, sum);
    }
  }
}

/**
 * Sums of x - centre and of its square, in float64, around `centres` (float32), which this sets to the mean of the first block:
 * close to the mean, so that the squares don't cancel.
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
      addTo(sums + channel * 8, sum);
      addTo(squares + channel * 8, square);
    }
  }
}

/** (x - mean) * scale + shift, with `affine` = [mean, scale, shift]; then max(0, .) with `relu`. */
export function normalize(x: usize, rows: i32, channels: i32, affine: usize, relu: bool, y: usize): void {
  const rowBytes = channels * 4;
  // -infinity is below everything: no ReLU.
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

function normalized(x: usize, affine: usize, rowBytes: i32): v128 {
  const centred = f32x4.sub(v128.load(x), v128.load(affine));
  return f32x4.add(f32x4.mul(centred, v128.load(affine + rowBytes)), v128.load(affine + 2 * rowBytes));
}

/** The same, and of each 2x2 window the largest; `lines` are pairs of rows of the images. */
export function normalizeAndPool(
  x: usize,
  lines: i32,
  width: i32,
  channels: i32,
  affine: usize,
  relu: bool,
  y: usize,
): void {
  const pixel = channels * 4;
  const row = width * pixel;
  const floor = f32x4.splat(relu ? 0 : -Infinity);
  for (let line = 0; line < lines; line++) {
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

/**
 * float64 sums of dz and of dz * (x - mean), where dz is dy brought back through the ReLU.
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
      addTo(sums + at * 2, sum);
      addTo(products + at * 2, product);
    }
  }
}

/** The same with the pool between; `rows` are dy's, `half` is its width. */
export function pooledGradientSums(
  dy: usize,
  x: usize,
  rows: i32,
  half: i32,
  channels: i32,
  affine: usize,
  relu: bool,
  sums: usize,
  products: usize,
): void {
  const pixel = channels * 4;
  const row = 2 * half * pixel;
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
        const from = x + (r / half) * 2 * row + (r % half) * 2 * pixel + at;
        let centred = f32x4.sub(v128.load(from), mean);
        let best = f32x4.add(f32x4.mul(centred, scale), shift);
        let d = f32x4.sub(v128.load(from + pixel), mean);
        let z = f32x4.add(f32x4.mul(d, scale), shift);
        let later = f32x4.gt(z, best);
        best = v128.bitselect(z, best, later);
        centred = v128.bitselect(d, centred, later);
        d = f32x4.sub(v128.load(from + row), mean);
        z = f32x4.add(f32x4.mul(d, scale), shift);
        later = f32x4.gt(z, best);
        best = v128.bitselect(z, best, later);
        centred = v128.bitselect(d, centred, later);
        d = f32x4.sub(v128.load(from + row + pixel), mean);
        z = f32x4.add(f32x4.mul(d, scale), shift);
        later = f32x4.gt(z, best);
        best = v128.bitselect(z, best, later);
        centred = v128.bitselect(d, centred, later);
        const dz = v128.and(v128.load(dy + r * pixel + at), f32x4.gt(best, floor));
        sum = f32x4.add(sum, dz);
        product = f32x4.add(product, f32x4.mul(dz, centred));
      }
      addTo(sums + at * 2, sum);
      addTo(products + at * 2, product);
    }
  }
}

/** a * dz + b * (x - mean) + c, with `coefficients` = [a, b, c]. */
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
      v128.store(dx + at, combined(dz, centred, coefficients + at, rowBytes));
    }
    x += rowBytes;
    dy += rowBytes;
    dx += rowBytes;
  }
}

function combined(dz: v128, centred: v128, coefficients: usize, rowBytes: i32): v128 {
  const rest = f32x4.add(
    f32x4.mul(v128.load(coefficients + rowBytes), centred),
    v128.load(coefficients + 2 * rowBytes),
  );
  return f32x4.add(f32x4.mul(v128.load(coefficients), dz), rest);
}

/** The same with the pool between; `lines` are dy's rows of pixels, `half` is its width. */
export function pooledInputGradient(
  dy: usize,
  x: usize,
  lines: i32,
  half: i32,
  channels: i32,
  affine: usize,
  coefficients: usize,
  relu: bool,
  dx: usize,
): void {
  const pixel = channels * 4;
  const row = 2 * half * pixel;
  const floor = f32x4.splat(relu ? 0 : -Infinity);
  for (let line = 0; line < lines; line++) {
    for (let column = 0; column < half; column++) {
      for (let at = 0; at < pixel; at += 16) {
        const mean = v128.load(affine + at);
        const scale = v128.load(affine + pixel + at);
        const shift = v128.load(affine + 2 * pixel + at);
        const x0 = f32x4.sub(v128.load(x + at), mean);
        const x1 = f32x4.sub(v128.load(x + at + pixel), mean);
        const x2 = f32x4.sub(v128.load(x + at + row), mean);
        const x3 = f32x4.sub(v128.load(x + at + row + pixel), mean);
        let best = f32x4.add(f32x4.mul(x0, scale), shift);
        const z1 = f32x4.add(f32x4.mul(x1, scale), shift);
        const later1 = f32x4.gt(z1, best);
        best = v128.bitselect(z1, best, later1);
        const z2 = f32x4.add(f32x4.mul(x2, scale), shift);
        const later2 = f32x4.gt(z2, best);
        best = v128.bitselect(z2, best, later2);
        const z3 = f32x4.add(f32x4.mul(x3, scale), shift);
        const later3 = f32x4.gt(z3, best);
        best = v128.bitselect(z3, best, later3);
        // The last element that beat all before it gets the gradient; the others none.
        let dz = v128.and(v128.load(dy + at), f32x4.gt(best, floor));
        const dz3 = v128.and(dz, later3);
        dz = v128.andnot(dz, later3);
        const dz2 = v128.and(dz, later2);
        dz = v128.andnot(dz, later2);
        const dz1 = v128.and(dz, later1);
        const dz0 = v128.andnot(dz, later1);
        const k = coefficients + at;
        v128.store(dx + at, combined(dz0, x0, k, pixel));
        v128.store(dx + at + pixel, combined(dz1, x1, k, pixel));
        v128.store(dx + at + row, combined(dz2, x2, k, pixel));
        v128.store(dx + at + row + pixel, combined(dz3, x3, k, pixel));
      }
      x += 2 * pixel;
      dx += 2 * pixel;
      dy += pixel;
    }
    x += row;
    dx += row;
  }
}
