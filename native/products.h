// Matrix products for one instruction set and precision (simd.h). No header guard: it is included once for each.
//
// What is summed over comes in words of kPack factors: one float, or two bfloat16. Sums are in order, each product
// fused into its sum, whatever the width of a vector.

// Words of so many factors.
INLINE_SIMD int64_t Words(int64_t factors) { return (factors + kPack - 1) / kPack; }

// m = v * u for `rows` rows of v [tiles, inputs] and `vectors` vectors of the columns of u [inputs, outputs].
template <int rows, int vectors>
INLINE_SIMD void MultiplyRows(const float* v, const float* u, int64_t inputs, int64_t outputs, float* m) {
  Floats sums[rows][vectors];
  for (int r = 0; r < rows; r++)
    for (int k = 0; k < vectors; k++) sums[r][k] = All(0);
  for (int64_t c = 0; c < inputs; c++) {
    Floats factors[vectors];
    for (int k = 0; k < vectors; k++) factors[k] = Read(u + c * outputs + k * kWidth);
    for (int r = 0; r < rows; r++) {
      const Floats value = All(v[r * inputs + c]);
      for (int k = 0; k < vectors; k++) sums[r][k] = MultiplyAdd(value, factors[k], sums[r][k]);
    }
  }
  for (int r = 0; r < rows; r++)
    for (int k = 0; k < vectors; k++) Write(m + r * outputs + k * kWidth, sums[r][k]);
}

template <int vectors>
INLINE_SIMD void MultiplyColumns(const float* v, const float* u, int64_t tiles, int64_t inputs, int64_t outputs,
                                 float* m) {
  // Parts of about one size, so that none is left over that is too short to fill the pipeline.
  const int64_t parts = (tiles + kRows - 1) / kRows;
  for (int64_t part = 0; part < parts; part++) {
    const int64_t from = tiles * part / parts;
    const float* rows = v + from * inputs;
    float* to = m + from * outputs;
    switch (tiles * (part + 1) / parts - from) {
#define CASE(n)                                                             \
  case n:                                                                   \
    if (n <= kRows) MultiplyRows<n, vectors>(rows, u, inputs, outputs, to); \
    break;
      CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
#undef CASE
    }
  }
}

INLINE_SIMD void Multiply(const float* v, const float* u, int64_t tiles, int64_t inputs, int64_t outputs, float* m) {
  int64_t k = 0;
  for (; k + 2 * kWidth <= outputs; k += 2 * kWidth) MultiplyColumns<2>(v, u + k, tiles, inputs, outputs, m + k);
  for (; k < outputs; k += kWidth) MultiplyColumns<1>(v, u + k, tiles, inputs, outputs, m + k);
}

// v' * d over `words` words of v [words, inputs] and d [words, outputs]: kFilterRows rows of the product [inputs,
// outputs], added to what is there or written over it.
template <int vectors, bool add>
INLINE_SIMD void OuterProductsRows(const float* v, const float* d, int64_t words, int64_t inputs, int64_t outputs,
                                   float* out) {
  Floats sums[kFilterRows][vectors];
  for (int r = 0; r < kFilterRows; r++)
    for (int k = 0; k < vectors; k++) sums[r][k] = All(0);
  for (int64_t t = 0; t < words; t++) {
    Floats factors[vectors];
    for (int k = 0; k < vectors; k++) factors[k] = Read(d + t * outputs + k * kWidth);
    for (int r = 0; r < kFilterRows; r++) {
      const Floats value = All(v[t * inputs + r]);
      for (int k = 0; k < vectors; k++) sums[r][k] = MultiplyAdd(value, factors[k], sums[r][k]);
    }
  }
  for (int r = 0; r < kFilterRows; r++)
    for (int k = 0; k < vectors; k++) {
      float* to = out + r * outputs + k * kWidth;
      Write(to, add ? Read(to) + sums[r][k] : sums[r][k]);
    }
}

// sums += v' * d.
INLINE_SIMD void AddProducts(const float* v, const float* d, int64_t words, int64_t inputs, int64_t outputs,
                             float* sums) {
  for (int64_t c = 0; c < inputs; c += kFilterRows) {
    int64_t k = 0;
    for (; k + 2 * kWidth <= outputs; k += 2 * kWidth)
      OuterProductsRows<2, true>(v + c, d + k, words, inputs, outputs, sums + c * outputs + k);
    for (; k < outputs; k += kWidth)
      OuterProductsRows<1, true>(v + c, d + k, words, inputs, outputs, sums + c * outputs + k);
  }
}
