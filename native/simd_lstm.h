// The passes of an LSTM over one group of samples, for one instruction set. It has no header guard: simd_recurrence.h
// includes it into each namespace.
//
// The forward pass multiplies all four gates of a few units at once and applies the cell to the sums while they are in
// registers. Sums run in the order of simd_products.h.

// Rows of a tile whose sums, one vector per gate, fit the registers.
constexpr int kGateRows = kTileRows / 2;

// Packs a kernel [units, 4 * units] to [padded / kWidth, units, 4, kWidth]: the columns of all gates for kWidth units
// follow each other. Padding is zero.
static void PackLstmKernel(const float* from, int64_t units, int64_t padded, float* to) {
  for (int64_t j = 0; j < padded; j += kWidth)
    for (int64_t i = 0; i < units; i++)
      for (int g = 0; g < 4; g++, to += kWidth) Store(to, LoadPart(from + (i * 4 + g) * units, j, units));
}

// Writes the products of `rows` rows of `a` [*, padded] and the columns of `weights` [units, 4, kWidth] to `products`
// [rows, 4, kWidth].
template <int rows>
INLINE_SIMD void MultiplyGates(const float* a, const float* weights, int64_t units, int64_t padded, float* products) {
  Vector sums[rows][4];
  for (int r = 0; r < rows; r++)
    for (int g = 0; g < 4; g++) sums[r][g] = Splat(0);
  for (int64_t i = 0; i < units; i++) {
    Vector factors[4];
    for (int g = 0; g < 4; g++) factors[g] = Load(weights + (i * 4 + g) * kWidth);
    for (int r = 0; r < rows; r++) {
      const Vector value = Splat(a[r * padded + i]);
      for (int g = 0; g < 4; g++) sums[r][g] = MultiplyAdd(value, factors[g], sums[r][g]);
    }
  }
  for (int r = 0; r < rows; r++)
    for (int g = 0; g < 4; g++) Store(products + (r * 4 + g) * kWidth, sums[r][g]);
}

// One time step of the cell for the row `r` and the units [j, j + kWidth), given their products [4, kWidth]. Changes
// `hidden` and `carry` [rows of the pass, padded].
INLINE_SIMD void LstmCell(const Pass& p, const float* products, const float* bias, int64_t r, int64_t t, int64_t j,
                          float* hidden, float* carry, float* record) {
  const Recurrence& s = p.s;
  const int64_t padded = p.padded, units = s.units, part = s.part();
  const float* x = p.Row(p.in.projected, r, t, 4);
  float* saved = p.Row(record + kRecordFirst * part, r, t, 4);
  const auto save = [&](int which, Vector value) __attribute__((always_inline)) {
    StorePart(p.Row(record + which * part, r, t, 1), j, units, value);
  };
  Vector gate[4];
  for (int g = 0; g < 4; g++) {
    const Vector sum = (LoadPart(x + g * units, j, units) + Load(products + g * kWidth)) + Load(bias + g * padded + j);
    gate[g] = Activate(g == 2 ? s.activation : s.recurrent_activation, sum);
    StorePart(saved + g * units, j, units, gate[g]);
  }
  const int64_t cell = r * padded + j;
  const bool masked = p.Masked(r, t);
  const Vector before = Load(carry + cell);
  const Vector after = gate[1] * before + gate[0] * gate[2];
  const Vector activated = Activate(s.activation, after);
  const Vector next = masked ? Load(hidden + cell) : gate[3] * activated;
  const Vector kept = masked ? before : after;
  save(kRecordCarryOut, activated);
  save(kRecordCarry, kept);
  save(kRecordHidden, next);
  Store(carry + cell, kept);
  Store(hidden + cell, next);
}

// Writes the record of one group. `weights` are packed by PackLstmKernel, and `bias` by PackBias.
static void LstmForwardGroup(const Pass& p, const float* weights, const float* bias, float* memory, float* record) {
  const int64_t rows = p.rows, padded = p.padded, units = p.s.units, cells = rows * padded, steps = p.s.steps;
  float *hidden = memory, *carry = hidden + cells, *previous = carry + cells;
  p.Initial(0, hidden);
  p.Initial(1, carry);
  const int64_t tiles = (rows + kGateRows - 1) / kGateRows;
  for (int64_t step = 0; step < steps; step++) {
    const int64_t t = p.s.time(step);
    p.Previous(hidden, t, previous, record);
    for (int64_t j = 0; j < padded; j += kWidth) {
      const float* columns = weights + j * units * 4;
      for (int64_t tile = 0; tile < tiles; tile++) {
        const int64_t first = rows * tile / tiles, end = rows * (tile + 1) / tiles;
        const float* from = previous + first * padded;
        float products[kGateRows * 4 * kWidth];
        switch (end - first) {
#define CASE(n)                                                                   \
  case n:                                                                         \
    if (n <= kGateRows) MultiplyGates<n>(from, columns, units, padded, products); \
    break;
          CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
#undef CASE
        }
        for (int64_t r = first; r < end; r++)
          LstmCell(p, products + (r - first) * 4 * kWidth, bias, r, t, j, hidden, carry, record);
      }
    }
  }
}

// Writes the gradient of `projected` for one group. `d_hidden` and `d_carry` [rows, padded] contain the gradients of
// the last states and receive those of the initial ones. `weights` [4 * padded, padded] is the transposed kernel.
static void LstmBackwardGroup(const Pass& p, const float* weights, const float* record, const RecurrenceGradients& dy,
                              float* d_hidden, float* d_carry, float* memory, float* d_projected) {
  const Recurrence& s = p.s;
  const int64_t rows = p.rows, padded = p.padded, units = s.units, part = s.part();
  float *d_previous = memory, *d_gates = d_previous + rows * padded;
  for (int64_t step = s.steps - 1; step >= 0; step--) {
    const int64_t t = s.time(step);
    for (int64_t r = 0; r < rows; r++) {
      const bool masked = p.Masked(r, t);
      float* out = p.Row(d_projected, r, t, 4);
      const float* saved = p.Row(record + kRecordFirst * part, r, t, 4);
      // The carry before the step; null for zeros.
      const float* before = step > 0       ? p.Row(record + kRecordCarry * part, r, s.time(step - 1), 1)
                            : p.in.initial ? p.in.initial + (s.samples + p.from + r) * units
                                           : nullptr;
      for (int64_t j = 0; j < padded; j += kWidth) {
        const auto emit = [&](int64_t gate, Vector value) __attribute__((always_inline)) {
          Store(d_gates + (r * 4 + gate) * padded + j, value);
          StorePart(out + gate * units, j, units, value);
        };
        const int64_t cell = r * padded + j;
        const Vector d = p.StateGradient(dy, r, t, j, d_hidden + cell);
        // A masked step passes the gradients to the states before it.
        if (masked) {
          for (int64_t g = 0; g < 4; g++) emit(g, Splat(0));
          continue;
        }
        const Vector i = LoadPart(saved, j, units), f = LoadPart(saved + units, j, units);
        const Vector g = LoadPart(saved + 2 * units, j, units), o = LoadPart(saved + 3 * units, j, units);
        const Vector activated = LoadPart(p.Row(record + kRecordCarryOut * part, r, t, 1), j, units);
        const Vector carry = before ? LoadPart(before, j, units) : Splat(0);
        const Vector dc = Load(d_carry + cell) + d * o * Slope(s.activation, activated);
        emit(0, dc * g * Slope(s.recurrent_activation, i));
        emit(1, dc * carry * Slope(s.recurrent_activation, f));
        emit(2, dc * i * Slope(s.activation, g));
        emit(3, d * activated * Slope(s.recurrent_activation, o));
        Store(d_carry + cell, dc * f);
      }
    }
    Multiply(d_gates, weights, rows, 4 * padded, padded, d_previous);
    for (int64_t r = 0; r < rows; r++) {
      if (p.Masked(r, t)) continue;
      for (int64_t j = 0; j < padded; j += kWidth) {
        const int64_t cell = r * padded + j;
        Store(d_hidden + cell, p.Dropped(Load(d_previous + cell), r, j));
      }
    }
  }
}
