// The functions of batch_product.h for one instruction set. It has no header guard: batch_product.h includes it into
// each namespace. Every element is one sum over `inner` in order, so blocks of rows and threads do not change it.

// Copies `columns` columns from `first` of `from` [rows, stride] to `to` [rows, padded], or [padded, rows] if
// `transposed`; the columns after them become 0.
static void PackColumns(const float* from, int64_t rows, int64_t stride, int64_t first, int64_t columns, int64_t padded,
                        bool transposed, float* to) {
  for (int64_t r = 0; r < rows; r++) {
    const float* row = from + r * stride + first;
    if (transposed) {
      for (int64_t c = 0; c < columns; c++) to[c * rows + r] = row[c];
    } else {
      std::memcpy(to + r * padded, row, static_cast<size_t>(columns) * sizeof(float));
      std::fill(to + r * padded + columns, to + (r + 1) * padded, 0.0f);
    }
  }
}

// Copies the transpose of `from` [columns, rows] to `to` [rows, padded]; the columns after them become 0.
static void PackTransposed(const float* from, int64_t rows, int64_t columns, int64_t padded, float* to) {
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t c = 0; c < columns; c++) to[r * padded + c] = from[c * rows + r];
    std::fill(to + r * padded + columns, to + (r + 1) * padded, 0.0f);
  }
}

// out [rows, columns] = a^T * b for whole tiles: rows are a multiple of kOuterTileRows, columns of kWidth. a is the
// first `rows` columns of [inner, stride].
static void OuterProducts(const float* a, const float* b, int64_t inner, int64_t stride, int64_t rows, int64_t columns,
                          float* out) {
  int64_t k = 0;
  for (; k + 2 * kWidth <= columns; k += 2 * kWidth)
    OuterProductPanel<2>(a, b + k, inner, stride, columns, 0, rows, out + k);
  for (; k < columns; k += kWidth) OuterProductPanel<1>(a, b + k, inner, stride, columns, 0, rows, out + k);
}

// The blocks [from, to) of kProductRows rows, numbered over all products.
static void BatchProductBlocks(const BatchProduct& p, const float* a, const float* b, int64_t from, int64_t to,
                               float* out) {
  const int64_t blocks = (p.rows + kProductRows - 1) / kProductRows, padded = PaddedLanes(p.columns);
  const int64_t most = std::min(p.rows, kProductRows);
  thread_local Scratch scratch;
  float* packed_b = scratch.Reserve(p.inner * padded + most * (p.inner + padded));
  float *packed_a = packed_b + p.inner * padded, *product = packed_a + most * p.inner;
  const bool pack_b = p.transpose_b || padded != p.columns;
  int64_t packed = -1;
  for (int64_t i = from; i < to; i++) {
    const int64_t matrix = i / blocks, first = i % blocks * kProductRows;
    const int64_t rows = std::min(kProductRows, p.rows - first);
    const float* factor = b + matrix * p.inner * p.columns;
    if (pack_b && packed != matrix) {
      if (p.transpose_b) {
        PackTransposed(factor, p.inner, p.columns, padded, packed_b);
      } else {
        PackColumns(factor, p.inner, p.columns, 0, p.columns, padded, false, packed_b);
      }
      packed = matrix;
    }
    if (pack_b) factor = packed_b;
    const float* left = a + matrix * p.rows * p.inner + (p.transpose_a ? first : first * p.inner);
    float* target = out + (matrix * p.rows + first) * p.columns;
    float* to_write = padded == p.columns ? target : product;
    if (p.transpose_a && rows % kOuterTileRows == 0) {
      OuterProducts(left, factor, p.inner, p.rows, rows, padded, to_write);
    } else {
      if (p.transpose_a) PackColumns(left, p.inner, p.rows, 0, rows, 0, true, packed_a);
      Multiply(p.transpose_a ? packed_a : left, factor, rows, p.inner, padded, to_write);
    }
    if (to_write != target)
      for (int64_t r = 0; r < rows; r++)
        std::memcpy(target + r * p.columns, product + r * padded, static_cast<size_t>(p.columns) * sizeof(float));
  }
}

// Rows [from, to) of the softmax of x [rows, columns].
static void SoftmaxRows(const float* x, int64_t columns, int64_t from, int64_t to, float* y) {
  const int64_t padded = PaddedLanes(columns);
  thread_local Scratch scratch;
  float* row = scratch.Reserve(padded);
  for (int64_t r = from; r < to; r++) {
    std::memcpy(row, x + r * columns, static_cast<size_t>(columns) * sizeof(float));
    Softmax(row, padded, columns, nullptr);
    std::memcpy(y + r * columns, row, static_cast<size_t>(columns) * sizeof(float));
  }
}

// Rows [from, to) of the gradient of a softmax with the result y, given dy.
static void SoftmaxGradientRows(const float* y, const float* dy, int64_t columns, int64_t from, int64_t to, float* dx) {
  const int64_t padded = PaddedLanes(columns);
  thread_local Scratch scratch;
  float *p = scratch.Reserve(2 * padded), *d = p + padded;
  std::fill(p, p + 2 * padded, 0.0f);
  for (int64_t r = from; r < to; r++) {
    std::memcpy(p, y + r * columns, static_cast<size_t>(columns) * sizeof(float));
    std::memcpy(d, dy + r * columns, static_cast<size_t>(columns) * sizeof(float));
    SoftmaxGradient(p, padded, d);
    std::memcpy(dx + r * columns, d, static_cast<size_t>(columns) * sizeof(float));
  }
}
