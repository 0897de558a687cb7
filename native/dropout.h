// Dropout whose masks come from the counter-based generator Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As
// Easy as 1, 2, 3", SC'11). It has no state: key and counter determine every mask. src/shared/random/philox.ts defines
// the same generator.

#pragma once

#include <cstdint>

#include "vectors.h"

namespace lockstep {

// Philox blocks that are computed side by side, one per lane; a block is four 32-bit numbers.
constexpr int kPhiloxBlocks = 16;

// Ten rounds of Philox on kPhiloxBlocks counters at once: words[i][b] is word i of counter b on entry, and number i of
// block b on return.
LOCKSTEP_INLINE void Philox(uint32_t key0, uint32_t key1, uint32_t words[4][kPhiloxBlocks]) {
  for (int round = 0; round < 10; round++) {
    for (int i = 0; i < kPhiloxBlocks; i++) {
      const uint64_t product0 = static_cast<uint64_t>(0xd2511f53u) * words[0][i];
      const uint64_t product1 = static_cast<uint64_t>(0xcd9e8d57u) * words[2][i];
      const uint32_t next0 = static_cast<uint32_t>(product1 >> 32) ^ words[1][i] ^ key0;
      const uint32_t next2 = static_cast<uint32_t>(product0 >> 32) ^ words[3][i] ^ key1;
      words[1][i] = static_cast<uint32_t>(product1);
      words[3][i] = static_cast<uint32_t>(product0);
      words[0][i] = next0;
      words[2][i] = next2;
    }
    key0 += 0x9e3779b9u;
    key1 += 0xbb67ae85u;
  }
}

// One row of dropout: y[i] = x[i] * scale if the i-th uniform number of the row is at least `rate`, else x[i] * 0.
// `counter` is [key 0, key 1, counter word 0, counter word 2, counter word 3]; counter word 1 is 0. The row's numbers
// begin `block` blocks after counter word 0. The numbers are those of TensorFlow's StatelessRandomUniformV2.
LOCKSTEP_MULTIVERSIONED void Dropout(const float* x, const uint32_t* counter, uint32_t block, float rate, float scale,
                                     int64_t columns, float* y) {
  for (int64_t start = 0; start < columns; start += 4 * kPhiloxBlocks) {
    uint32_t words[4][kPhiloxBlocks];
    for (int i = 0; i < kPhiloxBlocks; i++) {
      words[0][i] = counter[2] + block + static_cast<uint32_t>(start / 4 + i);
      words[1][i] = 0;
      words[2][i] = counter[3];
      words[3][i] = counter[4];
    }
    Philox(counter[0], counter[1], words);
    float factors[4 * kPhiloxBlocks];
    for (int w = 0; w < 4; w++)
      for (int i = 0; i < kPhiloxBlocks; i++) {
        // 23 random bits as the mantissa of a number in [1, 2).
        const uint32_t bits = (words[w][i] & 0x7fffffu) | 0x3f800000u;
        float number;
        __builtin_memcpy(&number, &bits, sizeof number);
        factors[4 * i + w] = number - 1.0f >= rate ? scale : 0.0f;
      }
    const int64_t count = columns - start < 4 * kPhiloxBlocks ? columns - start : 4 * kPhiloxBlocks;
    for (int64_t i = 0; i < count; i++) y[start + i] = x[start + i] * factors[i];
  }
}

}  // namespace lockstep
