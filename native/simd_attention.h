// The passes of attention.h for one instruction set. It has no header guard: attention.h includes it into each
// namespace.
//
// A call computes whole heads, numbered sample * heads + head; threads divide them. Rows of scores are padded to a
// multiple of kSumLanes with zeros (simd_softmax.h).

// Copies rows [first, first + rows) of one head of `from` [samples, total, heads, size], times `factor`, to `to`
// [padded_rows, PaddedLanes(size)]; the rest of `to` is 0.
static void PackHead(const float* from, const Attention& s, int64_t head, int64_t total, int64_t size, int64_t first,
                     int64_t rows, int64_t padded_rows, float factor, float* to) {
  const int64_t columns = PaddedLanes(size);
  const float* row = from + ((head / s.heads * total + first) * s.heads + head % s.heads) * size;
  for (int64_t r = 0; r < rows; r++, row += s.heads * size) {
    float* out = to + r * columns;
    // Most heads have whole vectors.
    if (size == columns) {
      for (int64_t i = 0; i < size; i += kWidth) Store(out + i, Load(row + i) * Splat(factor));
      continue;
    }
    for (int64_t i = 0; i < size; i++) out[i] = row[i] * factor;
    std::fill(out + size, out + columns, 0.0f);
  }
  std::fill(to + rows * columns, to + padded_rows * columns, 0.0f);
}

// Writes rows [first, first + rows) of one head from `from` [rows, PaddedLanes(size)], times `factor`.
static void UnpackHead(const float* from, const Attention& s, int64_t head, int64_t total, int64_t size, int64_t first,
                       int64_t rows, float factor, float* to) {
  const int64_t columns = PaddedLanes(size);
  float* row = to + ((head / s.heads * total + first) * s.heads + head % s.heads) * size;
  for (int64_t r = 0; r < rows; r++, row += s.heads * size) {
    if (size == columns) {
      for (int64_t i = 0; i < size; i += kWidth) Store(row + i, Load(from + r * columns + i) * Splat(factor));
      continue;
    }
    for (int64_t i = 0; i < size; i++) row[i] = from[r * columns + i] * factor;
  }
}

static void Transpose(const float* from, int64_t rows, int64_t columns, float* to) {
  for (int64_t c = 0; c < columns; c++)
    for (int64_t r = 0; r < rows; r++) to[c * rows + r] = from[r * columns + c];
}

// One head, with the keys transposed to [key columns, padded keys].
struct Head {
  const Attention& s;
  const AttentionInputs& in;
  int64_t index, padded;

  Head(const Attention& shape, const AttentionInputs& inputs, int64_t head)
      : s(shape), in(inputs), index(head), padded(PaddedLanes(shape.keys)) {}

  // Packs `rows` queries from `first`, times the scale, to `queries`, and computes their probabilities [rows, padded].
  __attribute__((always_inline)) inline void Probabilities(int64_t first, int64_t rows, const float* keys_transposed,
                                                           float* queries, float* probabilities) const {
    PackHead(in.query, s, index, s.queries, s.key_size, first, rows, rows, s.scale, queries);
    Multiply(queries, keys_transposed, rows, PaddedLanes(s.key_size), padded, probabilities);
    for (int64_t r = 0; r < rows; r++) {
      const int64_t query = first + r;
      const float* mask = nullptr;
      if (in.mask) mask = in.mask + (index / s.heads * in.mask_rows + (in.mask_rows > 1 ? query : 0)) * s.keys;
      Softmax(probabilities + r * padded, padded, s.causal ? std::min(query + 1, s.keys) : s.keys, mask);
    }
  }
  // Multiplies rows of probabilities, or of their gradients, by the factors of the dropout.
  __attribute__((always_inline)) inline void Drop(int64_t first, int64_t rows, float* values) const {
    for (int64_t r = 0; r < rows; r++) {
      const float* factors = in.dropout + (index * s.queries + first + r) * s.keys;
      for (int64_t j = 0; j < padded; j += kWidth)
        Store(values + r * padded + j, Load(values + r * padded + j) * LoadRow(factors, j, s.keys, 0));
    }
  }
};

// Writes the heads [from, to) of y [samples, queries, heads, value_size].
static void AttentionForward(const Attention& s, const AttentionInputs& in, int64_t from, int64_t to, float* y) {
  const int64_t padded = PaddedLanes(s.keys), width = PaddedLanes(s.key_size), value_width = PaddedLanes(s.value_size);
  const int64_t block = std::min(kAttentionRows, s.queries);
  thread_local Scratch scratch;
  float* keys = scratch.Reserve(padded * (2 * width + value_width) + block * (width + value_width + padded));
  float *transposed = keys + padded * width, *values = transposed + padded * width;
  float *queries = values + padded * value_width, *results = queries + block * width;
  float* probabilities = results + block * value_width;
  for (int64_t index = from; index < to; index++) {
    const Head head(s, in, index);
    PackHead(in.key, s, index, s.keys, s.key_size, 0, s.keys, padded, 1.0f, keys);
    Transpose(keys, padded, width, transposed);
    PackHead(in.value, s, index, s.keys, s.value_size, 0, s.keys, padded, 1.0f, values);
    for (int64_t first = 0; first < s.queries; first += block) {
      const int64_t rows = std::min(block, s.queries - first);
      head.Probabilities(first, rows, transposed, queries, probabilities);
      if (in.dropout) head.Drop(first, rows, probabilities);
      Multiply(probabilities, values, rows, padded, value_width, results);
      UnpackHead(results, s, index, s.queries, s.value_size, first, rows, 1.0f, y);
    }
  }
}

// Writes the heads [from, to) of the gradients, given dy [samples, queries, heads, value_size].
static void AttentionBackward(const Attention& s, const AttentionInputs& in, const float* dy, int64_t from, int64_t to,
                              const AttentionGradients& out) {
  const int64_t padded = PaddedLanes(s.keys), width = PaddedLanes(s.key_size), value_width = PaddedLanes(s.value_size);
  const int64_t block = std::min(kAttentionRows, s.queries);
  thread_local Scratch scratch;
  float* keys =
      scratch.Reserve(padded * (3 * width + 3 * value_width) + block * (2 * width + value_width + 3 * padded));
  float *transposed = keys + padded * width, *d_keys = transposed + padded * width;
  float *values = d_keys + padded * width, *values_transposed = values + padded * value_width;
  float *d_values = values_transposed + padded * value_width, *queries = d_values + padded * value_width;
  float *d_queries = queries + block * width, *d_results = d_queries + block * width;
  float *probabilities = d_results + block * value_width, *dropped = probabilities + block * padded;
  float* d_scores = dropped + block * padded;
  for (int64_t index = from; index < to; index++) {
    const Head head(s, in, index);
    PackHead(in.key, s, index, s.keys, s.key_size, 0, s.keys, padded, 1.0f, keys);
    Transpose(keys, padded, width, transposed);
    PackHead(in.value, s, index, s.keys, s.value_size, 0, s.keys, padded, 1.0f, values);
    Transpose(values, padded, value_width, values_transposed);
    std::fill(d_keys, d_keys + padded * width, 0.0f);
    std::fill(d_values, d_values + padded * value_width, 0.0f);
    for (int64_t first = 0; first < s.queries; first += block) {
      const int64_t rows = std::min(block, s.queries - first);
      head.Probabilities(first, rows, transposed, queries, probabilities);
      PackHead(dy, s, index, s.queries, s.value_size, first, rows, rows, 1.0f, d_results);
      Multiply(d_results, values_transposed, rows, value_width, padded, d_scores);
      const float* weights = probabilities;
      if (in.dropout) {
        std::copy(probabilities, probabilities + rows * padded, dropped);
        head.Drop(first, rows, dropped);
        head.Drop(first, rows, d_scores);
        weights = dropped;
      }
      AddOuterProducts(weights, d_results, rows, padded, value_width, d_values);
      for (int64_t r = 0; r < rows; r++) SoftmaxGradient(probabilities + r * padded, padded, d_scores + r * padded);
      AddOuterProducts(d_scores, queries, rows, padded, width, d_keys);
      Multiply(d_scores, keys, rows, padded, width, d_queries);
      UnpackHead(d_queries, s, index, s.queries, s.key_size, first, rows, s.scale, out.query);
    }
    UnpackHead(d_keys, s, index, s.keys, s.key_size, 0, s.keys, 1.0f, out.key);
    UnpackHead(d_values, s, index, s.keys, s.value_size, 0, s.keys, 1.0f, out.value);
  }
}
