/** Finds values that are not finite, and defines the range of float32. */

/** The largest finite number of float32. */
export const float32Max = (2 - 2 ** -23) * 2 ** 127;

/** Returns true if every value is finite. The native addon has the same function for the gradient of each step. */
export function allFinite(values: Float32Array): boolean {
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  // The exponent of infinities and NaN is all ones; adding one to it overflows into the sign, and no other exponent does so.
  const [mask, one] = [0x7f800000, 0x00800000];
  let [a, b, c, d] = [0, 0, 0, 0];
  const even = bits.length - (bits.length % 4);
  for (let i = 0; i < even; i += 4) {
    a |= ((bits[i] as number) & mask) + one;
    b |= ((bits[i + 1] as number) & mask) + one;
    c |= ((bits[i + 2] as number) & mask) + one;
    d |= ((bits[i + 3] as number) & mask) + one;
  }
  for (let i = even; i < bits.length; i++) a |= ((bits[i] as number) & mask) + one;
  return (a | b | c | d) >= 0;
}
