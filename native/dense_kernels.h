// The gradient of a dense layer's matrix for one instruction set and precision (simd.h). No header guard: it is
// included once for each.

// Pairs of rows of x [rows, columns] as words of kPack factors; a missing last row is zero. Not needed where a word is
// a float.
static void DensePack(const float* x, int64_t rows, int64_t columns, float* out) {
  for (int64_t word = 0; word < Words(rows); word++) {
    const float* first = x + word * kPack * columns;
    const bool whole = (word + 1) * kPack <= rows;
    for (int64_t c = 0; c < columns; c += kWidth)
      Write(out + word * columns + c, Pack(Read(first + c), whole ? Read(first + (kPack - 1) * columns + c) : All(0)));
  }
}

// x' dy for the rows [first, last) of the result [inputs, outputs]; x and dy are packed, from `rows` rows.
static void DenseGradient(const float* x, const float* dy, int64_t rows, int64_t inputs, int64_t outputs, int64_t first,
                          int64_t last, float* out) {
  int64_t k = 0;
  // One panel of dy stays in the first-level cache while x streams past it.
  for (; k + 2 * kWidth <= outputs; k += 2 * kWidth)
    for (int64_t c = first; c < last; c += kFilterRows)
      OuterProductsRows<2, false>(x + c, dy + k, Words(rows), inputs, outputs, out + c * outputs + k);
  for (; k < outputs; k += kWidth)
    for (int64_t c = first; c < last; c += kFilterRows)
      OuterProductsRows<1, false>(x + c, dy + k, Words(rows), inputs, outputs, out + c * outputs + k);
}
