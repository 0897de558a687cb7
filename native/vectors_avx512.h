// Vectors of AVX-512, for either precision (simd.h). No header guard: it is included once for each.

typedef __m512 Floats;
constexpr int64_t kWidth = 16;
constexpr int kRows = 12;  // with two vectors of outputs, 24 of the 32 registers
constexpr int kFilterRows = 8;
INLINE_SIMD Floats Read(const float* from) { return _mm512_loadu_ps(from); }
INLINE_SIMD void Write(float* to, Floats value) { _mm512_storeu_ps(to, value); }
INLINE_SIMD Floats All(float value) { return _mm512_set1_ps(value); }
