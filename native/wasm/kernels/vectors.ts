/** Vectors of four floats: parts of rows, and activation functions with errors of a few units in the last place. */

/** The first `count` elements at `from`, at most four; zeros in place of the rest. */
export function loadPart(from: usize, count: i32): v128 {
  if (count >= 4) return v128.load(from);
  let value = v128.load32_zero(from);
  if (count > 1) value = f32x4.replace_lane(value, 1, f32.load(from, 4));
  if (count > 2) value = f32x4.replace_lane(value, 2, f32.load(from, 8));
  return value;
}

/** Stores the first `count` lanes, at most four. */
export function storePart(to: usize, count: i32, value: v128): void {
  if (count >= 4) {
    v128.store(to, value);
    return;
  }
  f32.store(to, f32x4.extract_lane(value, 0));
  if (count > 1) f32.store(to, f32x4.extract_lane(value, 1), 4);
  if (count > 2) f32.store(to, f32x4.extract_lane(value, 2), 8);
}

/** e^x for x in [-87, 88]; x is clamped to this range. Cody and Waite's reduction and Cephes' polynomial (Moshier). */
export function exp(x: v128): v128 {
  x = f32x4.max(f32x4.min(x, f32x4.splat(88)), f32x4.splat(-87));
  const n = f32x4.nearest(f32x4.mul(x, f32x4.splat(1.4426950408889634)));
  let r = f32x4.sub(x, f32x4.mul(n, f32x4.splat(0.693359375)));
  r = f32x4.sub(r, f32x4.mul(n, f32x4.splat(-2.1219444e-4)));
  let p = f32x4.splat(1.98756915e-4);
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.3981999507e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(8.3334519073e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(4.1665795894e-2));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.6666665459e-1));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(5.0000001201e-1));
  const e = f32x4.add(f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), r), f32x4.splat(1));
  const power = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23);
  return f32x4.mul(e, power);
}

function sigmoid(x: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.div(one, f32x4.add(one, exp(f32x4.neg(x))));
}

/** The polynomial of Cephes near zero, where 1 - 2 / (e^2x + 1) would lose digits. */
function tanh(x: v128): v128 {
  const square = f32x4.mul(x, x);
  let p = f32x4.splat(-5.70498872745e-3);
  p = f32x4.add(f32x4.mul(p, square), f32x4.splat(2.06390887954e-2));
  p = f32x4.add(f32x4.mul(p, square), f32x4.splat(-5.37397155531e-2));
  p = f32x4.add(f32x4.mul(p, square), f32x4.splat(1.33314422036e-1));
  p = f32x4.add(f32x4.mul(p, square), f32x4.splat(-3.33332819422e-1));
  const small = f32x4.add(f32x4.mul(f32x4.mul(p, square), x), x);
  const size = f32x4.abs(x);
  const one = f32x4.splat(1);
  const quotient = f32x4.div(f32x4.splat(2), f32x4.add(exp(f32x4.add(size, size)), one));
  const sign = v128.and(x, i32x4.splat(0x80000000));
  const large = v128.or(f32x4.sub(one, quotient), sign);
  return v128.bitselect(small, large, f32x4.lt(size, f32x4.splat(0.625)));
}

/** The numbers of activations; those of src/worker/kernels/recurrence.ts. */
const TANH: i32 = 1;
const SIGMOID: i32 = 2;
const HARD_SIGMOID: i32 = 3;
const RELU: i32 = 4;

export function activate(kind: i32, x: v128): v128 {
  if (kind == TANH) return tanh(x);
  if (kind == SIGMOID) return sigmoid(x);
  const zero = f32x4.splat(0);
  if (kind == HARD_SIGMOID) {
    const y = f32x4.add(f32x4.mul(f32x4.splat(0.2), x), f32x4.splat(0.5));
    return f32x4.max(f32x4.min(y, f32x4.splat(1)), zero);
  }
  return kind == RELU ? f32x4.max(x, zero) : x;
}

/** The derivative of an activation where it has the value y. */
export function slope(kind: i32, y: v128): v128 {
  const one = f32x4.splat(1);
  if (kind == TANH) return f32x4.sub(one, f32x4.mul(y, y));
  if (kind == SIGMOID) return f32x4.mul(y, f32x4.sub(one, y));
  const positive = f32x4.gt(y, f32x4.splat(0));
  if (kind == HARD_SIGMOID) return v128.and(v128.and(positive, f32x4.lt(y, one)), f32x4.splat(0.2));
  return kind == RELU ? v128.and(positive, one) : one;
}
