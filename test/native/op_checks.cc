// Runs all of Lockstep's TensorFlow ops (native/*_ops.cc) through fake_tensorflow.h, at sizes that the thread pool
// splits, and compares them with scalar loops. Also checks the messages for wrong arguments.
//
// With the argument "registered" it only prints the names of the registered ops.

#include <cinttypes>

#include "../../native/simd.h"
#include "checks.h"
#include "fake_tensorflow.h"
#include "tensorflow/c/tf_status.h"

namespace {

using namespace checks;
using fake_tensorflow::Result;
using fake_tensorflow::Run;
using fake_tensorflow::Tensor;
typedef std::map<std::string, int64_t> Attributes;

Tensor TensorOf(const std::vector<int64_t>& dims, const Floats& values) { return {dims, values}; }

size_t SizeOf(const std::vector<int64_t>& dims) {
  size_t size = 1;
  for (int64_t dim : dims) size *= static_cast<size_t>(dim);
  return size;
}
Tensor EighthsOf(const std::vector<int64_t>& dims, uint32_t seed) { return {dims, Eighths(SizeOf(dims), seed)}; }
// A vector of int32 values, whose memory is passed as floats.
Tensor Integers(const std::vector<int64_t>& values) {
  Tensor tensor = {{static_cast<int64_t>(values.size())}, Floats(values.size())};
  const std::vector<int32_t> words(values.begin(), values.end());
  std::memcpy(tensor.values.data(), words.data(), words.size() * sizeof(int32_t));
  return tensor;
}
Tensor UniformsOf(const std::vector<int64_t>& dims, uint32_t seed) { return {dims, Uniforms(SizeOf(dims), seed)}; }

std::vector<Tensor> MustRunAll(const std::string& op, const Attributes& attributes, std::vector<Tensor>& inputs) {
  const Result result = Run(op, attributes, inputs);
  if (result.code != TF_OK) {
    std::fprintf(stderr, "%s: expected success, got code %d: %s\n", op.c_str(), result.code, result.message.c_str());
    failures++;
  }
  return result.outputs;
}

// The values of all outputs, one after the other.
Floats MustRunJoined(const std::string& op, const Attributes& attributes, std::vector<Tensor>& inputs) {
  Floats values;
  for (const Tensor& output : MustRunAll(op, attributes, inputs))
    values.insert(values.end(), output.values.begin(), output.values.end());
  return values;
}

Tensor MustRun(const std::string& op, const Attributes& attributes, std::vector<Tensor>& inputs) {
  const std::vector<Tensor> outputs = MustRunAll(op, attributes, inputs);
  return outputs.empty() ? Tensor{} : outputs[0];
}

void ExpectFailure(const std::string& op, const Attributes& attributes, std::vector<Tensor> inputs,
                   const std::string& message) {
  const Result result = Run(op, attributes, inputs);
  if (result.code == TF_INVALID_ARGUMENT && result.message == message) return;
  std::fprintf(stderr, "%s: expected \"%s\", got code %d: \"%s\"\n", op.c_str(), message.c_str(), result.code,
               result.message.c_str());
  failures++;
}

// Buffers of an op that reads or writes memory outside of tensors.
Attributes Pinned(Floats& buffer, int64_t offset, std::vector<uint32_t>* hash) {
  return {{"address", reinterpret_cast<intptr_t>(buffer.data())},
          {"offset", offset},
          {"count", static_cast<int64_t>(buffer.size())},
          {"hash", hash ? reinterpret_cast<intptr_t>(hash->data()) : 0}};
}

Doubles DoublesOf(const Tensor& words) {
  Doubles values(words.values.size() / 2);
  std::memcpy(values.data(), words.values.data(), words.values.size() * sizeof(float));
  return values;
}

// Identity parameters: z = x.
Tensor Identity(int64_t channels) {
  Tensor parameters = {{3, channels}, Floats(3 * channels)};
  std::fill(parameters.values.begin() + channels, parameters.values.begin() + 2 * channels, 1.0f);
  return parameters;
}

void CheckBatchNorm() {
  const int64_t rows = 5000, channels = 32;
  const Tensor x = EighthsOf({rows, channels}, 1), dy = EighthsOf({rows, channels}, 2);
  Doubles moments(2 * channels), sums(2 * channels), y(rows * channels), dx(rows * channels);
  for (int64_t c = 0; c < channels; c++) {
    for (int64_t r = 0; r < rows; r++) moments[c] += x.values[r * channels + c] / static_cast<double>(rows);
    for (int64_t r = 0; r < rows; r++) {
      const double value = x.values[r * channels + c], dz = value > 0 ? dy.values[r * channels + c] : 0;
      moments[channels + c] += std::pow(value - moments[c], 2);
      sums[c] += dz;
      sums[channels + c] += dz * value;
      y[r * channels + c] = value > 0 ? value : 0;
      // The coefficients are the identity's: 0 * dz + (1 * x + 0).
      dx[r * channels + c] = value;
    }
  }
  const Attributes relu = {{"mode", 1}};
  std::vector<Tensor> one = {x}, forward = {x, Identity(channels)}, backward = {dy, x, Identity(channels)};
  std::vector<Tensor> gradient = {dy, x, Identity(channels), Identity(channels)};
  ExpectClose("LockstepMoments", DoublesOf(MustRun("LockstepMoments", {}, one)), moments, 1e-6);
  ExpectClose("LockstepBatchNorm", MustRun("LockstepBatchNorm", relu, forward).values, y, 0);
  ExpectClose("LockstepBatchNormSums", DoublesOf(MustRun("LockstepBatchNormSums", relu, backward)), sums, 0);
  ExpectClose("LockstepBatchNormGradient", MustRun("LockstepBatchNormGradient", relu, gradient).values, dx, 0);
}

void CheckLayerNorm() {
  const int64_t rows = 3000, columns = 21;
  const Tensor x = UniformsOf({rows, columns}, 1), dy = UniformsOf({rows, columns}, 2);
  const Tensor gamma = UniformsOf({columns}, 3), beta = UniformsOf({columns}, 4), epsilon = TensorOf({1}, {1e-3f});
  Doubles y(rows * columns), gradients(rows * columns + 2 * columns);
  for (int64_t r = 0; r < rows; r++) {
    double mean = 0, variance = 0, sum = 0, sum_normalized = 0;
    for (int64_t c = 0; c < columns; c++) mean += x.values[r * columns + c] / static_cast<double>(columns);
    for (int64_t c = 0; c < columns; c++)
      variance += std::pow(x.values[r * columns + c] - mean, 2) / static_cast<double>(columns);
    const double inverse = 1 / std::sqrt(variance + 1e-3);
    Doubles normalized(columns), scaled(columns);
    for (int64_t c = 0; c < columns; c++) {
      const double d = dy.values[r * columns + c];
      normalized[c] = (x.values[r * columns + c] - mean) * inverse;
      scaled[c] = d * gamma.values[c];
      y[r * columns + c] = normalized[c] * gamma.values[c] + beta.values[c];
      gradients[rows * columns + c] += d * normalized[c];
      gradients[rows * columns + columns + c] += d;
      sum += scaled[c] / columns;
      sum_normalized += scaled[c] * normalized[c] / columns;
    }
    for (int64_t c = 0; c < columns; c++)
      gradients[r * columns + c] = inverse * (scaled[c] - sum - normalized[c] * sum_normalized);
  }
  std::vector<Tensor> forward = {x, gamma, beta, epsilon}, backward = {dy, x, gamma, epsilon};
  ExpectClose("LockstepLayerNorm", MustRun("LockstepLayerNorm", {}, forward).values, y, 1e-6);
  ExpectClose("LockstepLayerNormGradient", MustRunJoined("LockstepLayerNormGradient", {}, backward), gradients, 3e-6);
  ExpectFailure("LockstepLayerNorm", {}, {x, TensorOf({2}, {1, 1}), beta, epsilon},
                "Lockstep LayerNorm: expected gamma and beta with 21 values or none, got [2] and [21]");
}

// Geometry: height and width of x and y, strides, padding above and to the left.
void CheckDepthwise(int64_t kernel, const std::vector<int32_t>& geometry) {
  const int64_t images = 20, channels = 21;
  const int64_t height = geometry[0], width = geometry[1], out_height = geometry[2], out_width = geometry[3];
  const Tensor x = UniformsOf({images, height, width, channels}, 1),
               filter = UniformsOf({kernel, kernel, channels, 1}, 2);
  const Tensor dy = UniformsOf({images, out_height, out_width, channels}, 3);
  Tensor sizes = {{8}, Floats(8)};
  std::memcpy(sizes.values.data(), geometry.data(), 8 * sizeof(float));
  Doubles y(dy.values.size()), dx(x.values.size()), gradient(filter.values.size());
  for (int64_t pixel = 0; pixel < images * out_height * out_width; pixel++)
    for (int64_t tap = 0; tap < kernel * kernel; tap++) {
      const int64_t row = pixel / out_width % out_height * geometry[4] + tap / kernel - geometry[6];
      const int64_t column = pixel % out_width * geometry[5] + tap % kernel - geometry[7];
      if (row < 0 || column < 0 || row >= height || column >= width) continue;
      const int64_t from = (pixel / out_width / out_height * height + row) * width + column;
      for (int64_t c = 0; c < channels; c++) {
        const double a = x.values[from * channels + c], b = filter.values[tap * channels + c];
        const double d = dy.values[pixel * channels + c];
        y[pixel * channels + c] += a * b;
        dx[from * channels + c] += d * b;
        gradient[tap * channels + c] += d * a;
      }
    }
  std::vector<Tensor> forward = {x, filter, sizes}, backward = {dy, filter, sizes};
  std::vector<Tensor> filters = {x, dy, sizes, UniformsOf({kernel, kernel}, 4)};
  ExpectClose("LockstepDepthwise", MustRun("LockstepDepthwise", {}, forward).values, y, 1e-6);
  ExpectClose("LockstepDepthwiseInputGradient", MustRun("LockstepDepthwiseInputGradient", {}, backward).values, dx,
              1e-6);
  ExpectClose("LockstepDepthwiseFilterGradient", MustRun("LockstepDepthwiseFilterGradient", {}, filters).values,
              gradient, 3e-6);
  ExpectFailure(
      "LockstepDepthwise", {}, {x, UniformsOf({2, 2, channels}, 1), sizes},
      "Lockstep depthwise convolution: expected a filter [3, 3, C] or [5, 5, C] and its geometry, got 4 taps");
}

void CheckDropout() {
  const int64_t rows = 300, columns = 131;
  Tensor counter = {{5}, Floats(5)};
  const uint32_t words[] = {1, 2, 3, 4, 5};
  std::memcpy(counter.values.data(), words, sizeof words);
  std::vector<Tensor> inputs = {UniformsOf({rows, columns}, 3), counter, TensorOf({2}, {0.5f, 2})};
  const Floats x = inputs[0].values, y = MustRun("LockstepDropout", {}, inputs).values;
  int64_t kept = 0;
  for (size_t i = 0; i < x.size(); i++) {
    if (y[i] != 0 && y[i] != 2 * x[i]) return Fail("LockstepDropout", i, 2 * x[i], y[i]);
    kept += y[i] != 0;
  }
  // Five standard deviations of 39300 fair coins are 2.5 %.
  ExpectClose("share that LockstepDropout keeps", Doubles{kept / static_cast<double>(x.size())}, {0.5}, 0.05);
}

void CheckUpdates() {
  const int64_t size = 100000, offset = 7;
  std::vector<uint32_t> hash(2), stored_hash(2);
  for (bool hashed : {false, true}) {
    Floats gradient = Uniforms(size - 2 * offset, 4);
    std::vector<Tensor> inputs = {UniformsOf({size}, 5), TensorOf({size}, Floats(size)), TensorOf({size}, Floats(size)),
                                  TensorOf({6}, {0.1f, 0.999f, 0.001f, 0.03f, 1e-8f, -1e-3f})};
    const Floats before = inputs[0].values;
    const Floats out = MustRun("LockstepAdam", Pinned(gradient, offset, hashed ? &hash : nullptr), inputs).values;
    Doubles expected(before.begin(), before.end());
    for (size_t i = 0; i < gradient.size(); i++) {
      const double m = 0.1 * gradient[i], v = 0.001 * gradient[i] * gradient[i];
      expected[offset + i] += -1e-3 * m / (std::sqrt(v) / 0.03 + 1e-8);
    }
    ExpectClose("LockstepAdam, state", inputs[0].values, expected, 1e-6);
    ExpectEqual("LockstepAdam, output", out,
                Floats(inputs[0].values.begin() + offset, inputs[0].values.end() - offset));

    Floats copy(out.size());
    std::vector<Tensor> stored = {TensorOf({static_cast<int64_t>(out.size())}, out)};
    MustRun("LockstepStore", Pinned(copy, 0, hashed ? &stored_hash : nullptr), stored);
    ExpectEqual("LockstepStore", copy, out);
  }
  ExpectEqual("hashes of LockstepAdam and LockstepStore", stored_hash, hash);
}

#ifdef LOCKSTEP_SIMD

bool SupportsProducts() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

void CheckConvolutions() {
  const int64_t images = 20, height = 5, width = 6, inputs = 32, outputs = 16;
  std::vector<Tensor> forward = {UniformsOf({images, height, width, inputs}, 6),
                                 UniformsOf({3, 3, inputs, outputs}, 7)};
  std::vector<Tensor> backward = {UniformsOf({images, height, width, outputs}, 8), forward[1]};
  std::vector<Tensor> filter = {forward[0], backward[0]};
  const Floats &x = forward[0].values, &f = forward[1].values, &dy = backward[0].values;
  Doubles y(dy.size()), dx(x.size()), df(f.size());
  for (int64_t pixel = 0; pixel < images * height * width; pixel++)
    for (int64_t tap = 0; tap < 9; tap++) {
      const int64_t row = pixel / width % height + tap / 3 - 1, column = pixel % width + tap % 3 - 1;
      if (row < 0 || column < 0 || row >= height || column >= width) continue;
      const int64_t from = pixel / width / height * height * width + row * width + column;
      for (int64_t i = 0; i < inputs; i++)
        for (int64_t k = 0; k < outputs; k++) {
          const int64_t a = from * inputs + i, b = (tap * inputs + i) * outputs + k, c = pixel * outputs + k;
          y[c] += static_cast<double>(x[a]) * f[b];
          dx[a] += static_cast<double>(dy[c]) * f[b];
          df[b] += static_cast<double>(dy[c]) * x[a];
        }
    }
  const Attributes float32 = {{"precision", 0}};
  ExpectClose("LockstepConv", MustRun("LockstepConv", float32, forward).values, y, 3e-6);
  ExpectClose("LockstepConvInputGradient", MustRun("LockstepConvInputGradient", float32, backward).values, dx, 3e-6);
  ExpectClose("LockstepConvFilterGradient", MustRun("LockstepConvFilterGradient", float32, filter).values, df, 3e-6);
}

void CheckDenseGradient() {
  const int64_t rows = 33, inputs = 96, outputs = 48;
  std::vector<Tensor> factors = {UniformsOf({rows, inputs}, 9), UniformsOf({rows, outputs}, 10)};
  Floats gradient(inputs * outputs);
  Attributes attributes = Pinned(gradient, 0, nullptr);
  attributes["precision"] = 0;
  MustRun("LockstepDenseGradient", attributes, factors);
  Doubles expected(gradient.size());
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = 0; i < inputs; i++)
      for (int64_t k = 0; k < outputs; k++)
        expected[i * outputs + k] +=
            static_cast<double>(factors[0].values[r * inputs + i]) * factors[1].values[r * outputs + k];
  ExpectClose("LockstepDenseGradient", gradient, expected, 3e-6);
  ExpectFailure(
      "LockstepDenseGradient", attributes, {UniformsOf({2, 16}, 1), UniformsOf({2, 16}, 1)},
      "LockstepDenseGradient: expected channels in multiples of 16 for a buffer of 4608 floats, got x [2, 16] "
      "and dy [2, 16]");
}

void CheckEmbeddingGradient() {
  const int64_t rows = 7, columns = 20, count = 9;
  const std::vector<int64_t> ids = {3, 0, 3, 6, 3, 0, 5, 6, 3};
  std::vector<Tensor> in = {Integers(ids), EighthsOf({count, columns}, 12)};
  // The values of the previous step must not remain.
  Floats gradient(rows * columns, 5);
  MustRun("LockstepEmbeddingGradient", Pinned(gradient, 0, nullptr), in);
  Doubles expected(gradient.size());
  for (int64_t i = 0; i < count; i++)
    for (int64_t c = 0; c < columns; c++) expected[ids[i] * columns + c] += in[1].values[i * columns + c];
  ExpectClose("LockstepEmbeddingGradient", gradient, expected, 0);
  for (int64_t id : {-1, 7})
    ExpectFailure("LockstepEmbeddingGradient", Pinned(gradient, 0, nullptr),
                  {Integers({id}), EighthsOf({1, columns}, 1)},
                  "LockstepEmbeddingGradient: expected ids below 7, got " + std::to_string(id));
}

double SigmoidOf(double x) { return 1 / (1 + std::exp(-x)); }

// The hidden states of an LSTM or GRU with tanh and sigmoid, a mask and dropout of the state, in float64. `z` is
// [samples, steps, gates * units]; the result is [samples, steps, units].
Doubles RecurrenceOf(bool gru, const Doubles& z, const std::vector<Tensor>& in, int64_t samples, int64_t steps,
                     int64_t units) {
  const int64_t gates = gru ? 3 : 4;
  const Floats &u = in[1].values, &bias = in[2].values, &mask = in[3].values, &dropout = in[4].values;
  const Floats& initial = in[5].values;
  Doubles out(samples * steps * units);
  for (int64_t n = 0; n < samples; n++) {
    Doubles h(initial.begin() + n * units, initial.begin() + (n + 1) * units), c(units);
    if (!gru) c.assign(initial.begin() + (samples + n) * units, initial.begin() + (samples + n + 1) * units);
    for (int64_t t = 0; t < steps; t++) {
      Doubles before(units), sums(gates * units), next(units), carry = c;
      for (int64_t j = 0; j < units; j++) before[j] = h[j] * dropout[n * units + j];
      const auto add = [&](int64_t first, int64_t last_gate, const Doubles& state) {
        for (int64_t k = first * units; k < last_gate * units; k++)
          for (int64_t j = 0; j < units; j++) sums[k] += state[j] * u[j * gates * units + k];
      };
      for (int64_t k = 0; k < gates * units; k++) sums[k] = z[(n * steps + t) * gates * units + k] + bias[k];
      add(0, gru ? 2 : 4, before);
      if (gru) {
        Doubles reset(units);
        for (int64_t j = 0; j < units; j++) reset[j] = SigmoidOf(sums[units + j]) * before[j];
        add(2, 3, reset);
      }
      for (int64_t j = 0; j < units; j++) {
        const double candidate = std::tanh(sums[2 * units + j]), first = SigmoidOf(sums[j]);
        if (gru) {
          next[j] = first * before[j] + (1 - first) * candidate;
        } else {
          carry[j] = SigmoidOf(sums[units + j]) * c[j] + first * candidate;
          next[j] = SigmoidOf(sums[3 * units + j]) * std::tanh(carry[j]);
        }
      }
      if (mask[n * steps + t] != 0) {
        h = next;
        c = carry;
      }
      std::copy(h.begin(), h.end(), out.begin() + (n * steps + t) * units);
    }
  }
  return out;
}

// Gradients are compared with central differences of the float64 recurrence.
void CheckRecurrence(bool gru) {
  const int64_t samples = 19, steps = 3, units = 5, gates = gru ? 3 : 4, states = gru ? 1 : 2;
  const std::string name = gru ? "GRU" : "LSTM";
  std::vector<Tensor> inputs = {UniformsOf({samples, steps, gates * units}, 11),
                                UniformsOf({units, gates * units}, 12),
                                UniformsOf({gates * units}, 13),
                                EighthsOf({samples, steps}, 14),
                                UniformsOf({samples, units}, 15),
                                UniformsOf({states, samples, units}, 16)};
  for (size_t i = 0; i < inputs[3].values.size(); i++) inputs[3].values[i] = i % 4 == 1 ? 0.0f : 1.0f;
  const Attributes options = {{"kind", gru ? 1 : 0}, {"activation", 1}, {"recurrent_activation", 2}, {"backwards", 0}};
  const std::vector<Tensor> given = inputs;
  const Tensor record = MustRun("LockstepRecurrence", options, inputs);
  Doubles z(given[0].values.begin(), given[0].values.end());
  const Doubles hidden = RecurrenceOf(gru, z, given, samples, steps, units);
  ExpectClose("LockstepRecurrence, " + name, Floats(record.values.begin(), record.values.begin() + hidden.size()),
              hidden, 2e-6);

  const Tensor dy = UniformsOf({samples, steps, units}, 17);
  std::vector<Tensor> backward = given;
  backward.insert(backward.end(), {record, dy, TensorOf({0}, {})});
  const Floats gradients = MustRun("LockstepRecurrenceGradient", options, backward).values;
  Doubles expected(z.size());
  const double step = 1e-5;
  for (size_t i = 0; i < z.size(); i++) {
    Doubles above = z, below = z;
    above[i] += step;
    below[i] -= step;
    const Doubles high = RecurrenceOf(gru, above, given, samples, steps, units);
    const Doubles low = RecurrenceOf(gru, below, given, samples, steps, units);
    for (size_t k = 0; k < high.size(); k++) expected[i] += (high[k] - low[k]) / (2 * step) * dy.values[k];
  }
  ExpectClose("LockstepRecurrenceGradient, " + name, Floats(gradients.begin(), gradients.begin() + z.size()), expected,
              3e-6);
  ExpectFailure("LockstepRecurrence", options,
                {UniformsOf({2, 3, 5}, 1), given[1], given[2], given[3], given[4], given[5]},
                "Lockstep recurrence: expected projected inputs [samples, steps, " + std::to_string(gates * units) +
                    "], got [2, 3, 5]");
}

// Attention in float64. `in` is query [samples, queries, heads, size], key and value [samples, keys, heads, size], mask
// [samples, keys], dropout [samples, heads, queries, keys] and the scale.
Doubles AttentionOf(const std::vector<Doubles>& in, int64_t samples, int64_t queries, int64_t keys, int64_t heads,
                    int64_t size, int64_t value_size) {
  Doubles y(samples * queries * heads * value_size);
  for (int64_t b = 0; b < samples; b++)
    for (int64_t h = 0; h < heads; h++)
      for (int64_t t = 0; t < queries; t++) {
        Doubles p(keys);
        double sum = 0;
        for (int64_t s = 0; s < keys && s <= t; s++) {
          if (in[3][b * keys + s] == 0) continue;
          double score = 0;
          for (int64_t i = 0; i < size; i++)
            score += in[0][((b * queries + t) * heads + h) * size + i] * in[1][((b * keys + s) * heads + h) * size + i];
          sum += p[s] = std::exp(score * in[5][0]);
        }
        for (int64_t s = 0; s < keys && sum > 0; s++)
          for (int64_t i = 0; i < value_size; i++)
            y[((b * queries + t) * heads + h) * value_size + i] += p[s] / sum *
                                                                   in[4][((b * heads + h) * queries + t) * keys + s] *
                                                                   in[2][((b * keys + s) * heads + h) * value_size + i];
      }
  return y;
}

// A causal attention with a mask and dropout, and more queries than are computed at a time. Gradients are compared with
// central differences of the float64 attention, at every seventh value.
void CheckAttention() {
  const int64_t samples = 2, queries = 101, keys = 19, heads = 2, size = 5, value_size = 3;
  std::vector<Tensor> inputs = {
      UniformsOf({samples, queries, heads, size}, 21),    UniformsOf({samples, keys, heads, size}, 22),
      UniformsOf({samples, keys, heads, value_size}, 23), EighthsOf({samples, 1, keys}, 24),
      UniformsOf({samples, heads, queries, keys}, 25),    TensorOf({1}, {0.5f})};
  for (size_t i = 0; i < inputs[3].values.size(); i++) inputs[3].values[i] = i % 5 == 0 ? 0.0f : 1.0f;
  const Attributes options = {{"causal", 1}};
  const std::vector<Tensor> given = inputs;
  std::vector<Doubles> exact;
  for (const Tensor& tensor : given) exact.emplace_back(tensor.values.begin(), tensor.values.end());
  const auto of = [&](const std::vector<Doubles>& in) {
    return AttentionOf(in, samples, queries, keys, heads, size, value_size);
  };
  const Tensor y = MustRun("LockstepAttention", options, inputs);
  ExpectClose("LockstepAttention", y.values, of(exact), 2e-6);

  const Tensor dy = UniformsOf({samples, queries, heads, value_size}, 26);
  std::vector<Tensor> backward = given;
  backward.push_back(dy);
  const Floats gradients = MustRunJoined("LockstepAttentionGradient", options, backward);
  Floats found;
  Doubles expected;
  size_t first = 0;
  for (size_t input = 0; input < 3; first += exact[input].size(), input++)
    for (size_t i = 0; i < exact[input].size(); i += 7) {
      const double step = 1e-5, value = exact[input][i];
      exact[input][i] = value + step;
      const Doubles high = of(exact);
      exact[input][i] = value - step;
      const Doubles low = of(exact);
      exact[input][i] = value;
      double sum = 0;
      for (size_t k = 0; k < high.size(); k++) sum += (high[k] - low[k]) / (2 * step) * dy.values[k];
      found.push_back(gradients[first + i]);
      expected.push_back(sum);
    }
  ExpectClose("LockstepAttentionGradient", found, expected, 3e-6);
  ExpectFailure("LockstepAttention", options, {given[0], given[1], given[2], UniformsOf({3}, 1), given[4], given[5]},
                "Lockstep attention: expected a mask with 38 or 3838 values or none, got [3]");
}

// Products of matrices in eighths, whose sums are exact.
void CheckBatchProduct(int64_t rows, int64_t inner, int64_t columns, bool transpose_a, bool transpose_b) {
  const int64_t batch = 3;
  const Tensor a =
      EighthsOf(transpose_a ? std::vector<int64_t>{batch, inner, rows} : std::vector<int64_t>{batch, rows, inner}, 31);
  const Tensor b = EighthsOf(
      transpose_b ? std::vector<int64_t>{batch, columns, inner} : std::vector<int64_t>{batch, inner, columns}, 32);
  Doubles expected(batch * rows * columns);
  for (int64_t m = 0; m < batch; m++)
    for (int64_t r = 0; r < rows; r++)
      for (int64_t c = 0; c < columns; c++)
        for (int64_t i = 0; i < inner; i++)
          expected[(m * rows + r) * columns + c] +=
              static_cast<double>(a.values[m * rows * inner + (transpose_a ? i * rows + r : r * inner + i)]) *
              b.values[m * inner * columns + (transpose_b ? c * inner + i : i * columns + c)];
  std::vector<Tensor> inputs = {a, b};
  const Tensor product =
      MustRun("LockstepBatchProduct", {{"transpose_a", transpose_a}, {"transpose_b", transpose_b}}, inputs);
  ExpectClose("LockstepBatchProduct", product.values, expected, 1e-6);
}

void CheckBatchProducts() {
  for (const bool transpose_a : {false, true})
    for (const bool transpose_b : {false, true}) {
      CheckBatchProduct(16, 7, 32, transpose_a, transpose_b);
      CheckBatchProduct(16, 300, 32, transpose_a, transpose_b);
      CheckBatchProduct(401, 5, 19, transpose_a, transpose_b);
      CheckBatchProduct(2, 400, 19, transpose_a, transpose_b);
      CheckBatchProduct(1, 1, 1, transpose_a, transpose_b);
    }
  ExpectFailure("LockstepBatchProduct", {{"transpose_a", 0}, {"transpose_b", 0}},
                {EighthsOf({2, 3, 4}, 1), EighthsOf({2, 5, 3}, 1)},
                "LockstepBatchProduct: expected matrices that can be multiplied, got [2, 3, 4] and [2, 5, 3]");
}

// A dense layer with and without a bias and a ReLU, and its gradients, against loops in float64.
void CheckDense(int64_t rows, int64_t inputs, int64_t outputs, bool relu, bool biased) {
  const Tensor x = UniformsOf({2, rows, inputs}, 1), matrix = UniformsOf({inputs, outputs}, 2);
  const Tensor bias = biased ? UniformsOf({outputs}, 3) : TensorOf({0}, {});
  const Tensor dy = UniformsOf({2, rows, outputs}, 4);
  std::vector<Tensor> forward = {x, matrix, bias};
  const Tensor y = MustRun("LockstepDense", {{"relu", relu}}, forward);
  const size_t count = static_cast<size_t>(2 * rows);
  const size_t in = static_cast<size_t>(inputs), out = static_cast<size_t>(outputs);
  Doubles expected(count * out), dx(count * in), dz(count * out), sums(out), with_addend(count * in);
  for (size_t r = 0; r < count; r++)
    for (size_t k = 0; k < out; k++) {
      double sum = biased ? bias.values[k] : 0;
      for (size_t c = 0; c < in; c++) sum += static_cast<double>(x.values[r * in + c]) * matrix.values[c * out + k];
      expected[r * out + k] = relu && sum < 0 ? 0 : sum;
      // The sign of the op's own result: a sum of nearly 0 may have another sign in float64.
      dz[r * out + k] = !relu || y.values[r * out + k] > 0 ? dy.values[r * out + k] : 0;
      sums[k] += dz[r * out + k];
    }
  for (size_t r = 0; r < count; r++)
    for (size_t c = 0; c < in; c++) {
      for (size_t k = 0; k < out; k++) dx[r * in + c] += dz[r * out + k] * matrix.values[c * out + k];
      with_addend[r * in + c] = dx[r * in + c] + x.values[r * in + c];
    }
  ExpectClose("LockstepDense", y.values, expected, 2e-6);
  if (relu) {
    std::vector<Tensor> given = {dy, y, matrix};
    const std::vector<Tensor> gradients = MustRunAll("LockstepDenseReluGradient", {}, given);
    ExpectClose("LockstepDenseReluGradient dz", gradients[0].values, dz, 0);
    ExpectClose("LockstepDenseReluGradient dx", gradients[1].values, dx, 2e-6);
    ExpectClose("LockstepDenseReluGradient sums", gradients[2].values, sums, 4e-6);
    return;
  }
  std::vector<Tensor> plain = {dy, matrix, TensorOf({0}, {})}, added = {dy, matrix, x};
  ExpectClose("LockstepDenseInputGradient", MustRun("LockstepDenseInputGradient", {}, plain).values, dx, 2e-6);
  ExpectClose("LockstepDenseInputGradient and an addend", MustRun("LockstepDenseInputGradient", {}, added).values,
              with_addend, 2e-6);
}

void CheckDenseLayers() {
  for (bool relu : {false, true})
    for (bool biased : {false, true}) {
      CheckDense(1, 1, 1, relu, biased);
      CheckDense(3, 7, 19, relu, biased);
      CheckDense(150, 64, 96, relu, biased);
      CheckDense(401, 33, 10, relu, biased);
      CheckDense(97, 20, 48, relu, biased);
      CheckDense(5, 300, 41, relu, biased);
    }
  const Tensor x = EighthsOf({2, 3}, 1), matrix = EighthsOf({3, 4}, 2), none = TensorOf({0}, {});
  ExpectFailure("LockstepDense", {{"relu", 0}}, {x, EighthsOf({4, 3}, 2), none},
                "LockstepDense: expected rows and a matrix that can be multiplied, got [2, 3] and [4, 3]");
  ExpectFailure("LockstepDense", {{"relu", 0}}, {x, matrix, EighthsOf({3}, 3)},
                "LockstepDense: expected a bias with 4 values or none, got [3]");
  ExpectFailure("LockstepDenseInputGradient", {}, {EighthsOf({2, 4}, 1), matrix, EighthsOf({5}, 3)},
                "LockstepDenseInputGradient: expected an addend with 6 values or none, got [5]");
  ExpectFailure("LockstepDenseReluGradient", {}, {EighthsOf({2, 4}, 1), EighthsOf({3, 4}, 1), matrix},
                "LockstepDenseReluGradient: expected y of the size of dy [2, 4], got [3, 4]");
}

void CheckSoftmax() {
  const int64_t rows = 2000, columns = 19;
  std::vector<Tensor> inputs = {UniformsOf({rows, columns}, 33)};
  inputs[0].values[3] = -1e9f;
  const Tensor x = inputs[0], dy = UniformsOf({rows, columns}, 34);
  const Tensor y = MustRun("LockstepSoftmax", {}, inputs);
  Doubles expected(rows * columns), gradient(rows * columns);
  for (int64_t r = 0; r < rows; r++) {
    double sum = 0, mean = 0;
    for (int64_t c = 0; c < columns; c++) sum += std::exp(static_cast<double>(x.values[r * columns + c]));
    for (int64_t c = 0; c < columns; c++) {
      expected[r * columns + c] = std::exp(static_cast<double>(x.values[r * columns + c])) / sum;
      mean += static_cast<double>(y.values[r * columns + c]) * dy.values[r * columns + c];
    }
    for (int64_t c = 0; c < columns; c++)
      gradient[r * columns + c] = y.values[r * columns + c] * (dy.values[r * columns + c] - mean);
  }
  ExpectClose("LockstepSoftmax", y.values, expected, 1e-6);
  std::vector<Tensor> backward = {y, dy};
  ExpectClose("LockstepSoftmaxGradient", MustRun("LockstepSoftmaxGradient", {}, backward).values, gradient, 1e-6);
  ExpectFailure("LockstepSoftmaxGradient", {}, {y, EighthsOf({2, 19}, 1)},
                "LockstepSoftmaxGradient: expected y [..., C] and dy of its shape, got [2000, 19] and [2, 19]");
}

void CheckProducts() {
  if (!SupportsProducts()) return;
  CheckBatchProducts();
  CheckDenseLayers();
  CheckSoftmax();
  CheckAttention();
  CheckRecurrence(false);
  CheckRecurrence(true);
  CheckConvolutions();
  CheckDenseGradient();
  CheckEmbeddingGradient();
  ExpectFailure("LockstepConv", {{"precision", 0}}, {UniformsOf({1, 2, 2, 16}, 1), UniformsOf({3, 3, 32, 16}, 1)},
                "LockstepConv: expected a filter with 16 inputs, got [3, 3, 32, 16]");
}

#else
void CheckProducts() {}
#endif

void CheckMessages() {
  ExpectFailure("LockstepMoments", {}, {EighthsOf({4, 15}, 1)},
                "Lockstep BatchNorm: expected x with channels in a multiple of 16, got [4, 15]");
  ExpectFailure("LockstepBatchNorm", {{"mode", 2}}, {EighthsOf({1, 3, 2, 16}, 1), Identity(16)},
                "Lockstep BatchNorm: expected x with even height and width for the pool, got [1, 3, 2, 16]");
  Floats buffer(3);
  ExpectFailure("LockstepStore", Pinned(buffer, 0, nullptr), {EighthsOf({4}, 1)},
                "LockstepStore: expected x with 3 elements, got [4]");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "registered") {
    for (const std::string& op : fake_tensorflow::RegisteredOps()) std::puts(op.c_str());
    return 0;
  }
  CheckBatchNorm();
  CheckLayerNorm();
  CheckDepthwise(3, {6, 5, 6, 5, 1, 1, 1, 1});
  CheckDepthwise(3, {8, 7, 4, 4, 2, 2, 0, 1});
  CheckDepthwise(5, {7, 9, 3, 5, 1, 1, 0, 0});
  CheckDropout();
  CheckUpdates();
  CheckProducts();
  CheckMessages();
  return ExitStatus();
}
