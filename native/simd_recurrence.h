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
  // Multiplies hidden states with their dropout before time step t, to `to` [rows, padded] and to the record.
  void Previous(const float* hidden, int64_t t, float* to, float* record) const {
    for (int64_t r = 0; r < rows; r++)
      for (int64_t j = 0; j < padded; j += kWidth) {
        const Vector value = Dropped(Load(hidden + r * padded + j), r, j);
        Store(to + r * padded + j, value);
        StorePart(Row(record + kRecordPrevious * s.part(), r, t, 1), j, s.units, value);
      }
  }
  // Adds the gradient of the hidden state after time step t to `d_state`, and returns the sum.
  __attribute__((always_inline)) inline Vector StateGradient(const RecurrenceGradients& dy, int64_t r, int64_t t,
                                                             int64_t j, float* d_state) const {
    Vector d = Load(d_state);
    if (dy.hidden) d = d + LoadPart(Row(dy.hidden, r, t, 1), j, s.units);
    Store(d_state, d);
    return d;
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

// Samples that a pass takes through all time steps before the next ones, so that their states stay in the first-level
// cache. Results do not depend on it, because samples do not interact.
constexpr int64_t kGroup = 12;

#include "simd_lstm.h"

// The forward pass of a GRU or a SimpleRNN over one group of samples. `weights` are packed by RecurrenceForward.
static void ForwardGroup(const Pass& p, const float* weights, const float* bias, float* memory, float* record) {
  const Recurrence& s = p.s;
  const RecurrenceInputs& in = p.in;
  const int64_t rows = p.rows, padded = p.padded, units = s.units, gates = p.gates, part = s.part();
  const int64_t cells = rows * padded, joint = s.kind == kGru ? 2 : 1;
  float *hidden = memory, *previous = hidden + cells, *reset = previous + cells, *candidates = reset + cells;
  float* products = candidates + cells;
  const float* candidate_kernel = weights + joint * padded * padded;
  p.Initial(0, hidden);

  for (int64_t step = 0; step < s.steps; step++) {
    const int64_t t = s.time(step);
    p.Previous(hidden, t, previous, record);
    Multiply(previous, weights, rows, padded, joint * padded, products);
    if (s.kind == kGru) {
      for (int64_t r = 0; r < rows; r++) {
        const float* x = p.Row(in.projected, r, t, 3);
        float* saved = p.Row(record + kRecordFirst * part, r, t, 3);
        for (int64_t j = 0; j < padded; j += kWidth) {
          const float* product = products + r * 2 * padded + j;
          const Vector z = Activate(s.recurrent_activation, (LoadPart(x, j, units) + Load(bias + j)) + Load(product));
          const Vector gate =
              Activate(s.recurrent_activation,
                       (LoadPart(x + units, j, units) + Load(bias + padded + j)) + Load(product + padded));
          const Vector value = gate * Load(previous + r * padded + j);
          Store(products + r * 2 * padded + j, z);
          Store(reset + r * padded + j, value);
          StorePart(saved, j, units, z);
          StorePart(saved + units, j, units, gate);
          StorePart(p.Row(record + kRecordReset * part, r, t, 1), j, units, value);
        }
      }
      Multiply(reset, candidate_kernel, rows, padded, padded, candidates);
    }
    for (int64_t r = 0; r < rows; r++) {
      const float* x = p.Row(in.projected, r, t, gates);
      const bool masked = p.Masked(r, t);
      for (int64_t j = 0; j < padded; j += kWidth) {
        float* state = hidden + r * padded + j;
        Vector next;
        if (s.kind == kGru) {
          const Vector z = Load(products + r * 2 * padded + j);
          const Vector sum =
              (LoadPart(x + 2 * units, j, units) + Load(bias + 2 * padded + j)) + Load(candidates + r * padded + j);
          const Vector candidate = Activate(s.activation, sum);
          next = z * Load(previous + r * padded + j) + (Splat(1.0f) - z) * candidate;
          StorePart(p.Row(record + kRecordFirst * part, r, t, 3) + 2 * units, j, units, candidate);
        } else {
          const Vector sum = (LoadPart(x, j, units) + Load(bias + j)) + Load(products + r * padded + j);
          next = Activate(s.activation, sum);
        }
        if (masked) next = Load(state);
        Store(state, next);
        StorePart(p.Row(record + kRecordHidden * part, r, t, 1), j, units, next);
      }
    }
  }
}

// Writes the record of the samples [first, last).
static void RecurrenceForward(const Recurrence& s, const RecurrenceInputs& in, int64_t first, int64_t last,
                              float* record) {
  const Pass all(s, in, first, last);
  const int64_t padded = all.padded, gates = all.gates;
  thread_local Scratch scratch;
  float* weights = scratch.Reserve(gates * padded * padded + gates * padded + kGroup * padded * 6);
  float *bias = weights + gates * padded * padded, *memory = bias + gates * padded;
  PackBias(all, bias);
  if (s.kind == kLstm) {
    PackLstmKernel(in.recurrent_kernel, s.units, padded, weights);
  } else {
    // A GRU multiplies the candidate's columns by r * state, so they are a matrix of their own.
    const int64_t joint = s.kind == kGru ? 2 : 1;
    PackGates(in.recurrent_kernel, s.units, gates, 0, joint, padded, false, weights);
    if (s.kind == kGru)
      PackGates(in.recurrent_kernel, s.units, gates, 2, 1, padded, false, weights + joint * padded * padded);
  }
  for (int64_t from = first; from < last; from += kGroup) {
    const Pass p(s, in, from, std::min(from + kGroup, last));
    if (s.kind == kLstm)
      LstmForwardGroup(p, weights, bias, memory, record);
    else
      ForwardGroup(p, weights, bias, memory, record);
  }
}

// The backward pass of a GRU or a SimpleRNN over one group of samples. `d_state` [rows, padded] contains the gradient
// of the last states and receives that of the initial ones. `weights` are packed by RecurrenceBackward.
static void BackwardGroup(const Pass& p, const float* weights, const float* record, const RecurrenceGradients& dy,
                          float* d_state, float* memory, float* d_projected) {
  const Recurrence& s = p.s;
  const int64_t rows = p.rows, padded = p.padded, units = s.units, gates = p.gates, part = s.part();
  const int64_t cells = rows * padded, joint = s.kind == kGru ? 2 : 1;
  float *d_previous = memory, *d_candidate = d_previous + cells, *d_reset = d_candidate + cells;
  float* d_gates = d_reset + cells;
  const float* candidate_kernel = weights + joint * padded * padded;

  for (int64_t step = s.steps - 1; step >= 0; step--) {
    const int64_t t = s.time(step);
    for (int64_t r = 0; r < rows; r++) {
      const bool masked = p.Masked(r, t);
      float* out = p.Row(d_projected, r, t, gates);
      const float* saved = p.Row(record + kRecordFirst * part, r, t, gates);
      for (int64_t j = 0; j < padded; j += kWidth) {
        const auto emit = [&](int64_t gate, float* to, Vector value) __attribute__((always_inline)) {
          Store(to, value);
          StorePart(out + gate * units, j, units, value);
        };
        const int64_t cell = r * padded + j;
        const Vector d = p.StateGradient(dy, r, t, j, d_state + cell);
        // A masked step passes the gradient to the state before it.
        if (masked) {
          for (int64_t g = 0; g < gates; g++)
            emit(g, g < joint ? d_gates + (r * joint + g) * padded + j : d_candidate + cell, Splat(0));
          continue;
        }
        float* to = d_gates + r * joint * padded + j;
        if (s.kind == kGru) {
          const Vector z = LoadPart(saved, j, units), candidate = LoadPart(saved + 2 * units, j, units);
          const Vector before = LoadPart(p.Row(record + kRecordPrevious * part, r, t, 1), j, units);
          emit(0, to, d * (before - candidate) * Slope(s.recurrent_activation, z));
          emit(2, d_candidate + cell, d * (Splat(1.0f) - z) * Slope(s.activation, candidate));
        } else {
          const Vector state = LoadPart(p.Row(record + kRecordHidden * part, r, t, 1), j, units);
          emit(0, to, d * Slope(s.activation, state));
        }
      }
    }
    if (s.kind == kGru) {
      Multiply(d_candidate, candidate_kernel, rows, padded, padded, d_reset);
      for (int64_t r = 0; r < rows; r++) {
        if (p.Masked(r, t)) continue;
        for (int64_t j = 0; j < padded; j += kWidth) {
          const Vector gate = LoadPart(p.Row(record + kRecordFirst * part, r, t, 3) + units, j, units);
          const Vector before = LoadPart(p.Row(record + kRecordPrevious * part, r, t, 1), j, units);
          const Vector value = Load(d_reset + r * padded + j) * before * Slope(s.recurrent_activation, gate);
          Store(d_gates + (r * 2 + 1) * padded + j, value);
          StorePart(p.Row(d_projected, r, t, 3) + units, j, units, value);
        }
      }
    }
    Multiply(d_gates, weights, rows, joint * padded, padded, d_previous);
    for (int64_t r = 0; r < rows; r++) {
      if (p.Masked(r, t)) continue;
      const float* saved = p.Row(record + kRecordFirst * part, r, t, gates);
      for (int64_t j = 0; j < padded; j += kWidth) {
        const int64_t cell = r * padded + j;
        Vector d = Load(d_previous + cell);
        if (s.kind == kGru) {
          const Vector z = LoadPart(saved, j, units), gate = LoadPart(saved + units, j, units);
          d = (Load(d_state + cell) * z + Load(d_reset + cell) * gate) + d;
        }
        Store(d_state + cell, p.Dropped(d, r, j));
      }
    }
  }
}

// Writes the gradients of `projected` (also of the bias, summed over samples and steps) and of the initial states of
// the samples [first, last).
static void RecurrenceBackward(const Recurrence& s, const RecurrenceInputs& in, const float* record,
                               const RecurrenceGradients& dy, int64_t first, int64_t last, float* d_projected,
                               float* d_initial) {
  const Pass all(s, in, first, last);
  const int64_t padded = all.padded, units = s.units, gates = all.gates;
  const int64_t joint = s.kind == kGru ? 2 : gates;
  thread_local Scratch scratch;
  float* weights = scratch.Reserve(gates * padded * padded + kGroup * padded * 8);
  float *d_states = weights + gates * padded * padded, *memory = d_states + 2 * kGroup * padded;
  PackGates(in.recurrent_kernel, units, gates, 0, joint, padded, true, weights);
  if (s.kind == kGru)
    PackGates(in.recurrent_kernel, units, gates, 2, 1, padded, true, weights + joint * padded * padded);
  for (int64_t from = first; from < last; from += kGroup) {
    const Pass p(s, in, from, std::min(from + kGroup, last));
    const int64_t cells = p.rows * padded;
    const auto row = [&](int64_t state, int64_t r) { return (state * s.samples + from + r) * units; };
    for (int64_t state = 0; state < s.states(); state++)
      for (int64_t r = 0; r < p.rows; r++)
        for (int64_t j = 0; j < padded; j += kWidth)
          Store(d_states + state * cells + r * padded + j,
                state < dy.last_states ? LoadPart(dy.last + row(state, r), j, units) : Splat(0));
    if (s.kind == kLstm)
      LstmBackwardGroup(p, weights, record, dy, d_states, d_states + cells, memory, d_projected);
    else
      BackwardGroup(p, weights, record, dy, d_states, memory, d_projected);
    for (int64_t state = 0; state < s.states(); state++)
      for (int64_t r = 0; r < p.rows; r++)
        for (int64_t j = 0; j < padded; j += kWidth)
          StorePart(d_initial + row(state, r), j, units, Load(d_states + state * cells + r * padded + j));
  }
}
