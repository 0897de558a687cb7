// Compares native/simd.h, for each instruction set and precision that the CPU supports, with direct convolutions and
// products in float64. Prints the name of each version that it ran.

#include "../../native/simd.h"

#include <thread>

#include "checks.h"

#ifdef LOCKSTEP_SIMD

namespace {

using namespace checks;
using lockstep::ConvShape;

// The entry points of one version. `tolerance` is relative to the largest result: a few units in the last place of a
// float32, or those of two bfloat16 factors whose transforms add up to four of them.
struct Version {
  const char* name;
  double tolerance;
  int64_t pack;
  decltype(&lockstep::float32_avx2::WinogradTransformFilter) transform_filter;
  decltype(&lockstep::float32_avx2::WinogradForward) forward;
  decltype(&lockstep::float32_avx2::WinogradPartitionGradient) partition_gradient;
  decltype(&lockstep::float32_avx2::WinogradFilterGradient) filter_gradient;
  decltype(&lockstep::float32_avx2::DensePack) dense_pack;
  decltype(&lockstep::float32_avx2::DenseGradient) dense_gradient;
};
#define VERSION(version, tolerance)                                                                               \
  Version {                                                                                                       \
#version, tolerance, lockstep::version::kPack, lockstep::version::WinogradTransformFilter,                    \
        lockstep::version::WinogradForward, lockstep::version::WinogradPartitionGradient,                         \
        lockstep::version::WinogradFilterGradient, lockstep::version::DensePack, lockstep::version::DenseGradient \
  }

std::vector<Version> SupportedVersions() {
  std::vector<Version> versions;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) versions.push_back(VERSION(float32_avx2, 3e-6));
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq"))
    return versions;
  versions.push_back(VERSION(float32_avx512, 3e-6));
  if (__builtin_cpu_supports("avx512bf16")) versions.push_back(VERSION(bfloat16_avx512, 2e-2));
  return versions;
}

// Calls visit(x index, filter index, y index) for each product of a 3x3 convolution with same padding.
template <class Visit>
void ForEachProduct(const ConvShape& s, const Visit& visit) {
  for (int64_t n = 0; n < s.images; n++)
    for (int64_t r = 0; r < s.height; r++)
      for (int64_t c = 0; c < s.width; c++)
        for (int64_t tap = 0; tap < 9; tap++) {
          const int64_t row = r + tap / 3 - 1, column = c + tap % 3 - 1;
          if (row < 0 || column < 0 || row >= s.height || column >= s.width) continue;
          const int64_t from = ((n * s.height + row) * s.width + column) * s.inputs;
          const int64_t to = ((n * s.height + r) * s.width + c) * s.outputs;
          for (int64_t i = 0; i < s.inputs; i++)
            for (int64_t k = 0; k < s.outputs; k++) visit(from + i, (tap * s.inputs + i) * s.outputs + k, to + k);
        }
}

void CheckConvolution(const Version& version, const ConvShape& s) {
  const std::string name = std::string(version.name) + " convolution of " + std::to_string(s.images) + "x" +
                           std::to_string(s.height) + "x" + std::to_string(s.width) + ", " + std::to_string(s.inputs) +
                           " to " + std::to_string(s.outputs) + " channels, ";
  const int64_t pixels = s.images * s.height * s.width;
  const Floats x = Uniforms(pixels * s.inputs, 1), filter = Uniforms(9 * s.inputs * s.outputs, 2);
  const Floats dy = Uniforms(pixels * s.outputs, 3), zeros(std::max(s.inputs, s.outputs));
  Doubles expected_y(dy.size()), expected_gradient(filter.size());
  ForEachProduct(s, [&](int64_t i, int64_t f, int64_t o) {
    expected_y[o] += static_cast<double>(x[i]) * filter[f];
    expected_gradient[f] += static_cast<double>(x[i]) * dy[o];
  });

  Floats transformed(s.filter_floats()), y(dy.size()), gradient(filter.size());
  version.transform_filter(filter.data(), s.inputs, s.outputs, transformed.data());
  // Two ranges of blocks, as two threads would compute them.
  const int64_t middle = s.blocks() / 2;
  version.forward(x.data(), transformed.data(), zeros.data(), s, middle, s.blocks(), y.data());
  version.forward(x.data(), transformed.data(), zeros.data(), s, 0, middle, y.data());
  ExpectClose(name + "y", y, expected_y, version.tolerance);

  Floats partitions(s.partitions() * s.filter_floats());
  for (int64_t i = 0; i < s.partitions(); i++)
    version.partition_gradient(x.data(), dy.data(), zeros.data(), s, i, partitions.data() + i * s.filter_floats());
  version.filter_gradient(partitions.data(), s, gradient.data());
  ExpectClose(name + "filter gradient", gradient, expected_gradient, version.tolerance);
}

Floats Packed(const Version& version, const Floats& values, int64_t rows, int64_t columns) {
  if (version.pack == 1) return values;
  Floats packed((rows + version.pack - 1) / version.pack * columns);
  version.dense_pack(values.data(), rows, columns, packed.data());
  return packed;
}

void CheckDenseGradient(const Version& version, int64_t rows, int64_t inputs, int64_t outputs) {
  const Floats x = Uniforms(rows * inputs, 4), dy = Uniforms(rows * outputs, 5);
  Doubles expected(inputs * outputs);
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = 0; i < inputs; i++)
      for (int64_t k = 0; k < outputs; k++)
        expected[i * outputs + k] += static_cast<double>(x[r * inputs + i]) * dy[r * outputs + k];
  const Floats factors = Packed(version, x, rows, inputs), gradients = Packed(version, dy, rows, outputs);
  Floats out(inputs * outputs);
  for (int64_t first = 0; first < inputs; first += lockstep::kChannelGroup)
    version.dense_gradient(factors.data(), gradients.data(), rows, inputs, outputs, first,
                           first + lockstep::kChannelGroup, out.data());
  ExpectClose(std::string(version.name) + " dense gradient of " + std::to_string(rows) + " rows, " +
                  std::to_string(inputs) + " by " + std::to_string(outputs),
              out, expected, version.tolerance);
  if (version.pack > 1) return;
  // One sum in order, whatever the blocks of rows.
  for (int64_t i = 0; i < inputs; i++)
    for (int64_t k = 0; k < outputs; k++) {
      float sum = 0;
      for (int64_t r = 0; r < rows; r++) sum = std::fma(x[r * inputs + i], dy[r * outputs + k], sum);
      expected[i * outputs + k] = sum;
    }
  ExpectClose(std::string(version.name) + " bits of the dense gradient of " + std::to_string(rows) + " rows", out,
              expected, 0);
}

void Check(const Version& version) {
  const ConvShape shapes[] = {
      {1, 1, 1, 16, 16},     // one tile, which reaches beyond the image on three sides
      {1, 1, 9, 16, 48},     // odd width, one row of tiles
      {2, 6, 8, 16, 32},     // even height and width
      {1, 7, 5, 48, 16},     // odd height and width
      {1, 27, 2, 32, 80},    // one column of tiles
      {17, 3, 4, 16, 16},    // three partitions of images, the last one partial
      {1, 9, 20, 128, 128},  // several blocks per image, the last one partial
  };
  for (const ConvShape& shape : shapes)
    // A new thread has new scratch memory, of exactly the size that this shape needs.
    std::thread([&] { CheckConvolution(version, shape); }).join();
  for (int64_t rows : {1, 2, 3, 33, 128, 300})
    for (int64_t inputs : {16, 48})
      for (int64_t outputs : {16, 80}) CheckDenseGradient(version, rows, inputs, outputs);
}

}  // namespace

int main() {
  __builtin_cpu_init();
  for (const Version& version : SupportedVersions()) {
    Check(version);
    std::puts(version.name);
  }
  return checks::ExitStatus();
}

#else

int main() { return 0; }

#endif
