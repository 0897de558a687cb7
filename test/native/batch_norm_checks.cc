// Compares native/batch_norm.h with loops over float64. Inputs are multiples of 1/8 and all intermediate results are
// exact in float32, so forward pass, gradients and their sums must be equal, including the choice among equal maxima.

#include "../../native/batch_norm.h"
#include "checks.h"

namespace {

using namespace checks;
using lockstep::BatchNormShape;

struct Case {
  BatchNormShape shape;
  std::string name;
  int64_t pooled_pixels() const { return shape.pool ? shape.rows / 4 : shape.rows; }
};

enum Activation { kLinear, kRelu, kReluSix };

Case MakeCase(int64_t images, int64_t height, int64_t width, int64_t channels, Activation activation, bool pool) {
  const std::string name = "BatchNorm " + std::to_string(images) + "x" + std::to_string(height) + "x" +
                           std::to_string(width) + "x" + std::to_string(channels) +
                           (activation == kReluSix ? " ReLU6"
                            : activation == kRelu  ? " ReLU"
                                                   : "") +
                           (pool ? " pool" : "");
  return {
      {images * height * width, channels, images, height, width, activation != kLinear, pool, activation == kReluSix},
      name};
}

// Means, scales and shifts, [3, C]; the scales are powers of two.
Floats Parameters(int64_t channels) {
  Floats values(3 * channels);
  const float scales[] = {0.5f, -1, 2, 1};
  for (int64_t c = 0; c < channels; c++) {
    values[c] = (c % 5 - 2) / 4.0f;
    values[channels + c] = scales[c % 4];
    values[2 * channels + c] = (c % 7 - 3) / 4.0f;
  }
  return values;
}

// Rows of x that belong to one pixel of y, in row-major order: the pixel itself, or its 2x2 window.
std::vector<int64_t> Window(const BatchNormShape& s, int64_t pixel) {
  if (!s.pool) return {pixel};
  const int64_t half = s.width / 2, per_image = s.height / 2 * half;
  const int64_t image = pixel / per_image, row = pixel % per_image / half, column = pixel % half;
  const int64_t corner = (image * s.height + 2 * row) * s.width + 2 * column;
  return {corner, corner + 1, corner + s.width, corner + s.width + 1};
}

struct Expected {
  Doubles y, dz_sums, product_sums, dx;
};

// The definition of BatchNorm, its activation and its pool, one channel and pixel at a time.
Expected Reference(const Case& test, const Floats& x, const Floats& dy, const Floats& parameters,
                   const Floats& coefficients) {
  const int64_t channels = test.shape.channels;
  Expected expected = {Doubles(dy.size()), Doubles(channels), Doubles(channels), Doubles(x.size())};
  for (int64_t c = 0; c < channels; c++) {
    const double mean = parameters[c], scale = parameters[channels + c], shift = parameters[2 * channels + c];
    for (int64_t pixel = 0; pixel < test.pooled_pixels(); pixel++) {
      const std::vector<int64_t> rows = Window(test.shape, pixel);
      size_t largest = 0;
      Doubles z;
      for (int64_t row : rows) z.push_back((x[row * channels + c] - mean) * scale + shift);
      for (size_t i = 1; i < z.size(); i++)
        if (z[i] > z[largest]) largest = i;
      const bool positive = !test.shape.relu || z[largest] > 0, capped = test.shape.capped && z[largest] >= 6;
      const double dz = positive && !capped ? dy[pixel * channels + c] : 0;
      expected.y[pixel * channels + c] = capped ? 6 : positive ? z[largest] : 0;
      expected.dz_sums[c] += dz;
      expected.product_sums[c] += dz * (x[rows[largest] * channels + c] - mean);
      for (size_t i = 0; i < rows.size(); i++)
        expected.dx[rows[i] * channels + c] =
            coefficients[c] * (i == largest ? dz : 0) +
            (coefficients[channels + c] * (x[rows[i] * channels + c] - mean) + coefficients[2 * channels + c]);
    }
  }
  return expected;
}

void CheckMoments(const Case& test, const Floats& x) {
  const int64_t rows = test.shape.rows, channels = test.shape.channels;
  Doubles mean(channels), m2(channels), expected_mean(channels), expected_m2(channels);
  for (int64_t c = 0; c < channels; c++) {
    for (int64_t r = 0; r < rows; r++) expected_mean[c] += x[r * channels + c] / static_cast<double>(rows);
    for (int64_t r = 0; r < rows; r++) expected_m2[c] += std::pow(x[r * channels + c] - expected_mean[c], 2);
  }
  for (int64_t c = 0; c < channels; c += lockstep::kLanes)
    lockstep::BatchNormMoments(x.data(), rows, channels, c, c + lockstep::kLanes, mean.data(), m2.data());
  // The deviations are rounded to float32 inside a block.
  ExpectClose(test.name + " mean", mean, expected_mean, 1e-6);
  ExpectClose(test.name + " m2", m2, expected_m2, 1e-5);
}

void Check(const Case& test) {
  const BatchNormShape& s = test.shape;
  const int64_t channels = s.channels, first_half = s.items() / 2;
  const Floats x = Eighths(s.rows * channels, 1), dy = Eighths(test.pooled_pixels() * channels, 2);
  const Floats parameters = Parameters(channels), coefficients = Parameters(channels);
  const Expected expected = Reference(test, x, dy, parameters, coefficients);
  CheckMoments(test, x);

  // Two ranges of each function, as two threads would compute them.
  Floats y(dy.size()), dx(x.size());
  lockstep::BatchNormForward(x.data(), parameters.data(), s, first_half, s.items(), y.data());
  lockstep::BatchNormForward(x.data(), parameters.data(), s, 0, first_half, y.data());
  ExpectClose(test.name + " y", y, expected.y, 0);

  Doubles dz_sums(channels), product_sums(channels);
  for (int64_t c = 0; c < channels; c += lockstep::kLanes)
    lockstep::BatchNormGradientSums(dy.data(), x.data(), parameters.data(), s, c, c + lockstep::kLanes, dz_sums.data(),
                                    product_sums.data());
  ExpectClose(test.name + " dz sums", dz_sums, expected.dz_sums, 0);
  ExpectClose(test.name + " product sums", product_sums, expected.product_sums, 0);

  lockstep::BatchNormInputGradient(dy.data(), x.data(), parameters.data(), coefficients.data(), s, first_half,
                                   s.items(), dx.data());
  lockstep::BatchNormInputGradient(dy.data(), x.data(), parameters.data(), coefficients.data(), s, 0, first_half,
                                   dx.data());
  ExpectClose(test.name + " dx", dx, expected.dx, 0);
}

}  // namespace

int main() {
  // Fewer rows than a block, a whole block, and a partial last block.
  for (int64_t rows : {1, 5, 63, 64, 65, 130})
    for (Activation activation : {kLinear, kRelu, kReluSix})
      for (int64_t channels : {16, 48}) Check(MakeCase(rows, 1, 1, channels, activation, false));
  for (Activation activation : {kLinear, kRelu, kReluSix})
    for (bool pool : {false, true}) {
      Check(MakeCase(1, 2, 2, 16, activation, pool));
      Check(MakeCase(3, 4, 6, 32, activation, pool));
      Check(MakeCase(5, 14, 10, 16, activation, pool));
    }
  return ExitStatus();
}
