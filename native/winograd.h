// Geometry of 3x3 convolutions with stride 1 and same padding, channels last, by Winograd's minimal filtering algorithm
// F(2x2, 3x3): 16 products give four outputs where the direct sum takes 36 (Lavin & Gray, "Fast Algorithms for
// Convolutional Neural Networks", CVPR 2016). The arithmetic is in simd_winograd.h.
//
// Forward, with a 4x4 patch d of the input and a 2x2 tile Y of the output:
//   Y = A^T [ (G g G^T) * (B^T d B) ] A
//
// The input gradient is the forward pass of dY, with the filter rotated by 180 degrees and its channels exchanged.
//
// Filter gradient:
//   dg = G^T [ sum over tiles of (B^T d B) * (A dY A^T) ] G
//
// The transforms' constants are 0, 1 and 1/2, so only sums and products round. Each is summed in a fixed order: over
// channels within a tile, and for a filter gradient over blocks of tiles and partitions of images that the shape alone
// determines. The bits therefore depend neither on the vector width nor on the number of threads.

#pragma once

#include <algorithm>
#include <cstdint>

namespace lockstep {

// Elements of a transformed 4x4 patch.
constexpr int kPoints = 16;
// Channel counts are multiples of this.
constexpr int64_t kChannelGroup = 16;

// A convolution of x [images, height, width, inputs] to y [images, height, width, outputs]. Its tiles are grouped into
// blocks, the unit of work of the forward pass; its images into partitions, the unit of work of the filter gradient.
struct ConvShape {
  int64_t images, height, width, inputs, outputs;
  int64_t tile_rows() const { return (height + 1) / 2; }
  int64_t tile_columns() const { return (width + 1) / 2; }
  // Rows of tiles per block: as many as their transforms fit the second-level cache together.
  int64_t block_rows() const {
    const int64_t tiles = kBlockFloats / (kPoints * (inputs + outputs));
    return std::max<int64_t>(1, std::min(tile_rows(), tiles / tile_columns()));
  }
  int64_t blocks_per_image() const { return (tile_rows() + block_rows() - 1) / block_rows(); }
  int64_t blocks() const { return images * blocks_per_image(); }
  int64_t block_tiles() const { return block_rows() * tile_columns(); }
  int64_t blocks_per_partition() const { return kPartitionImages * blocks_per_image(); }
  int64_t partitions() const { return (images + kPartitionImages - 1) / kPartitionImages; }
  // Floats of one point of a block's transformed tiles or products with `lanes` lanes per tile. A gap follows each
  // point: without it the points of a tile can be a multiple of 4 KiB apart, and more of them fall into one set of the
  // first-level cache than it has ways.
  static int64_t plane_floats(int64_t tiles, int64_t lanes) { return tiles * lanes + 16; }
  // Floats of the transformed tiles or products of a block with `channels` channels.
  int64_t block_floats(int64_t channels) const { return kPoints * plane_floats(block_tiles(), channels); }
  // Size of a transformed filter.
  int64_t filter_floats() const { return kPoints * inputs * outputs; }
  bool valid() const {
    return images > 0 && height > 0 && width > 0 && inputs > 0 && outputs > 0 && inputs % kChannelGroup == 0 &&
           outputs % kChannelGroup == 0;
  }

 private:
  static constexpr int64_t kBlockFloats = 104 * 1024;
  static constexpr int64_t kPartitionImages = 8;
};

// Rows [row, row + rows) of the tiles of one image.
struct TileBlock {
  int64_t image, row, rows;
  // The block with this index in [0, s.blocks()).
  static TileBlock At(const ConvShape& s, int64_t index) {
    const int64_t row = index % s.blocks_per_image() * s.block_rows();
    return {index / s.blocks_per_image(), row, std::min(s.block_rows(), s.tile_rows() - row)};
  }
  int64_t tiles(const ConvShape& s) const { return rows * s.tile_columns(); }
};

}  // namespace lockstep
