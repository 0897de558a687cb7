// The exponential function for one instruction set, with an error of at most about one unit in the last place. It has
// no header guard: simd_activations.h, attention.h and batch_product.h include it into each namespace, after
// MultiplyAdd. NaN stays NaN.

typedef int32_t IntVector __attribute__((vector_size(4 * kWidth)));

// e^x as power * (q + 1), where `power` is a power of two.
struct ExpFactors {
  Vector power, q;
};

// The factors of e^x for x in [-87, 88]; x is clamped to this range. Cody and Waite's reduction and Cephes' polynomial
// (Moshier).
INLINE_SIMD ExpFactors FactorsOfExp(Vector x) {
  x = x > Splat(88.0f) ? Splat(88.0f) : x;
  x = x < Splat(-87.0f) ? Splat(-87.0f) : x;
  // Adding 1.5 * 2^23 rounds to the nearest integer, which is then in the lowest bits.
  const Vector shifted = MultiplyAdd(x, Splat(1.44269504088896341f), Splat(12582912.0f));
  const Vector n = shifted - Splat(12582912.0f);
  const Vector r = MultiplyAdd(n, Splat(2.12194440e-4f), MultiplyAdd(n, Splat(-0.693359375f), x));
  Vector p = Splat(1.9875691500e-4f);
  p = MultiplyAdd(p, r, Splat(1.3981999507e-3f));
  p = MultiplyAdd(p, r, Splat(8.3334519073e-3f));
  p = MultiplyAdd(p, r, Splat(4.1665795894e-2f));
  p = MultiplyAdd(p, r, Splat(1.6666665459e-1f));
  p = MultiplyAdd(p, r, Splat(5.0000001201e-1f));
  const IntVector power = ((IntVector)shifted << 23) + (127 << 23);
  return {(Vector)power, MultiplyAdd(p, r * r, r)};
}

INLINE_SIMD Vector Exp(Vector x) {
  const ExpFactors e = FactorsOfExp(x);
  return (e.q + Splat(1.0f)) * e.power;
}
