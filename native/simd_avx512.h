// Vectors of AVX-512, the same for both precisions. It has no header guard: simd.h includes it once per precision.

typedef __m512 Vector;
constexpr int64_t kWidth = 16;
constexpr int kTileRows = 12;  // with two vectors of columns, 24 of the 32 registers hold sums
constexpr int kOuterTileRows = 8;
INLINE_SIMD Vector Load(const float* from) { return _mm512_loadu_ps(from); }
INLINE_SIMD void Store(float* to, Vector value) { _mm512_storeu_ps(to, value); }
INLINE_SIMD Vector Splat(float value) { return _mm512_set1_ps(value); }
// The halves of 16 lanes.
INLINE_SIMD void SplitLanes(const Vector* lanes, __m256* low, __m256* high) {
  *low = _mm512_castps512_ps256(lanes[0]);
  *high = _mm512_extractf32x8_ps(lanes[0], 1);
}
