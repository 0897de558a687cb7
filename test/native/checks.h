// Comparison and test data for the native drivers. A driver compares kernels with loops that share no code with them,
// prints every difference to stderr and exits with status 1 if there was one.
//
// Buffers are std::vectors of exactly the size that a kernel may access, so that AddressSanitizer detects an access
// beyond it.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace checks {

typedef std::vector<float> Floats;
typedef std::vector<double> Doubles;

inline int failures = 0;

inline void Fail(const std::string& what, size_t index, double expected, double got) {
  std::fprintf(stderr, "%s: expected %.9g at %zu, got %.9g\n", what.c_str(), expected, index, got);
  failures++;
}

// The status that main returns.
inline int ExitStatus() { return failures == 0 ? 0 : 1; }

// Compares the bits of all elements; reports the first difference.
template <class T>
void ExpectEqual(const std::string& what, const std::vector<T>& got, const std::vector<T>& expected) {
  if (got.size() != expected.size()) return Fail(what + " (size)", 0, expected.size(), got.size());
  for (size_t i = 0; i < got.size(); i++)
    if (std::memcmp(&got[i], &expected[i], sizeof(T)) != 0) return Fail(what, i, expected[i], got[i]);
}

inline void ExpectEqual(const std::string& what, uint32_t got, uint32_t expected) {
  if (got != expected) Fail(what, 0, expected, got);
}

// Compares values up to `tolerance`, relative to the largest expected magnitude; reports the first difference.
template <class T>
void ExpectClose(const std::string& what, const std::vector<T>& got, const Doubles& expected, double tolerance) {
  if (got.size() != expected.size()) return Fail(what + " (size)", 0, expected.size(), got.size());
  double largest = 0;
  for (double value : expected) largest = std::max(largest, std::fabs(value));
  for (size_t i = 0; i < got.size(); i++)
    if (!(std::fabs(got[i] - expected[i]) <= tolerance * largest)) return Fail(what, i, expected[i], got[i]);
}

// A linear congruential generator (Numerical Recipes), so that every run tests the same numbers.
class Random {
 public:
  explicit Random(uint32_t seed) : state_(seed) {}
  uint32_t Word() { return state_ = state_ * 1664525u + 1013904223u; }
  // A multiple of 1/8 in [-4, 4): sums and products of a few of them are exact in float32.
  float Eighth() { return (static_cast<int>(Word() >> 26) - 32) / 8.0f; }
  // A number in [-1, 1) with 24 random bits.
  float Uniform() { return static_cast<float>(Word() >> 8) / 8388608.0f - 1.0f; }

 private:
  uint32_t state_;
};

inline Floats Eighths(size_t count, uint32_t seed) {
  Random random(seed);
  Floats values(count);
  for (float& value : values) value = random.Eighth();
  return values;
}

inline Floats Uniforms(size_t count, uint32_t seed) {
  Random random(seed);
  Floats values(count);
  for (float& value : values) value = random.Uniform();
  return values;
}

}  // namespace checks
