// The passes of recurrence.h for one instruction set. It has no header guard: recurrence.h includes it into each
// namespace.
//
// Samples do not interact, so a call computes a range of them and threads divide the samples. Inside, units are padded
// to `padded`, a multiple of kWidth: weights have zeros there, so the padding never reaches a real unit.

// The vector of elements [j, j + kWidth) of a row of `length` elements; zeros beyond its end.
INLINE_SIMD Vector LoadPart(const float* row, int64_t j, int64_t length) {
  if (j + kWidth <= length) return Load(row + j);
  float part[kWidth] = {};
  for (int64_t i = j; i < length; i++) part[i - j] = row[i];
  return Load(part);
}
INLINE_SIMD void StorePart(float* row, int64_t j, int64_t length, Vector value) {
  if (j + kWidth <= length) return Store(row + j, value);
  float part[kWidth];
  Store(part, value);
  for (int64_t i = j; i < length; i++) row[i] = part[i - j];
}

// Copies columns [first, first + count) of `from` [rows, columns], which are gates of `units` columns each, to a matrix
// whose rows and gates are padded, or to its transpose.
static void PackGates(const float* from, int64_t units, int64_t gates, int64_t first, int64_t count, int64_t padded,
                      bool transposed, float* to) {
  std::fill(to, to + padded * count * padded, 0.0f);
  for (int64_t i = 0; i < units; i++)
    for (int64_t g = 0; g < count; g++)
      for (int64_t k = 0; k < units; k++) {
        const float value = from[i * gates * units + (first + g) * units + k];
        if (transposed)
          to[(g * padded + k) * padded + i] = value;
        else
          to[i * count * padded + g * padded + k] = value;
      }
}

// One pass over the samples [from, to), and its memory.
struct Pass {
  const Recurrence& s;
  const RecurrenceInputs& in;
  int64_t from, rows, padded, gates;

  Pass(const Recurrence& shape, const RecurrenceInputs& inputs, int64_t first, int64_t last)
      : s(shape),
        in(inputs),
        from(first),
        rows(last - first),
        padded((shape.units + kWidth - 1) / kWidth * kWidth),
        gates(shape.gates()) {}

  bool Masked(int64_t r, int64_t t) const { return in.mask && in.mask[s.at(from + r, t, 1)] == 0.0f; }
  const float* Row(const float* values, int64_t r, int64_t t, int64_t gate_count) const {
    return values + s.at(from + r, t, gate_count * s.units);
  }
  float* Row(float* values, int64_t r, int64_t t, int64_t gate_count) const {
    return values + s.at(from + r, t, gate_count * s.units);
  }
  // Loads the states before the first step, or zeros, to `to` [rows, padded].
  void Initial(int64_t state, float* to) const {
    for (int64_t r = 0; r < rows; r++)
      for (int64_t j = 0; j < padded; j += kWidth)
        Store(to + r * padded + j,
              in.initial ? LoadPart(in.initial + (state * s.samples + from + r) * s.units, j, s.units) : Splat(0));
  }
  // Multiplies a row of hidden states, or of their gradients, by the factors of its dropout.
  __attribute__((always_inline)) inline Vector Dropped(Vector value, int64_t r, int64_t j) const {
    return in.dropout ? value * LoadPart(in.dropout + (from + r) * s.units, j, s.units) : value;
  }
};

// Copies the bias to gates that are padded; zeros if there is none.
static void PackBias(const Pass& p, float* to) {
  std::fill(to, to + p.gates * p.padded, 0.0f);
  if (!p.in.bias) return;
  for (int64_t g = 0; g < p.gates; g++)
    std::copy(p.in.bias + g * p.s.units, p.in.bias + (g + 1) * p.s.units, to + g * p.padded);
}

// Writes the record of the samples [first, last): `parts` x [samples, steps, units].
static void RecurrenceForward(const Recurrence& s, const RecurrenceInputs& in, int64_t first, int64_t last,
                              float* record) {
  const Pass p(s, in, first, last);
  const int64_t rows = p.rows, padded = p.padded, units = s.units, gates = p.gates, part = s.part();
  const int64_t cells = rows * padded;
  // A GRU multiplies the candidate's columns by r * state, so they are a matrix of their own.
  const int64_t joint = s.kind == kGru ? 2 : gates;
  thread_local Scratch scratch;
  float* hidden = scratch.Reserve(4 * cells + (joint + 1) * cells + (gates + 1) * padded * padded + gates * padded);
  float *carry = hidden + cells, *previous = carry + cells, *reset = previous + cells, *products = reset + cells;
  float *candidates = products + joint * cells, *kernel = candidates + cells;
  float *candidate_kernel = kernel + joint * padded * padded, *bias = kernel + (gates + 1) * padded * padded;
  PackGates(in.recurrent_kernel, units, gates, 0, joint, padded, false, kernel);
  if (s.kind == kGru) PackGates(in.recurrent_kernel, units, gates, 2, 1, padded, false, candidate_kernel);
  PackBias(p, bias);
  p.Initial(0, hidden);
  if (s.kind == kLstm) p.Initial(1, carry);

  for (int64_t step = 0; step < s.steps; step++) {
    const int64_t t = s.time(step);
    for (int64_t r = 0; r < rows; r++)
      for (int64_t j = 0; j < padded; j += kWidth) {
        const Vector value = p.Dropped(Load(hidden + r * padded + j), r, j);
        Store(previous + r * padded + j, value);
        StorePart(p.Row(record + kRecordPrevious * part, r, t, 1), j, units, value);
      }
    Multiply(previous, kernel, rows, padded, joint * padded, products);
    if (s.kind == kGru) {
      for (int64_t r = 0; r < rows; r++) {
        const float* x = p.Row(in.projected, r, t, 3);
        for (int64_t j = 0; j < padded; j += kWidth) {
          const float* product = products + r * 2 * padded + j;
          const Vector z = Activate(s.recurrent_activation, (LoadPart(x, j, units) + Load(bias + j)) + Load(product));
          const Vector gate =
              Activate(s.recurrent_activation,
                       (LoadPart(x + units, j, units) + Load(bias + padded + j)) + Load(product + padded));
          const Vector value = gate * Load(previous + r * padded + j);
          Store(products + r * 2 * padded + j, z);
          Store(reset + r * padded + j, value);
          StorePart(p.Row(record + kRecordFirst * part, r, t, 1), j, units, z);
          StorePart(p.Row(record + (kRecordFirst + 1) * part, r, t, 1), j, units, gate);
          StorePart(p.Row(record + kRecordReset * part, r, t, 1), j, units, value);
        }
      }
      Multiply(reset, candidate_kernel, rows, padded, padded, candidates);
    }
    for (int64_t r = 0; r < rows; r++) {
      const float* x = p.Row(in.projected, r, t, gates);
      const bool masked = p.Masked(r, t);
      for (int64_t j = 0; j < padded; j += kWidth) {
        const auto save = [&](int which, Vector value) __attribute__((always_inline)) {
          StorePart(p.Row(record + which * part, r, t, 1), j, units, value);
        };
        float* state = hidden + r * padded + j;
        Vector next;
        if (s.kind == kLstm) {
          Vector gate[4];
          for (int g = 0; g < 4; g++) {
            const Vector sum = (LoadPart(x + g * units, j, units) + Load(products + (r * 4 + g) * padded + j)) +
                               Load(bias + g * padded + j);
            gate[g] = Activate(g == 2 ? s.activation : s.recurrent_activation, sum);
            save(kRecordFirst + g, gate[g]);
          }
          const Vector before = Load(carry + r * padded + j);
          const Vector after = gate[1] * before + gate[0] * gate[2];
          const Vector activated = Activate(s.activation, after);
          next = gate[3] * activated;
          save(kRecordCarry, masked ? before : after);
          save(kRecordCarryOut, activated);
          if (!masked) Store(carry + r * padded + j, after);
        } else if (s.kind == kGru) {
          const Vector z = Load(products + r * 2 * padded + j);
          const Vector sum =
              (LoadPart(x + 2 * units, j, units) + Load(bias + 2 * padded + j)) + Load(candidates + r * padded + j);
          const Vector candidate = Activate(s.activation, sum);
          next = z * Load(previous + r * padded + j) + (Splat(1.0f) - z) * candidate;
          save(kRecordFirst + 2, candidate);
        } else {
          const Vector sum = (LoadPart(x, j, units) + Load(bias + j)) + Load(products + r * padded + j);
          next = Activate(s.activation, sum);
        }
        if (masked) next = Load(state);
        Store(state, next);
        save(kRecordHidden, next);
      }
    }
  }
}

// Writes the gradients of `projected` (also of the bias, summed over samples and steps) and of the initial states.
static void RecurrenceBackward(const Recurrence& s, const RecurrenceInputs& in, const float* record,
                               const RecurrenceGradients& dy, int64_t first, int64_t last, float* d_projected,
                               float* d_initial) {
  const Pass p(s, in, first, last);
  const int64_t rows = p.rows, padded = p.padded, units = s.units, gates = p.gates, part = s.part();
  const int64_t cells = rows * padded;
  const int64_t joint = s.kind == kGru ? 2 : gates;
  thread_local Scratch scratch;
  float* d_hidden = scratch.Reserve(5 * cells + joint * cells + (gates + 1) * padded * padded);
  float *d_carry = d_hidden + cells, *d_previous = d_carry + cells, *d_candidate = d_previous + cells;
  float *d_reset = d_candidate + cells, *d_gates = d_reset + cells, *kernel = d_gates + joint * cells;
  float* candidate_kernel = kernel + joint * padded * padded;
  PackGates(in.recurrent_kernel, units, gates, 0, joint, padded, true, kernel);
  if (s.kind == kGru) PackGates(in.recurrent_kernel, units, gates, 2, 1, padded, true, candidate_kernel);
  for (int64_t state = 0; state < s.states(); state++)
    for (int64_t r = 0; r < rows; r++)
      for (int64_t j = 0; j < padded; j += kWidth)
        Store(d_hidden + state * cells + r * padded + j,
              dy.last ? LoadPart(dy.last + (state * s.samples + first + r) * units, j, units) : Splat(0));

  for (int64_t step = s.steps - 1; step >= 0; step--) {
    const int64_t t = s.time(step);
    for (int64_t r = 0; r < rows; r++) {
      const bool masked = p.Masked(r, t);
      float* out = p.Row(d_projected, r, t, gates);
      for (int64_t j = 0; j < padded; j += kWidth) {
        const auto saved = [&](int which) __attribute__((always_inline)) {
          return LoadPart(p.Row(record + which * part, r, t, 1), j, units);
        };
        const auto emit = [&](int64_t gate, float* to, Vector value) __attribute__((always_inline)) {
          Store(to, value);
          StorePart(out + gate * units, j, units, value);
        };
        const int64_t cell = r * padded + j;
        Vector d = Load(d_hidden + cell);
        if (dy.hidden) d = d + LoadPart(p.Row(dy.hidden, r, t, 1), j, units);
        Store(d_hidden + cell, d);
        // A masked step passes the gradient to the state before it.
        if (masked) {
          for (int64_t g = 0; g < gates; g++)
            emit(g, g < joint ? d_gates + (r * joint + g) * padded + j : d_candidate + cell, Splat(0));
          continue;
        }
        float* to = d_gates + r * joint * padded + j;
        if (s.kind == kLstm) {
          const Vector i = saved(kRecordFirst), f = saved(kRecordFirst + 1), g = saved(kRecordFirst + 2),
                       o = saved(kRecordFirst + 3), activated = saved(kRecordCarryOut);
          Vector before = Splat(0);
          if (step > 0)
            before = LoadPart(p.Row(record + kRecordCarry * part, r, s.time(step - 1), 1), j, units);
          else if (in.initial)
            before = LoadPart(in.initial + (s.samples + first + r) * units, j, units);
          const Vector dc = Load(d_carry + cell) + d * o * Slope(s.activation, activated);
          emit(0, to, dc * g * Slope(s.recurrent_activation, i));
          emit(1, to + padded, dc * before * Slope(s.recurrent_activation, f));
          emit(2, to + 2 * padded, dc * i * Slope(s.activation, g));
          emit(3, to + 3 * padded, d * activated * Slope(s.recurrent_activation, o));
          Store(d_carry + cell, dc * f);
        } else if (s.kind == kGru) {
          const Vector z = saved(kRecordFirst), candidate = saved(kRecordFirst + 2);
          emit(0, to, d * (saved(kRecordPrevious) - candidate) * Slope(s.recurrent_activation, z));
          emit(2, d_candidate + cell, d * (Splat(1.0f) - z) * Slope(s.activation, candidate));
        } else {
          emit(0, to, d * Slope(s.activation, saved(kRecordHidden)));
        }
      }
    }
    if (s.kind == kGru) {
      Multiply(d_candidate, candidate_kernel, rows, padded, padded, d_reset);
      for (int64_t r = 0; r < rows; r++) {
        if (p.Masked(r, t)) continue;
        for (int64_t j = 0; j < padded; j += kWidth) {
          const Vector gate = LoadPart(p.Row(record + (kRecordFirst + 1) * part, r, t, 1), j, units);
          const Vector before = LoadPart(p.Row(record + kRecordPrevious * part, r, t, 1), j, units);
          const Vector value = Load(d_reset + r * padded + j) * before * Slope(s.recurrent_activation, gate);
          Store(d_gates + (r * 2 + 1) * padded + j, value);
          StorePart(p.Row(d_projected, r, t, 3) + units, j, units, value);
        }
      }
    }
    Multiply(d_gates, kernel, rows, joint * padded, padded, d_previous);
    for (int64_t r = 0; r < rows; r++) {
      if (p.Masked(r, t)) continue;
      for (int64_t j = 0; j < padded; j += kWidth) {
        const int64_t cell = r * padded + j;
        Vector d = Load(d_previous + cell);
        if (s.kind == kGru) {
          const Vector z = LoadPart(p.Row(record + kRecordFirst * part, r, t, 1), j, units);
          const Vector gate = LoadPart(p.Row(record + (kRecordFirst + 1) * part, r, t, 1), j, units);
          d = (Load(d_hidden + cell) * z + Load(d_reset + cell) * gate) + d;
        }
        Store(d_hidden + cell, p.Dropped(d, r, j));
      }
    }
  }
  for (int64_t state = 0; state < s.states(); state++)
    for (int64_t r = 0; r < rows; r++)
      for (int64_t j = 0; j < padded; j += kWidth)
        StorePart(d_initial + (state * s.samples + first + r) * units, j, units,
                  Load(d_hidden + state * cells + r * padded + j));
}
