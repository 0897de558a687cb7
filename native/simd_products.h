// Matrix products for one instruction set and precision. It has no header guard: simd.h includes it into each
// namespace.
//
// The summed dimension is packed: kPack consecutive factors share one 32-bit lane (one float32 or two bfloat16), and a
// float* to factors counts lanes. Sums run in order, each product fused into its sum, at any vector width. Column
// counts are multiples of kWidth; row counts of outer products are multiples of kOuterTileRows.

// The number of lanes that hold `factors` factors.
INLINE_SIMD int64_t PackedLength(int64_t factors) { return (factors + kPack - 1) / kPack; }

// product = a * b for one tile: `rows` rows of a [*, inner] and `vectors` vectors of columns of b [inner, columns].
template <int rows, int vectors>
INLINE_SIMD void MultiplyTile(const float* a, const float* b, int64_t inner, int64_t columns, float* product) {
  Vector sums[rows][vectors];
  for (int r = 0; r < rows; r++)
    for (int k = 0; k < vectors; k++) sums[r][k] = Splat(0);
  for (int64_t i = 0; i < inner; i++) {
    Vector factors[vectors];
    for (int k = 0; k < vectors; k++) factors[k] = Load(b + i * columns + k * kWidth);
    for (int r = 0; r < rows; r++) {
      const Vector value = Splat(a[r * inner + i]);
      for (int k = 0; k < vectors; k++) sums[r][k] = MultiplyAdd(value, factors[k], sums[r][k]);
    }
  }
  for (int r = 0; r < rows; r++)
    for (int k = 0; k < vectors; k++) Store(product + r * columns + k * kWidth, sums[r][k]);
}

// All `rows` rows of a, for `vectors` vectors of columns.
template <int vectors>
INLINE_SIMD void MultiplyPanel(const float* a, const float* b, int64_t rows, int64_t inner, int64_t columns,
                               float* product) {
  // Tiles of nearly equal height, so that no last tile is too short to hide the latency of the multiply-add.
  const int64_t tiles = (rows + kTileRows - 1) / kTileRows;
  for (int64_t tile = 0; tile < tiles; tile++) {
    const int64_t first = rows * tile / tiles;
    const float* from = a + first * inner;
    float* to = product + first * columns;
    switch (rows * (tile + 1) / tiles - first) {
#define CASE(n)                                                                \
  case n:                                                                      \
    if (n <= kTileRows) MultiplyTile<n, vectors>(from, b, inner, columns, to); \
    break;
      CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
#undef CASE
    }
  }
}

// product [rows, columns] = a [rows, inner] * b [inner, columns].
INLINE_SIMD void Multiply(const float* a, const float* b, int64_t rows, int64_t inner, int64_t columns,
                          float* product) {
  int64_t k = 0;
  for (; k + 2 * kWidth <= columns; k += 2 * kWidth) MultiplyPanel<2>(a, b + k, rows, inner, columns, product + k);
  for (; k < columns; k += kWidth) MultiplyPanel<1>(a, b + k, rows, inner, columns, product + k);
}

// One tile of a^T * b, summed over `length` rows of a [length, rows] and b [length, columns]: kOuterTileRows rows and
// `vectors` vectors of columns. It is added to the product [rows, columns] if `add`, and written otherwise.
template <int vectors, bool add>
INLINE_SIMD void OuterProductTile(const float* a, const float* b, int64_t length, int64_t rows, int64_t columns,
                                  float* product) {
  Vector sums[kOuterTileRows][vectors];
  for (int r = 0; r < kOuterTileRows; r++)
    for (int k = 0; k < vectors; k++) sums[r][k] = Splat(0);
  for (int64_t t = 0; t < length; t++) {
    Vector factors[vectors];
    for (int k = 0; k < vectors; k++) factors[k] = Load(b + t * columns + k * kWidth);
    for (int r = 0; r < kOuterTileRows; r++) {
      const Vector value = Splat(a[t * rows + r]);
      for (int k = 0; k < vectors; k++) sums[r][k] = MultiplyAdd(value, factors[k], sums[r][k]);
    }
  }
  for (int r = 0; r < kOuterTileRows; r++)
    for (int k = 0; k < vectors; k++) {
      float* to = product + r * columns + k * kWidth;
      Store(to, add ? Load(to) + sums[r][k] : sums[r][k]);
    }
}

// sums [rows, columns] += a^T * b, over `length` rows of a [length, rows] and b [length, columns].
INLINE_SIMD void AddOuterProducts(const float* a, const float* b, int64_t length, int64_t rows, int64_t columns,
                                  float* sums) {
  for (int64_t r = 0; r < rows; r += kOuterTileRows) {
    int64_t k = 0;
    for (; k + 2 * kWidth <= columns; k += 2 * kWidth)
      OuterProductTile<2, true>(a + r, b + k, length, rows, columns, sums + r * columns + k);
    for (; k < columns; k += kWidth)
      OuterProductTile<1, true>(a + r, b + k, length, rows, columns, sums + r * columns + k);
  }
}
