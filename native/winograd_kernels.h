// The arithmetic of winograd.h for one instruction set and precision (simd.h). No header guard: it is included once for
// each.
//
// Transformed tiles are [point, tile, channel], transformed filters [point, input, output]; a product of a point is
// then that of two ordinary matrices.

// The 16 pixels of the patch at (top, left), in row-major order; zeros outside of the image.
INLINE_SIMD void Patch(const float* image, const float* zeros, int64_t height, int64_t width, int64_t channels,
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

// B' d B of one tile, of the kWidth channels from c on.
INLINE_SIMD void TileOfInput(const float* const* pixels, int64_t c, Floats* points) {
  Floats t[4][4];
  for (int i = 0; i < 4; i++) {
    const Floats d0 = Read(pixels[i] + c), d1 = Read(pixels[4 + i] + c);
    const Floats d2 = Read(pixels[8 + i] + c), d3 = Read(pixels[12 + i] + c);
    t[0][i] = d0 - d2;
    t[1][i] = d1 + d2;
    t[2][i] = d2 - d1;
    t[3][i] = d1 - d3;
  }
  for (int r = 0; r < 4; r++) {
    points[4 * r + 0] = t[r][0] - t[r][2];
    points[4 * r + 1] = t[r][1] + t[r][2];
    points[4 * r + 2] = t[r][2] - t[r][1];
    points[4 * r + 3] = t[r][1] - t[r][3];
  }
}

// A dY A' of one tile, of the kWidth channels from c on.
INLINE_SIMD void TileOfGradient(const float* const* pixels, int64_t c, Floats* points) {
  Floats t[4][2];
  for (int i = 0; i < 2; i++) {
    const Floats d0 = Read(pixels[i] + c), d1 = Read(pixels[2 + i] + c);
    t[0][i] = d0;
    t[1][i] = d0 + d1;
    t[2][i] = d0 - d1;
    t[3][i] = All(0) - d1;
  }
  for (int r = 0; r < 4; r++) {
    points[4 * r + 0] = t[r][0];
    points[4 * r + 1] = t[r][0] + t[r][1];
    points[4 * r + 2] = t[r][0] - t[r][1];
    points[4 * r + 3] = All(0) - t[r][1];
  }
}

// The pixels of tile `index` of a block: 4x4 of the input (patch 4) or 2x2 of the output's gradient (patch 2).
template <int64_t patch>
INLINE_SIMD void TilePixels(const float* x, const float* zeros, const ConvShape& s, const TileBlock& block,
                            int64_t index, int64_t channels, const float** pixels) {
  const float* image = x + block.image * s.height * s.width * channels;
  const int64_t before = patch == 4 ? 1 : 0;
  const int64_t row = block.row + index / s.tile_columns(), column = index % s.tile_columns();
  Patch(image, zeros, s.height, s.width, channels, 2 * row - before, 2 * column - before, patch, pixels);
}

// Of every tile of a block, as factors of sums over channels: [point, tile, channel / kPack].
INLINE_SIMD void TransformInput(const float* x, const float* zeros, const ConvShape& s, const TileBlock& block,
                                float* out) {
  const int64_t count = block.tiles(s);
  const int64_t words = s.inputs / kPack;
  for (int64_t tile = 0; tile < count; tile++) {
    const float* pixels[kPoints];
    TilePixels<4>(x, zeros, s, block, tile, s.inputs, pixels);
    for (int64_t c = 0; c < s.inputs; c += kWidth) {
      Floats points[kPoints];
      TileOfInput(pixels, c, points);
      for (int64_t p = 0; p < kPoints; p++) WriteChannels(out + (p * count + tile) * words, c, points[p]);
    }
  }
}

// Of every tile of a block, as factors of sums over tiles: [point, tile / kPack, channel]. A missing last tile is zero.
template <int64_t patch>
INLINE_SIMD void TransformTiles(const float* x, const float* zeros, const ConvShape& s, const TileBlock& block,
                                int64_t channels, float* out) {
  const int64_t count = block.tiles(s);
  const int64_t words = Words(count);
  for (int64_t word = 0; word < words; word++) {
    const float* pixels[kPack][kPoints];
    for (int64_t i = 0; i < kPack; i++) {
      const int64_t tile = word * kPack + i;
      if (tile < count)
        TilePixels<patch>(x, zeros, s, block, tile, channels, pixels[i]);
      else
        std::fill(pixels[i], pixels[i] + kPoints, zeros);
    }
    for (int64_t c = 0; c < channels; c += kWidth) {
      Floats points[kPack][kPoints];
      for (int64_t i = 0; i < kPack; i++) {
        if (patch == 4)
          TileOfInput(pixels[i], c, points[i]);
        else
          TileOfGradient(pixels[i], c, points[i]);
      }
      for (int64_t p = 0; p < kPoints; p++)
        Write(out + (p * words + word) * channels + c, Pack(points[0][p], points[kPack - 1][p]));
    }
  }
}

// A' m A of every tile of a block, written to its place in y.
INLINE_SIMD void TransformOutput(const float* products, const ConvShape& s, const TileBlock& block, float* y) {
  const int64_t channels = s.outputs;
  const int64_t columns = s.tile_columns();
  const int64_t plane = block.rows * columns * channels;
  float* image = y + block.image * s.height * s.width * channels;
  for (int64_t row = 0; row < block.rows; row++) {
    const int64_t top = 2 * (block.row + row);
    for (int64_t column = 0; column < columns; column++) {
      const float* from = products + (row * columns + column) * channels;
      float* to = image + (top * s.width + 2 * column) * channels;
      const bool right = 2 * column + 1 < s.width, below = top + 1 < s.height;
      for (int64_t c = 0; c < channels; c += kWidth) {
        Floats t[2][4];
        for (int i = 0; i < 4; i++) {
          const Floats m0 = Read(from + i * plane + c), m1 = Read(from + (4 + i) * plane + c);
          const Floats m2 = Read(from + (8 + i) * plane + c), m3 = Read(from + (12 + i) * plane + c);
          t[0][i] = m0 + m1 + m2;
          t[1][i] = m1 - m2 - m3;
        }
        Write(to + c, t[0][0] + t[0][1] + t[0][2]);
        if (right) Write(to + channels + c, t[0][1] - t[0][2] - t[0][3]);
        if (below) Write(to + s.width * channels + c, t[1][0] + t[1][1] + t[1][2]);
        if (right && below) Write(to + (s.width + 1) * channels + c, t[1][1] - t[1][2] - t[1][3]);
      }
    }
  }
}

// G g G' of a filter [3, 3, inputs, outputs].
INLINE_SIMD void TransformFilter(const float* filter, int64_t inputs, int64_t outputs, float* out) {
  const int64_t plane = inputs * outputs;
  const Floats half = All(0.5f);
  for (int64_t i = 0; i < plane; i += kWidth) {
    Floats t[4][3];
    for (int s = 0; s < 3; s++) {
      const Floats g0 = Read(filter + s * plane + i), g1 = Read(filter + (3 + s) * plane + i);
      const Floats g2 = Read(filter + (6 + s) * plane + i);
      const Floats ends = g0 + g2;
      t[0][s] = g0;
      t[1][s] = (ends + g1) * half;
      t[2][s] = (ends - g1) * half;
      t[3][s] = g2;
    }
    for (int r = 0; r < 4; r++) {
      const Floats ends = t[r][0] + t[r][2];
      Write(out + (4 * r + 0) * plane + i, t[r][0]);
      Write(out + (4 * r + 1) * plane + i, (ends + t[r][1]) * half);
      Write(out + (4 * r + 2) * plane + i, (ends - t[r][1]) * half);
      Write(out + (4 * r + 3) * plane + i, t[r][2]);
    }
  }
}

// A transformed filter as factors of sums over its inputs, in place: [point, input / kPack, output].
INLINE_SIMD void PackFilter(int64_t inputs, int64_t outputs, float* filter) {
  for (int64_t word = 0; word < kPoints * inputs / kPack; word++)
    for (int64_t k = 0; k < outputs; k += kWidth) {
      const float* from = filter + word * kPack * outputs + k;
      Write(filter + word * outputs + k, Pack(Read(from), Read(from + (kPack - 1) * outputs)));
    }
}

// G' u G: the gradient of a filter [3, 3, inputs, outputs] from that of its transform.
INLINE_SIMD void TransformFilterGradient(const float* gradient, int64_t inputs, int64_t outputs, float* filter) {
  const int64_t plane = inputs * outputs;
  const Floats half = All(0.5f);
  for (int64_t i = 0; i < plane; i += kWidth) {
    Floats t[3][4];
    for (int s = 0; s < 4; s++) {
      const Floats u0 = Read(gradient + s * plane + i), u1 = Read(gradient + (4 + s) * plane + i);
      const Floats u2 = Read(gradient + (8 + s) * plane + i), u3 = Read(gradient + (12 + s) * plane + i);
      const Floats sum = (u1 + u2) * half;
      t[0][s] = u0 + sum;
      t[1][s] = (u1 - u2) * half;
      t[2][s] = sum + u3;
    }
    for (int r = 0; r < 3; r++) {
      const Floats sum = (t[r][1] + t[r][2]) * half;
      Write(filter + (3 * r + 0) * plane + i, t[r][0] + sum);
      Write(filter + (3 * r + 1) * plane + i, (t[r][1] - t[r][2]) * half);
      Write(filter + (3 * r + 2) * plane + i, sum + t[r][3]);
    }
  }
}

// ---- what the ops call

static void WinogradFilter(const float* filter, int64_t inputs, int64_t outputs, float* out) {
  TransformFilter(filter, inputs, outputs, out);
  if (kPack > 1) PackFilter(inputs, outputs, out);
}

// `filter` is transformed; `zeros` holds as many as there are inputs. Writes y of the blocks [first, last).
static void WinogradForward(const float* x, const float* filter, const float* zeros, const ConvShape& s, int64_t first,
                            int64_t last, float* y) {
  thread_local Scratch scratch;
  float* tiles = scratch.Take(kPoints * s.block_tiles() * (s.inputs + s.outputs));
  float* products = tiles + kPoints * s.block_tiles() * s.inputs;
  const int64_t words = s.inputs / kPack;
  for (int64_t index = first; index < last; index++) {
    const TileBlock block = TileBlock::Of(s, index);
    const int64_t count = block.tiles(s);
    TransformInput(x, zeros, s, block, tiles);
    for (int64_t p = 0; p < kPoints; p++)
      Multiply(tiles + p * count * words, filter + p * words * s.outputs, count, words, s.outputs,
               products + p * count * s.outputs);
    TransformOutput(products, s, block, y);
  }
}

// Writes the transformed gradient of one part of the images; `zeros` holds as many as inputs or outputs, whichever are
// more.
static void WinogradFilterGradientPart(const float* x, const float* dy, const float* zeros, const ConvShape& s,
                                       int64_t part, float* sums) {
  thread_local Scratch scratch;
  float* tiles = scratch.Take(kPoints * s.block_tiles() * (s.inputs + s.outputs));
  float* gradients = tiles + kPoints * s.block_tiles() * s.inputs;
  std::memset(sums, 0, static_cast<size_t>(s.filter_floats()) * sizeof(float));
  const int64_t last = std::min((part + 1) * s.blocks_a_part(), s.blocks());
  for (int64_t index = part * s.blocks_a_part(); index < last; index++) {
    const TileBlock block = TileBlock::Of(s, index);
    const int64_t words = Words(block.tiles(s));
    TransformTiles<4>(x, zeros, s, block, s.inputs, tiles);
    TransformTiles<2>(dy, zeros, s, block, s.outputs, gradients);
    for (int64_t p = 0; p < kPoints; p++)
      AddProducts(tiles + p * words * s.inputs, gradients + p * words * s.outputs, words, s.inputs, s.outputs,
                  sums + p * s.inputs * s.outputs);
  }
}

// Adds up the parts in order and writes the filter's gradient. The parts are overwritten.
static void WinogradFilterGradient(float* parts, const ConvShape& s, float* filter) {
  for (int64_t part = 1; part < s.parts(); part++)
    for (int64_t i = 0; i < s.filter_floats(); i += kWidth)
      Write(parts + i, Read(parts + i) + Read(parts + part * s.filter_floats() + i));
  TransformFilterGradient(parts, s.inputs, s.outputs, filter);
}
