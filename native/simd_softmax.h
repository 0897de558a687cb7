// The softmax of a row and its gradient for one instruction set, after simd_exp.h. It has no header guard: attention.h
// and softmax.h include it into each namespace.
//
// Rows are padded to a multiple of kSumLanes with zeros. A sum has kSumLanes lanes at any vector width, which are added
// in a fixed order.

constexpr int64_t kParts = kSumLanes / kWidth;

// Combines the lanes of a row's sum or maximum in a fixed order: lane i with lane i + 8, then with i + 4, i + 2, i + 1.
template <class Combine>
INLINE_SIMD float CombineLanes(const Vector (&parts)[kParts], const Combine& combine) {
  __m256 low, high;
  SplitLanes(parts, &low, &high);
  const __m256 eight = combine(low, high);
  const __m128 four = combine(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = combine(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(combine(two, _mm_shuffle_ps(two, two, 1)));
}
struct SumOfTwo {
  template <class Values>
  __attribute__((always_inline)) inline Values operator()(Values a, Values b) const {
    return a + b;
  }
};
struct LargerOfTwo {
  template <class Values>
  __attribute__((always_inline)) inline Values operator()(Values a, Values b) const {
    return a > b ? a : b;
  }
};
INLINE_SIMD float SumOf(const Vector (&parts)[kParts]) { return CombineLanes(parts, SumOfTwo()); }

// The elements [j, j + kWidth) of a row of `length` elements; `missing` beyond its end.
INLINE_SIMD Vector LoadRow(const float* row, int64_t j, int64_t length, float missing) {
  if (j + kWidth <= length) return Load(row + j);
  float part[kWidth];
  for (int64_t i = 0; i < kWidth; i++) part[i] = j + i < length ? row[j + i] : missing;
  return Load(part);
}

// Replaces a row of scores [padded] by its softmax over the first `limit` keys that `mask` permits; the rest becomes 0,
// also if the mask permits none.
INLINE_SIMD void Softmax(float* row, int64_t padded, int64_t limit, const float* mask) {
  const Vector none = Splat(-INFINITY), zero = Splat(0.0f);
  bool any = mask == nullptr;
  for (int64_t j = 0; mask && j < limit; j++) any |= mask[j] != 0.0f;
  if (!any) return std::fill(row, row + padded, 0.0f);
  Vector parts[kParts];
  for (int64_t i = 0; i < kParts; i++) parts[i] = none;
  const int64_t end = PaddedLanes(limit);
  for (int64_t j = 0; j < end; j += kSumLanes)
    for (int64_t i = 0; i < kParts; i++) {
      const int64_t at = j + i * kWidth;
      Vector score = LoadRow(row, at, limit, -INFINITY);
      if (mask) score = LoadRow(mask, at, limit, 0) == zero ? none : score;
      Store(row + at, score);
      parts[i] = score > parts[i] ? score : parts[i];
    }
  const Vector highest = Splat(CombineLanes(parts, LargerOfTwo()));
  for (int64_t i = 0; i < kParts; i++) parts[i] = zero;
  for (int64_t j = 0; j < end; j += kSumLanes)
    for (int64_t i = 0; i < kParts; i++) {
      const Vector below = Load(row + j + i * kWidth) - highest;
      // Exp does not return 0. A NaN is not less than the bound and stays.
      const Vector power = below < Splat(-87.0f) ? zero : Exp(below);
      Store(row + j + i * kWidth, power);
      parts[i] += power;
    }
  const Vector factor = Splat(1.0f / SumOf(parts));
  for (int64_t j = 0; j < end; j += kWidth) Store(row + j, Load(row + j) * factor);
  std::fill(row + end, row + padded, 0.0f);
}

// Replaces `d` by the gradient of the scores whose softmax is `p`, given the gradient `d` of p: p * (d - sum(p * d)).
INLINE_SIMD void SoftmaxGradient(const float* p, int64_t padded, float* d) {
  Vector parts[kParts];
  for (int64_t i = 0; i < kParts; i++) parts[i] = Splat(0.0f);
  for (int64_t j = 0; j < padded; j += kSumLanes)
    for (int64_t i = 0; i < kParts; i++) parts[i] += Load(p + j + i * kWidth) * Load(d + j + i * kWidth);
  const Vector mean = Splat(SumOf(parts));
  for (int64_t j = 0; j < padded; j += kWidth) Store(d + j, Load(p + j) * (Load(d + j) - mean));
}
