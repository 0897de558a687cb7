// The gradient of a dense layer's matrix for one instruction set and precision. It has no header guard: simd.h includes
// it into each namespace.

// Packs the rows of x [rows, columns] for a sum over rows: out is [PackedLength(rows), columns], and a missing last row
// counts as zero. Only needed if kPack > 1; otherwise x is packed already.
static void DensePack(const float* x, int64_t rows, int64_t columns, float* out) {
  for (int64_t packed = 0; packed < PackedLength(rows); packed++) {
    const float* first = x + packed * kPack * columns;
    const bool complete = (packed + 1) * kPack <= rows;
    for (int64_t c = 0; c < columns; c += kWidth)
      Store(out + packed * columns + c,
            PackLanes(Load(first + c), complete ? Load(first + (kPack - 1) * columns + c) : Splat(0)));
  }
}

// Copies the first `width` columns of x [rows, columns] to out [rows, width].
INLINE_SIMD void CopyPanel(const float* x, int64_t rows, int64_t columns, int64_t width, float* out) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < width; c += kWidth) Store(out + r * width + c, Load(x + r * columns + c));
}

// Adds the products of `length` rows to the tiles of one panel: `vectors` vectors of columns of `out` [*, outputs].
// `tiles` holds `count` tiles [length, kOuterTileRows], `panel` is [length, vectors * kWidth].
template <int vectors>
INLINE_SIMD void DensePanel(const float* tiles, const float* panel, int64_t length, int64_t count, int64_t outputs,
                            bool continues, float* out) {
  for (int64_t i = 0; i < count; i++) {
    const float* tile = tiles + i * length * kOuterTileRows;
    float* to = out + i * kOuterTileRows * outputs;
    if (continues)
      OuterProductTile<vectors, TileResult::kContinue>(tile, kOuterTileRows, panel, vectors * kWidth, length, outputs,
                                                       to);
    else
      OuterProductTile<vectors, TileResult::kWrite>(tile, kOuterTileRows, panel, vectors * kWidth, length, outputs, to);
  }
}

// Writes rows [first, last) of x^T * dy to out [inputs, outputs]; x and dy are packed from `rows` rows. `first` and
// `last` are multiples of kChannelGroup. Each element is one sum in order, over blocks of rows. The tiles of x and the
// panel of dy are copied, because rows that are a power of two apart share few sets of the first-level cache.
static void DenseGradient(const float* x, const float* dy, int64_t rows, int64_t inputs, int64_t outputs, int64_t first,
                          int64_t last, float* out) {
  const int64_t length = PackedLength(rows), count = (last - first) / kOuterTileRows;
  const int64_t most = std::min(length, kOuterBlock);
  thread_local Scratch scratch;
  float* panel = scratch.Reserve(most * (2 * kWidth + last - first));
  float* tiles = panel + most * 2 * kWidth;
  for (int64_t start = 0; start < length; start += kOuterBlock) {
    const int64_t block = std::min(kOuterBlock, length - start);
    const bool continues = start > 0;
    for (int64_t i = 0; i < count; i++)
      for (int64_t t = 0; t < block; t++)
        std::memcpy(tiles + (i * block + t) * kOuterTileRows, x + (start + t) * inputs + first + i * kOuterTileRows,
                    kOuterTileRows * sizeof(float));
    const float* from = dy + start * outputs;
    float* to = out + first * outputs;
    int64_t k = 0;
    for (; k + 2 * kWidth <= outputs; k += 2 * kWidth) {
      CopyPanel(from + k, block, outputs, 2 * kWidth, panel);
      DensePanel<2>(tiles, panel, block, count, outputs, continues, to + k);
    }
    for (; k < outputs; k += kWidth) {
      CopyPanel(from + k, block, outputs, kWidth, panel);
      DensePanel<1>(tiles, panel, block, count, outputs, continues, to + k);
    }
  }
}
