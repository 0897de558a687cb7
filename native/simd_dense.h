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

// Writes rows [first, last) of x^T * dy to out [inputs, outputs]; x and dy are packed from `rows` rows. `first` and
// `last` are multiples of kChannelGroup.
static void DenseGradient(const float* x, const float* dy, int64_t rows, int64_t inputs, int64_t outputs, int64_t first,
                          int64_t last, float* out) {
  int64_t k = 0;
  for (; k + 2 * kWidth <= outputs; k += 2 * kWidth)
    OuterProductPanel<2>(x, dy + k, PackedLength(rows), inputs, outputs, first, last, out + k);
  for (; k < outputs; k += kWidth)
    OuterProductPanel<1>(x, dy + k, PackedLength(rows), inputs, outputs, first, last, out + k);
}
