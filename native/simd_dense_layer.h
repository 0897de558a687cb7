// The functions of dense_layer.h for one instruction set. It has no header guard: dense_layer.h includes it into each
// namespace. Every element is one sum over `inner` in order, so blocks of rows and threads do not change it.

INLINE_SIMD Vector LoadPart(const float* from, int64_t count) {
  float part[kWidth] = {};
  std::memcpy(part, from, static_cast<size_t>(count) * sizeof(float));
  return Load(part);
}
INLINE_SIMD void StorePart(float* to, Vector value, int64_t count) {
  float part[kWidth];
  Store(part, value);
  std::memcpy(to, part, static_cast<size_t>(count) * sizeof(float));
}

// Copies a matrix [inner, columns], or [columns, inner] if `transposed`, to panels [inner, kDensePanel]; the columns
// after the last one are 0.
static void PackDensePanels(const float* matrix, int64_t inner, int64_t columns, bool transposed, float* panels) {
  for (int64_t first = 0; first < columns; first += kDensePanel, panels += inner * kDensePanel) {
    const int64_t width = std::min(kDensePanel, columns - first);
    if (width < kDensePanel) std::fill(panels, panels + inner * kDensePanel, 0.0f);
    if (!transposed) {
      for (int64_t i = 0; i < inner; i++)
        std::memcpy(panels + i * kDensePanel, matrix + i * columns + first, static_cast<size_t>(width) * sizeof(float));
      continue;
    }
    // Eight rows at a time, so that the lines of the panel stay in the first-level cache.
    for (int64_t start = 0; start < inner; start += 8) {
      const int64_t end = std::min(start + 8, inner);
      for (int64_t c = 0; c < width; c++)
        for (int64_t i = start; i < end; i++) panels[i * kDensePanel + c] = matrix[(first + c) * inner + i];
    }
  }
}

// One tile of a product: `rows` rows of a [*, inner], and `vectors` vectors of a panel, of which `columns` columns are
// written to out [*, stride]. A ReLU keeps NaN.
template <int rows, int vectors>
INLINE_SIMD void DenseTile(const float* a, const float* panel, int64_t inner, const DenseTail& tail, int64_t first,
                           int64_t columns, int64_t stride, float* out) {
  Vector sums[rows][vectors];
  for (int r = 0; r < rows; r++)
    for (int k = 0; k < vectors; k++) sums[r][k] = Splat(0);
  for (int64_t i = 0; i < inner; i++) {
    Vector factors[vectors];
    for (int k = 0; k < vectors; k++) factors[k] = Load(panel + i * kDensePanel + k * kWidth);
    for (int r = 0; r < rows; r++) {
      const Vector value = Splat(a[r * inner + i]);
      for (int k = 0; k < vectors; k++) sums[r][k] = MultiplyAdd(value, factors[k], sums[r][k]);
    }
  }
  for (int k = 0; k < vectors; k++) {
    const int64_t c = k * kWidth, count = columns - c;
    const Vector bias = !tail.bias        ? Splat(0)
                        : count >= kWidth ? Load(tail.bias + first + c)
                                          : LoadPart(tail.bias + first + c, count);
    for (int r = 0; r < rows; r++) {
      Vector value = sums[r][k];
      if (tail.bias) value = value + bias;
      if (tail.addend) {
        const float* addend = tail.addend + (out - tail.out) + r * stride + c;
        value = value + (count >= kWidth ? Load(addend) : LoadPart(addend, count));
      }
      if (tail.relu) value = Maximum(Splat(0), value);
      float* to = out + r * stride + c;
      if (count >= kWidth) {
        Store(to, value);
      } else {
        StorePart(to, value, count);
      }
    }
  }
}

// All `rows` rows of a, for one panel of at most `vectors` vectors.
template <int vectors>
INLINE_SIMD void DensePanelRows(const float* a, const float* panel, int64_t rows, int64_t inner, const DenseTail& tail,
                                int64_t first, int64_t columns, int64_t stride, float* out) {
  // Tiles of nearly equal height, as in MultiplyPanel.
  const int64_t tiles = (rows + kTileRows - 1) / kTileRows;
  for (int64_t tile = 0; tile < tiles; tile++) {
    const int64_t row = rows * tile / tiles;
    const float* from = a + row * inner;
    float* to = out + row * stride;
    switch (rows * (tile + 1) / tiles - row) {
#define CASE(n)                                                                                      \
  case n:                                                                                            \
    if (n <= kTileRows) DenseTile<n, vectors>(from, panel, inner, tail, first, columns, stride, to); \
    break;
      CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
#undef CASE
    }
  }
}

// Rows [from, to) of out [*, columns] = tail(a * matrix), for the panels of a matrix [inner, columns].
static void DenseRows(const float* a, const float* panels, int64_t inner, int64_t columns, const DenseTail& tail,
                      int64_t from, int64_t to) {
  constexpr int vectors = kDensePanel / kWidth;
  for (int64_t row = from; row < to; row += kDenseRows) {
    const int64_t rows = std::min(kDenseRows, to - row);
    for (int64_t first = 0; first < columns; first += kDensePanel) {
      const int64_t width = std::min(kDensePanel, columns - first);
      const float* panel = panels + first * inner;
      float* out = tail.out + row * columns + first;
      for (int64_t k = 0; k < vectors; k += 2) {
        const int64_t left = width - k * kWidth;
        if (left <= 0) break;
        const float* part = panel + k * kWidth;
        const int64_t c = first + k * kWidth;
        if (left > kWidth) {
          DensePanelRows<2>(a + row * inner, part, rows, inner, tail, c, std::min(left, 2 * kWidth), columns,
                            out + k * kWidth);
        } else {
          DensePanelRows<1>(a + row * inner, part, rows, inner, tail, c, left, columns, out + k * kWidth);
        }
      }
    }
  }
}

// Writes dz = dy where y > 0, and 0 elsewhere, to rows [from, to) of dz [*, columns], and their sums per column to
// `sums`.
static void DenseReluGradient(const float* dy, const float* y, int64_t columns, int64_t from, int64_t to, float* dz,
                              float* sums) {
  std::fill(sums, sums + columns, 0.0f);
  for (int64_t r = from; r < to; r++) {
    const float *gradient = dy + r * columns, *result = y + r * columns;
    float* row = dz + r * columns;
    for (int64_t c = 0; c < columns; c++) {
      const float value = result[c] > 0 ? gradient[c] : 0.0f;
      row[c] = value;
      sums[c] += value;
    }
  }
}
