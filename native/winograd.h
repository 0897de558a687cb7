// 3x3 convolutions with stride 1 and same padding, channels last, by Winograd's minimal filtering F(2x2, 3x3): 16 products give
// four outputs where the direct sum takes 36 (Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016).
//
//   forward          Y  = A'[ (G g G') . (B' d B) ]A      d: a 4x4 patch of the input, Y: a 2x2 tile of the output
//   input gradient   the forward pass of dY with the filter turned by 180 degrees and its channels exchanged
//   filter gradient  dg = G'[ sum over tiles of (B' d B) . (A dY A') ]G
//
// All constants are 0, 1 and 1/2, so that nothing is rounded but sums and products; those of a tile go over the channels
// in order, each product fused into its sum, at any vector width: the same bits with AVX2 and AVX-512. The sums of a
// filter gradient go over blocks of tiles that the shape alone defines, so that the bits don't depend on the threads.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define LOCKSTEP_WINOGRAD 1
#include <immintrin.h>
#endif

namespace lockstep {
namespace winograd {

constexpr int kPoints = 16;
// Channels come in groups of this many.
constexpr int64_t kGroup = 16;

struct ConvShape {
  int64_t images, height, width, inputs, outputs;
  int64_t tile_rows() const { return (height + 1) / 2; }
  int64_t tile_columns() const { return (width + 1) / 2; }
  // Rows of tiles whose transforms stay in the second-level cache together.
  int64_t block_rows() const {
    const int64_t tiles = kBlockFloats / (kPoints * (inputs + outputs));
    return std::max<int64_t>(1, std::min(tile_rows(), tiles / tile_columns()));
  }
  int64_t blocks_an_image() const { return (tile_rows() + block_rows() - 1) / block_rows(); }
  int64_t blocks() const { return images * blocks_an_image(); }
  int64_t block_tiles() const { return block_rows() * tile_columns(); }
  // Blocks whose share of a filter gradient is summed in one place.
  int64_t blocks_a_part() const { return kPartImages * blocks_an_image(); }
  int64_t parts() const { return (images + kPartImages - 1) / kPartImages; }
  int64_t filter_floats() const { return kPoints * inputs * outputs; }
  bool valid() const {
    return images > 0 && height > 0 && width > 0 && inputs > 0 && outputs > 0 && inputs % kGroup == 0 &&
           outputs % kGroup == 0;
  }

 private:
  static constexpr int64_t kBlockFloats = 104 * 1024;
  static constexpr int64_t kPartImages = 8;
};

// Tiles of one image, [row, row + rows) of its rows of tiles.
struct Block {
  int64_t image, row, rows;
  static Block Of(const ConvShape& s, int64_t index) {
    const int64_t row = index % s.blocks_an_image() * s.block_rows();
    return {index / s.blocks_an_image(), row, std::min(s.block_rows(), s.tile_rows() - row)};
  }
  int64_t tiles(const ConvShape& s) const { return rows * s.tile_columns(); }
};

// Memory on a cache line's boundary. Each thread keeps what it needed last.
class Scratch {
 public:
  float* Take(int64_t floats) {
    if (floats > size_) {
      memory_.reset(static_cast<float*>(std::aligned_alloc(64, static_cast<size_t>((floats + 15) / 16 * 64))));
      size_ = floats;
    }
    return memory_.get();
  }

 private:
  struct Free {
    void operator()(float* memory) const { std::free(memory); }
  };
  std::unique_ptr<float, Free> memory_;
  int64_t size_ = 0;
};

}  // namespace winograd

#ifdef LOCKSTEP_WINOGRAD

#define INLINE_SIMD static inline __attribute__((always_inline))

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")
namespace winograd512 {
using namespace winograd;
#include "winograd_avx512.h"
constexpr int64_t kPack = 1;
INLINE_SIMD Floats MultiplyAdd(Floats a, Floats b, Floats sum) { return _mm512_fmadd_ps(a, b, sum); }
INLINE_SIMD Floats Pack(Floats value, Floats) { return value; }
INLINE_SIMD void WriteChannels(float* row, int64_t c, Floats value) { Write(row + c, value); }
#include "winograd_kernels.h"
}  // namespace winograd512
#pragma GCC pop_options

// Factors rounded to bfloat16 after their transforms (to nearest, ties to even), sums in float32.
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma")
namespace winograd_bfloat16 {
using namespace winograd;
#include "winograd_avx512.h"
constexpr int64_t kPack = 2;
INLINE_SIMD Floats MultiplyAdd(Floats a, Floats b, Floats sum) {
  return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}
// One word of each pair, `first` in its lower half.
INLINE_SIMD Floats Pack(Floats first, Floats second) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5,
                                         20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return (Floats)_mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(second, first));
}
INLINE_SIMD void WriteChannels(float* row, int64_t c, Floats value) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(row + c / 2), (__m256i)_mm512_cvtneps_pbh(value));
}
#include "winograd_kernels.h"
}  // namespace winograd_bfloat16
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace winograd256 {
using namespace winograd;
typedef __m256 Floats;
constexpr int64_t kWidth = 8;
constexpr int kRows = 6;  // with two vectors of outputs, 12 of the 16 registers
constexpr int kFilterRows = 4;
constexpr int64_t kPack = 1;
INLINE_SIMD Floats Read(const float* from) { return _mm256_loadu_ps(from); }
INLINE_SIMD void Write(float* to, Floats value) { _mm256_storeu_ps(to, value); }
INLINE_SIMD Floats All(float value) { return _mm256_set1_ps(value); }
INLINE_SIMD Floats MultiplyAdd(Floats a, Floats b, Floats sum) { return _mm256_fmadd_ps(a, b, sum); }
INLINE_SIMD Floats Pack(Floats value, Floats) { return value; }
INLINE_SIMD void WriteChannels(float* row, int64_t c, Floats value) { Write(row + c, value); }
#include "winograd_kernels.h"
}  // namespace winograd256
#pragma GCC pop_options

#endif  // LOCKSTEP_WINOGRAD

}  // namespace lockstep
