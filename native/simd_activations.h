// Activation functions and their derivatives for one instruction set, with errors of at most about two units in the
// last place. It has no header guard: recurrence.h includes it into each namespace. NaN stays NaN.

#include "simd_exp.h"

INLINE_SIMD Vector Sigmoid(Vector x) { return Splat(1.0f) / (Splat(1.0f) + Exp(-x)); }

// The polynomial of Cephes near zero, where 1 - 2 / (e^2x + 1) would lose digits.
INLINE_SIMD Vector Tanh(Vector x) {
  const Vector square = x * x;
  Vector p = Splat(-5.70498872745e-3f);
  p = p * square + Splat(2.06390887954e-2f);
  p = p * square + Splat(-5.37397155531e-2f);
  p = p * square + Splat(1.33314422036e-1f);
  p = p * square + Splat(-3.33332819422e-1f);
  const Vector small = p * square * x + x;
  const Vector size = x < Splat(0.0f) ? -x : x;
  const Vector large = Splat(1.0f) - Splat(2.0f) / (Exp(size + size) + Splat(1.0f));
  const Vector signed_large = x < Splat(0.0f) ? -large : large;
  return size < Splat(0.625f) ? small : signed_large;
}

INLINE_SIMD Vector HardSigmoid(Vector x) {
  const Vector y = Splat(0.2f) * x + Splat(0.5f);
  return y > Splat(1.0f) ? Splat(1.0f) : (y < Splat(0.0f) ? Splat(0.0f) : y);
}

INLINE_SIMD Vector Activate(int32_t kind, Vector x) {
  switch (kind) {
    case kTanh:
      return Tanh(x);
    case kSigmoid:
      return Sigmoid(x);
    case kHardSigmoid:
      return HardSigmoid(x);
    case kRelu:
      return x < Splat(0.0f) ? Splat(0.0f) : x;
    default:
      return x;
  }
}

// The derivative of an activation where it has the value y.
INLINE_SIMD Vector Slope(int32_t kind, Vector y) {
  const Vector one = Splat(1.0f), zero = Splat(0.0f);
  switch (kind) {
    case kTanh:
      return one - y * y;
    case kSigmoid:
      return y * (one - y);
    case kHardSigmoid:
      return y > zero ? (y < one ? Splat(0.2f) : zero) : zero;
    case kRelu:
      return y > zero ? one : zero;
    default:
      return one;
  }
}
