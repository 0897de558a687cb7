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

// All `rows` rows of a, for `vectors` vectors of columns. `inner` is `fixed` if that is not 0: a known distance of the
// rows of a needs no registers for their addresses.
template <int vectors, int64_t fixed>
INLINE_SIMD void MultiplyPanel(const float* a, const float* b, int64_t rows, int64_t given_inner, int64_t columns,
                               float* product) {
  const int64_t inner = fixed > 0 ? fixed : given_inner;
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

template <int64_t fixed>
INLINE_SIMD void MultiplyFixed(const float* a, const float* b, int64_t rows, int64_t inner, int64_t columns,
                               float* product) {
  int64_t k = 0;
  for (; k + 2 * kWidth <= columns; k += 2 * kWidth)
    MultiplyPanel<2, fixed>(a, b + k, rows, inner, columns, product + k);
  for (; k < columns; k += kWidth) MultiplyPanel<1, fixed>(a, b + k, rows, inner, columns, product + k);
}

// product [rows, columns] = a [rows, inner] * b [inner, columns].
static void Multiply(const float* a, const float* b, int64_t rows, int64_t inner, int64_t columns, float* product) {
  switch (inner) {
    case 8:
      return MultiplyFixed<8>(a, b, rows, inner, columns, product);
    case 16:
      return MultiplyFixed<16>(a, b, rows, inner, columns, product);
    case 32:
      return MultiplyFixed<32>(a, b, rows, inner, columns, product);
    case 64:
      return MultiplyFixed<64>(a, b, rows, inner, columns, product);
    default:
      return MultiplyFixed<0>(a, b, rows, inner, columns, product);
  }
}

// The product of a tile replaces the values of the result, is added to them, or continues their sums: the terms are
// added one by one, with the bits of a single sum over all terms.
enum class TileResult { kWrite, kAdd, kContinue };

// One tile of a^T * b, summed over `length` rows of a [length, a_stride] and b [length, b_stride]: kOuterTileRows rows
// and `vectors` vectors of columns of the product [rows, columns].
template <int vectors, TileResult result>
INLINE_SIMD void OuterProductTile(const float* a, int64_t a_stride, const float* b, int64_t b_stride, int64_t length,
                                  int64_t columns, float* product) {
  Vector sums[kOuterTileRows][vectors];
  for (int r = 0; r < kOuterTileRows; r++)
    for (int k = 0; k < vectors; k++)
      sums[r][k] = result == TileResult::kContinue ? Load(product + r * columns + k * kWidth) : Splat(0);
  for (int64_t t = 0; t < length; t++) {
    Vector factors[vectors];
    for (int k = 0; k < vectors; k++) factors[k] = Load(b + t * b_stride + k * kWidth);
    for (int r = 0; r < kOuterTileRows; r++) {
      const Vector value = Splat(a[t * a_stride + r]);
      for (int k = 0; k < vectors; k++) sums[r][k] = MultiplyAdd(value, factors[k], sums[r][k]);
    }
  }
  for (int r = 0; r < kOuterTileRows; r++)
    for (int k = 0; k < vectors; k++) {
      float* to = product + r * columns + k * kWidth;
      Store(to, result == TileResult::kAdd ? Load(to) + sums[r][k] : sums[r][k]);
    }
}

// Rows of both factors whose parts of a tile and of a panel fit into the first-level cache together.
constexpr int64_t kOuterBlock = 128;

// Rows [first, last) of the product a^T * b [rows, columns], `vectors` vectors of columns wide, for a [length, rows]
// and b [length, columns]. `first` and `last` are multiples of kOuterTileRows. The sums run over blocks of rows of a
// and b, which stay in the first-level cache while the tiles read them; each element is one sum in order.
template <int vectors>
INLINE_SIMD void OuterProductPanel(const float* a, const float* b, int64_t length, int64_t rows, int64_t columns,
                                   int64_t first, int64_t last, float* product) {
  for (int64_t start = 0; start == 0 || start < length; start += kOuterBlock) {
    const int64_t block = start + kOuterBlock < length ? kOuterBlock : length - start;
    const float *from_a = a + start * rows, *from_b = b + start * columns;
    for (int64_t r = first; r < last; r += kOuterTileRows) {
      float* tile = product + r * columns;
      if (start == 0)
        OuterProductTile<vectors, TileResult::kWrite>(from_a + r, rows, from_b, columns, block, columns, tile);
      else
        OuterProductTile<vectors, TileResult::kContinue>(from_a + r, rows, from_b, columns, block, columns, tile);
    }
  }
}

// sums [rows, columns] += a^T * b, over `length` rows of a [length, rows] and b [length, columns].
INLINE_SIMD void AddOuterProducts(const float* a, const float* b, int64_t length, int64_t rows, int64_t columns,
                                  float* sums) {
  for (int64_t r = 0; r < rows; r += kOuterTileRows) {
    int64_t k = 0;
    for (; k + 2 * kWidth <= columns; k += 2 * kWidth)
      OuterProductTile<2, TileResult::kAdd>(a + r, rows, b + k, columns, length, columns, sums + r * columns + k);
    for (; k < columns; k += kWidth)
      OuterProductTile<1, TileResult::kAdd>(a + r, rows, b + k, columns, length, columns, sums + r * columns + k);
  }
}
