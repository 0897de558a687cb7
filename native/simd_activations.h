// Activation functions and their derivatives for one instruction set, with errors of at most about 2.5 units in the
// last place. It has no header guard: recurrence.h includes it into each namespace. NaN stays NaN.

#include "simd_exp.h"

INLINE_SIMD Vector Sigmoid(Vector x) { return Splat(1.0f) / (Splat(1.0f) + Exp(-x)); }

// tanh(x) = m / (m + 2) for m = e^2x - 1, which keeps its digits near zero because no e^2x is rounded before the
// subtraction.
INLINE_SIMD Vector Tanh(Vector x) {
  const ExpFactors e = FactorsOfExp(x + x);
  const Vector m = MultiplyAdd(e.power, e.q, e.power - Splat(1.0f));
  return m / (m + Splat(2.0f));
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
