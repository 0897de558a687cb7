// Vectors of AVX2 for float32. It has no header guard: it is included once per namespace.

typedef __m256 Vector;
constexpr int64_t kWidth = 8;
constexpr int kTileRows = 6;  // with two vectors of columns, 12 of the 16 registers hold sums
constexpr int kOuterTileRows = 4;
INLINE_SIMD Vector Load(const float* from) { return _mm256_loadu_ps(from); }
INLINE_SIMD void Store(float* to, Vector value) { _mm256_storeu_ps(to, value); }
INLINE_SIMD Vector Splat(float value) { return _mm256_set1_ps(value); }
// The halves of 16 lanes.
INLINE_SIMD void SplitLanes(const Vector* lanes, __m256* low, __m256* high) {
  *low = lanes[0];
  *high = lanes[1];
}
