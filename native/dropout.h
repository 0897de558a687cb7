// Dropout whose masks come from Philox4x32-10 (Salmon et al., SC'11; src/shared/random/philox.ts has the same
// function).

#pragma once

#include <cstdint>

#include "arithmetic.h"

namespace lockstep {

// Blocks of the generator that are computed beside each other, four numbers each.
constexpr int kBlocks = 16;

// Ten rounds on kBlocks counters: words[i] becomes the i-th number of each block.
INLINE void Philox(uint32_t key0, uint32_t key1, uint32_t words[4][kBlocks]) {
  for (int round = 0; round < 10; round++) {
    for (int i = 0; i < kBlocks; i++) {
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

// One row: y = x * scale where the number of its place is at least `rate`, else 0. `counter` is [key, key, first block,
// word 2, word 3]; the row begins `block` blocks after the first. The numbers are those of StatelessRandomUniformV2.
FOR_EACH_CPU void Dropout(const float* x, const uint32_t* counter, uint32_t block, float rate, float scale,
                          int64_t columns, float* y) {
  for (int64_t start = 0; start < columns; start += 4 * kBlocks) {
    uint32_t words[4][kBlocks];
    for (int i = 0; i < kBlocks; i++) {
      words[0][i] = counter[2] + block + static_cast<uint32_t>(start / 4 + i);
      words[1][i] = 0;
      words[2][i] = counter[3];
      words[3][i] = counter[4];
    }
    Philox(counter[0], counter[1], words);
    float factors[4 * kBlocks];
    for (int w = 0; w < 4; w++)
      for (int i = 0; i < kBlocks; i++) {
        const uint32_t bits = (words[w][i] & 0x7fffffu) | 0x3f800000u;
        float number;
        __builtin_memcpy(&number, &bits, sizeof number);
        factors[4 * i + w] = number - 1.0f >= rate ? scale : 0.0f;
      }
    const int64_t count = columns - start < 4 * kBlocks ? columns - start : 4 * kBlocks;
    for (int64_t i = 0; i < count; i++) y[start + i] = x[start + i] * factors[i];
  }
}

}  // namespace lockstep
