// The arithmetic of winograd.h for one instruction set and precision. It has no header guard: simd.h includes it into
// each namespace.
//
// Layouts: transformed tiles are [point, tile, channel] and transformed filters [point, input, output], so that the
// product of one point is an ordinary matrix product. The summed dimension is packed (simd_products.h).

// Addresses of the pixels of the size x size patch at (top, left), in row-major order; `zeros` for those outside the
// image. `zeros` points at `channels` zeros.
INLINE_SIMD void PatchPixels(const float* image, const float* zeros, int64_t height, int64_t width, int64_t channels,
                             int64_t top, int64_t left, int64_t size, const float** pixels) {
  const float* corner = image + (top * width + left) * channels;
  if (top >= 0 && left >= 0 && top + size <= height && left + size <= width) {
    for (int64_t r = 0; r < size; r++)
      for (int64_t s = 0; s < size; s++) pixels[r * size + s] = corner + (r * width + s) * channels;
    return;
  }
  for (int64_t r = 0; r < size; r++)
    for (int64_t s = 0; s < size; s++) {
      const bool inside = top + r >= 0 && top + r < height && left + s >= 0 && left + s < width;
      pixels[r * size + s] = inside ? corner + (r * width + s) * channels : zeros;
    }
}

// One row of B^T d B from the same row of B^T d.
INLINE_SIMD void TransformPatchRow(Vector t0, Vector t1, Vector t2, Vector t3, Vector* points) {
  points[0] = t0 - t2;
  points[1] = t1 + t2;
  points[2] = t2 - t1;
  points[3] = t1 - t3;
}

// points = B^T d B for the kWidth channels from c on; `pixels` is a 4x4 patch.
INLINE_SIMD void TransformInputPatch(const float* const* pixels, int64_t c, Vector* points) {
  Vector t[4][4];
  for (int i = 0; i < 4; i++) {
    Vector column[4];
    TransformPatchRow(Load(pixels[i] + c), Load(pixels[4 + i] + c), Load(pixels[8 + i] + c), Load(pixels[12 + i] + c),
                      column);
    for (int r = 0; r < 4; r++) t[r][i] = column[r];
  }
  for (int r = 0; r < 4; r++) TransformPatchRow(t[r][0], t[r][1], t[r][2], t[r][3], points + 4 * r);
}

// points = A dY A^T for the kWidth channels from c on; `pixels` is a 2x2 patch.
INLINE_SIMD void TransformGradientPatch(const float* const* pixels, int64_t c, Vector* points) {
  Vector t[4][2];
  for (int i = 0; i < 2; i++) {
    const Vector d0 = Load(pixels[i] + c), d1 = Load(pixels[2 + i] + c);
    t[0][i] = d0;
    t[1][i] = d0 + d1;
    t[2][i] = d0 - d1;
    t[3][i] = Splat(0) - d1;
  }
  for (int r = 0; r < 4; r++) {
    points[4 * r + 0] = t[r][0];
    points[4 * r + 1] = t[r][0] + t[r][1];
    points[4 * r + 2] = t[r][0] - t[r][1];
    points[4 * r + 3] = Splat(0) - t[r][1];
  }
}

// Addresses of the pixels of tile `index` of a block: the 4x4 patch of the input (`patch` 4), or the 2x2 patch of the
// output's gradient (`patch` 2).
template <int64_t patch>
INLINE_SIMD void TilePixels(const float* x, const float* zeros, const ConvShape& s, const TileBlock& block,
                            int64_t index, int64_t channels, const float** pixels) {
  const float* image = x + block.image * s.height * s.width * channels;
  const int64_t before = patch == 4 ? 1 : 0;
  const int64_t row = block.row + index / s.tile_columns(), column = index % s.tile_columns();
  PatchPixels(image, zeros, s.height, s.width, channels, 2 * row - before, 2 * column - before, patch, pixels);
}

// Calls store(tile, c, points) with the transformed input B^T d B of every tile of a block, for each kWidth channels
// from c on. The patches of neighbours in a row share two columns of pixels, which are transformed once.
template <typename StorePoints>
INLINE_SIMD void TransformInput(const float* x, const float* zeros, const ConvShape& s, const TileBlock& block,
                                StorePoints store) {
  const float* image = x + block.image * s.height * s.width * s.inputs;
  for (int64_t row = 0; row < block.rows; row++) {
    const int64_t top = 2 * (block.row + row) - 1;
    for (int64_t c = 0; c < s.inputs; c += kWidth) {
      const float* pixels[4];
      int64_t steps[4];
      for (int i = 0; i < 4; i++) {
        const bool inside = top + i >= 0 && top + i < s.height;
        pixels[i] = inside ? image + (top + i) * s.width * s.inputs + c : zeros;
        steps[i] = inside ? s.inputs : 0;
      }
      // t[i] is B^T d of the column 2 * tile - 1 + i; columns outside the image are zero.
      Vector t[4][4];
      const auto read_column = [&](int64_t column, Vector* to) INLINE_LAMBDA {
        if (column < s.width) {
          TransformPatchRow(Load(pixels[0]), Load(pixels[1]), Load(pixels[2]), Load(pixels[3]), to);
          for (int i = 0; i < 4; i++) pixels[i] += steps[i];
        } else {
          for (int i = 0; i < 4; i++) to[i] = Splat(0);
        }
      };
      for (int i = 0; i < 4; i++) t[0][i] = Splat(0);
      read_column(0, t[1]);
      for (int64_t tile = 0; tile < s.tile_columns(); tile++) {
        read_column(2 * tile + 1, t[2]);
        read_column(2 * tile + 2, t[3]);
        Vector points[kPoints];
        for (int r = 0; r < 4; r++) TransformPatchRow(t[0][r], t[1][r], t[2][r], t[3][r], points + 4 * r);
        store(row * s.tile_columns() + tile, c, points);
        for (int i = 0; i < 4; i++) {
          t[0][i] = t[2][i];
          t[1][i] = t[3][i];
        }
      }
    }
  }
}

// Transforms the input of every tile of a block into factors of sums over channels: [point, tile, inputs / kPack].
INLINE_SIMD void TransformForChannelSums(const float* x, const float* zeros, const ConvShape& s, const TileBlock& block,
                                         float* out) {
  const int64_t lanes = s.inputs / kPack;
  const int64_t plane = ConvShape::plane_floats(block.tiles(s), lanes);
  TransformInput(x, zeros, s, block, [=](int64_t tile, int64_t c, const Vector* points) INLINE_LAMBDA {
    for (int64_t p = 0; p < kPoints; p++) StoreFactors(out + p * plane + tile * lanes, c, points[p]);
  });
}

// Transforms the patches of every tile of a block into factors of sums over tiles: [point, PackedLength(tiles),
// channels]. A missing last tile counts as zero.
template <int64_t patch>
INLINE_SIMD void TransformForTileSums(const float* x, const float* zeros, const ConvShape& s, const TileBlock& block,
                                      int64_t channels, float* out) {
  const int64_t count = block.tiles(s);
  const int64_t length = PackedLength(count);
  const int64_t plane = ConvShape::plane_floats(length, channels);
  if (patch == 4 && kPack == 1) {
    TransformInput(x, zeros, s, block, [=](int64_t tile, int64_t c, const Vector* points) INLINE_LAMBDA {
      for (int64_t p = 0; p < kPoints; p++) Store(out + p * plane + tile * channels + c, points[p]);
    });
    return;
  }
  for (int64_t packed = 0; packed < length; packed++) {
    const float* pixels[kPack][kPoints];
    for (int64_t i = 0; i < kPack; i++) {
      const int64_t tile = packed * kPack + i;
      if (tile < count)
        TilePixels<patch>(x, zeros, s, block, tile, channels, pixels[i]);
      else
        std::fill(pixels[i], pixels[i] + kPoints, zeros);
    }
    for (int64_t c = 0; c < channels; c += kWidth) {
      Vector points[kPack][kPoints];
      for (int64_t i = 0; i < kPack; i++) {
        if (patch == 4)
          TransformInputPatch(pixels[i], c, points[i]);
        else
          TransformGradientPatch(pixels[i], c, points[i]);
      }
      for (int64_t p = 0; p < kPoints; p++)
        Store(out + p * plane + packed * channels + c, PackLanes(points[0][p], points[kPack - 1][p]));
    }
  }
}

// Writes A^T m A of every tile of a block to its pixels of y; `products` is m: [point, tile, outputs].
INLINE_SIMD void TransformOutput(const float* products, const ConvShape& s, const TileBlock& block, float* y) {
  const int64_t channels = s.outputs;
  const int64_t columns = s.tile_columns();
  const int64_t plane = ConvShape::plane_floats(block.tiles(s), channels);
  float* image = y + block.image * s.height * s.width * channels;
  for (int64_t row = 0; row < block.rows; row++) {
    const int64_t top = 2 * (block.row + row);
    for (int64_t column = 0; column < columns; column++) {
      const float* from = products + (row * columns + column) * channels;
      float* to = image + (top * s.width + 2 * column) * channels;
      const bool right = 2 * column + 1 < s.width, below = top + 1 < s.height;
      for (int64_t c = 0; c < channels; c += kWidth) {
        Vector t[2][4];
        for (int i = 0; i < 4; i++) {
          const Vector m0 = Load(from + i * plane + c), m1 = Load(from + (4 + i) * plane + c);
          const Vector m2 = Load(from + (8 + i) * plane + c), m3 = Load(from + (12 + i) * plane + c);
          t[0][i] = m0 + m1 + m2;
          t[1][i] = m1 - m2 - m3;
        }
        Store(to + c, t[0][0] + t[0][1] + t[0][2]);
        if (right) Store(to + channels + c, t[0][1] - t[0][2] - t[0][3]);
        if (below) Store(to + s.width * channels + c, t[1][0] + t[1][1] + t[1][2]);
        if (right && below) Store(to + (s.width + 1) * channels + c, t[1][1] - t[1][2] - t[1][3]);
      }
    }
  }
}

// out [point, inputs, outputs] = G g G^T for a filter [3, 3, inputs, outputs].
INLINE_SIMD void TransformFilter(const float* filter, int64_t inputs, int64_t outputs, float* out) {
  const int64_t plane = inputs * outputs;
  const Vector half = Splat(0.5f);
  for (int64_t i = 0; i < plane; i += kWidth) {
    Vector t[4][3];
    for (int s = 0; s < 3; s++) {
      const Vector g0 = Load(filter + s * plane + i), g1 = Load(filter + (3 + s) * plane + i);
      const Vector g2 = Load(filter + (6 + s) * plane + i);
      const Vector ends = g0 + g2;
      t[0][s] = g0;
      t[1][s] = (ends + g1) * half;
      t[2][s] = (ends - g1) * half;
      t[3][s] = g2;
    }
    for (int r = 0; r < 4; r++) {
      const Vector ends = t[r][0] + t[r][2];
      Store(out + (4 * r + 0) * plane + i, t[r][0]);
      Store(out + (4 * r + 1) * plane + i, (ends + t[r][1]) * half);
      Store(out + (4 * r + 2) * plane + i, (ends - t[r][1]) * half);
      Store(out + (4 * r + 3) * plane + i, t[r][2]);
    }
  }
}

// Packs a transformed filter for sums over its inputs, in place: [point, inputs / kPack, outputs].
INLINE_SIMD void PackFilter(int64_t inputs, int64_t outputs, float* filter) {
  for (int64_t packed = 0; packed < kPoints * inputs / kPack; packed++)
    for (int64_t k = 0; k < outputs; k += kWidth) {
      const float* from = filter + packed * kPack * outputs + k;
      Store(filter + packed * outputs + k, PackLanes(Load(from), Load(from + (kPack - 1) * outputs)));
    }
}

// filter [3, 3, inputs, outputs] = G^T u G, where `gradient` is u, the gradient of the transformed filter.
INLINE_SIMD void TransformFilterGradient(const float* gradient, int64_t inputs, int64_t outputs, float* filter) {
  const int64_t plane = inputs * outputs;
  const Vector half = Splat(0.5f);
  for (int64_t i = 0; i < plane; i += kWidth) {
    Vector t[3][4];
    for (int s = 0; s < 4; s++) {
      const Vector u0 = Load(gradient + s * plane + i), u1 = Load(gradient + (4 + s) * plane + i);
      const Vector u2 = Load(gradient + (8 + s) * plane + i), u3 = Load(gradient + (12 + s) * plane + i);
      const Vector sum = (u1 + u2) * half;
      t[0][s] = u0 + sum;
      t[1][s] = (u1 - u2) * half;
      t[2][s] = sum + u3;
    }
    for (int r = 0; r < 3; r++) {
      const Vector sum = (t[r][1] + t[r][2]) * half;
      Store(filter + (3 * r + 0) * plane + i, t[r][0] + sum);
      Store(filter + (3 * r + 1) * plane + i, (t[r][1] - t[r][2]) * half);
      Store(filter + (3 * r + 2) * plane + i, sum + t[r][3]);
    }
  }
}

// ---- Entry points

// Transforms a filter [3, 3, inputs, outputs] into filter_floats() floats for WinogradForward.
static void WinogradTransformFilter(const float* filter, int64_t inputs, int64_t outputs, float* out) {
  TransformFilter(filter, inputs, outputs, out);
  if (kPack > 1) PackFilter(inputs, outputs, out);
}

// Writes y of the blocks [first, last). `filter` is transformed; `zeros` points at `inputs` zeros.
static void WinogradForward(const float* x, const float* filter, const float* zeros, const ConvShape& s, int64_t first,
                            int64_t last, float* y) {
  thread_local Scratch scratch;
  float* tiles = scratch.Reserve(s.block_floats(s.inputs) + s.block_floats(s.outputs));
  float* products = tiles + s.block_floats(s.inputs);
  const int64_t lanes = s.inputs / kPack;
  for (int64_t index = first; index < last; index++) {
    const TileBlock block = TileBlock::At(s, index);
    const int64_t count = block.tiles(s);
    TransformForChannelSums(x, zeros, s, block, tiles);
    const int64_t plane = ConvShape::plane_floats(count, lanes),
                  product_plane = ConvShape::plane_floats(count, s.outputs);
    for (int64_t p = 0; p < kPoints; p++)
      Multiply(tiles + p * plane, filter + p * lanes * s.outputs, count, lanes, s.outputs,
               products + p * product_plane);
    TransformOutput(products, s, block, y);
  }
}

// Writes the transformed filter gradient of one partition of the images to `sums` (filter_floats() floats). `zeros`
// points at max(inputs, outputs) zeros.
static void WinogradPartitionGradient(const float* x, const float* dy, const float* zeros, const ConvShape& s,
                                      int64_t partition, float* sums) {
  thread_local Scratch scratch;
  float* tiles = scratch.Reserve(s.block_floats(s.inputs) + s.block_floats(s.outputs));
  float* gradients = tiles + s.block_floats(s.inputs);
  std::memset(sums, 0, static_cast<size_t>(s.filter_floats()) * sizeof(float));
  const int64_t last = std::min((partition + 1) * s.blocks_per_partition(), s.blocks());
  for (int64_t index = partition * s.blocks_per_partition(); index < last; index++) {
    const TileBlock block = TileBlock::At(s, index);
    const int64_t length = PackedLength(block.tiles(s));
    TransformForTileSums<4>(x, zeros, s, block, s.inputs, tiles);
    TransformForTileSums<2>(dy, zeros, s, block, s.outputs, gradients);
    const int64_t plane = ConvShape::plane_floats(length, s.inputs);
    const int64_t gradient_plane = ConvShape::plane_floats(length, s.outputs);
    for (int64_t p = 0; p < kPoints; p++)
      AddOuterProducts(tiles + p * plane, gradients + p * gradient_plane, length, s.inputs, s.outputs,
                       sums + p * s.inputs * s.outputs);
  }
}

// Sums the gradients of all partitions in order and writes the filter's gradient [3, 3, inputs, outputs]. `partitions`
// is [partitions(), filter_floats()]; its first row is overwritten with the sum.
static void WinogradFilterGradient(float* partitions, const ConvShape& s, float* filter) {
  for (int64_t partition = 1; partition < s.partitions(); partition++)
    for (int64_t i = 0; i < s.filter_floats(); i += kWidth)
      Store(partitions + i, Load(partitions + i) + Load(partitions + partition * s.filter_floats() + i));
  TransformFilterGradient(partitions, s.inputs, s.outputs, filter);
}
