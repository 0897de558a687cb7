// The exponential function for one instruction set, with an error of at most about one unit in the last place. It has
// no header guard: simd_activations.h and attention.h include it into each namespace. NaN stays NaN.

typedef int32_t IntVector __attribute__((vector_size(4 * kWidth)));

// e^x for x in [-87, 88]; x is clamped to this range. Cody and Waite's reduction and Cephes' polynomial (Moshier).
INLINE_SIMD Vector Exp(Vector x) {
  x = x > Splat(88.0f) ? Splat(88.0f) : x;
  x = x < Splat(-87.0f) ? Splat(-87.0f) : x;
  // Adding and subtracting 1.5 * 2^23 rounds to the nearest integer.
  const Vector n = (x * Splat(1.44269504088896341f) + Splat(12582912.0f)) - Splat(12582912.0f);
  const Vector r = (x - n * Splat(0.693359375f)) - n * Splat(-2.12194440e-4f);
  Vector p = Splat(1.9875691500e-4f);
  p = p * r + Splat(1.3981999507e-3f);
  p = p * r + Splat(8.3334519073e-3f);
  p = p * r + Splat(4.1665795894e-2f);
  p = p * r + Splat(1.6666665459e-1f);
  p = p * r + Splat(5.0000001201e-1f);
  const Vector e = (p * (r * r) + r) + Splat(1.0f);
  const IntVector power = (__builtin_convertvector(n, IntVector) + 127) << 23;
  return e * (Vector)power;
}
