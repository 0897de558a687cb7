// 3x3 convolutions with stride 1 and same padding, channels last, by Winograd's minimal filtering F(2x2, 3x3): 16
// products give four outputs where the direct sum takes 36 (Lavin & Gray, "Fast Algorithms for Convolutional Neural
// Networks", CVPR 2016).
//
//   forward          Y  = A'[ (G g G') . (B' d B) ]A      d: a 4x4 patch of the input, Y: a 2x2 tile of the output
//   input gradient   the forward pass of dY with the filter turned by 180 degrees and its channels exchanged
//   filter gradient  dg = G'[ sum over tiles of (B' d B) . (A dY A') ]G
//
// All constants are 0, 1 and 1/2, so that nothing is rounded but sums and products; those of a tile go over the
// channels in order, each product fused into its sum, at any vector width: the same bits with AVX2 and AVX-512. The
// sums of a filter gradient go over blocks of tiles that the shape alone defines, so that the bits don't depend on the
// threads.

#pragma once

#include <algorithm>
#include <cstdint>

namespace lockstep {

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
struct TileBlock {
  int64_t image, row, rows;
  static TileBlock Of(const ConvShape& s, int64_t index) {
    const int64_t row = index % s.blocks_an_image() * s.block_rows();
    return {index / s.blocks_an_image(), row, std::min(s.block_rows(), s.tile_rows() - row)};
  }
  int64_t tiles(const ConvShape& s) const { return rows * s.tile_columns(); }
};

}  // namespace lockstep
