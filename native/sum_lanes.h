// The lanes of sums over a row, the same for all instruction sets.

#pragma once

#include <cstdint>

namespace lockstep {

// Lanes of a sum over a row. Rows are padded to a multiple of it.
constexpr int64_t kSumLanes = 16;

inline int64_t PaddedLanes(int64_t count) { return (count + kSumLanes - 1) / kSumLanes * kSumLanes; }

}  // namespace lockstep
