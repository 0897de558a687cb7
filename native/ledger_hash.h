// The ledger's hash of a float32 vector: 64 bits that detect different results; it has no cryptographic strength.
// src/shared/ledger/hash.ts defines the same function; the two must stay equal.
//
// 64 lanes of 32-bit words are mixed independently. They are held in four vectors, because each step of one vector has
// to wait for the product of its previous step.

#pragma once

#include "vectors.h"

namespace lockstep {

typedef uint32_t WordVector __attribute__((vector_size(64)));
constexpr int kHashVectors = 4;
constexpr int kHashLanes = kHashVectors * kLanes;
// Floats per block of a kernel that hashes what it has just written: a block fits the first-level cache.
constexpr int64_t kHashBlock = 16 * kHashLanes;

struct HashState {
  WordVector lanes[kHashVectors];
};

LOCKSTEP_INLINE uint32_t RotateLeft(uint32_t x, int by) { return (x << by) | (x >> (32 - by)); }
LOCKSTEP_INLINE WordVector LoadWords(const float* from) {
  WordVector words;
  __builtin_memcpy(&words, from, sizeof words);
  return words;
}
LOCKSTEP_INLINE WordVector MixWords(WordVector state, WordVector words) {
  state = (state ^ words) * 0x85ebca6bu;
  return (state << 13) | (state >> 19);
}
LOCKSTEP_INLINE void InitHash(HashState* state) {
  for (int lane = 0; lane < kHashLanes; lane++)
    state->lanes[lane / kLanes][lane % kLanes] = 0x9e3779b9u * static_cast<uint32_t>(lane + 1);
}

// Mixes `count` values into the state. Only the last call for a vector may have a count that is not a multiple of
// kHashLanes.
LOCKSTEP_INLINE void UpdateHash(HashState* state, const float* values, int64_t count) {
  WordVector a = state->lanes[0], b = state->lanes[1], c = state->lanes[2], d = state->lanes[3];
  int64_t i = 0;
  for (; i + kHashLanes <= count; i += kHashLanes) {
    a = MixWords(a, LoadWords(values + i));
    b = MixWords(b, LoadWords(values + i + kLanes));
    c = MixWords(c, LoadWords(values + i + 2 * kLanes));
    d = MixWords(d, LoadWords(values + i + 3 * kLanes));
  }
  state->lanes[0] = a;
  state->lanes[1] = b;
  state->lanes[2] = c;
  state->lanes[3] = d;
  for (; i < count; i++) {
    uint32_t word;
    __builtin_memcpy(&word, values + i, sizeof word);
    const int lane = static_cast<int>(i % kHashLanes);
    WordVector& lanes = state->lanes[lane / kLanes];
    lanes[lane % kLanes] = RotateLeft((lanes[lane % kLanes] ^ word) * 0x85ebca6bu, 13);
  }
}

// Writes the hash of a vector of `count` values to out[0..1].
LOCKSTEP_INLINE void FinishHash(const HashState& state, int64_t count, uint32_t* out) {
  uint32_t a = static_cast<uint32_t>(count), b = ~a;
  for (int lane = 0; lane < kHashLanes; lane++) {
    const uint32_t word = state.lanes[lane / kLanes][lane % kLanes];
    a = RotateLeft((a ^ word) * 0xc2b2ae35u, 15);
    b = RotateLeft((b ^ word) * 0x27d4eb2fu, 11);
  }
  out[0] = a ^ (b >> 16);
  out[1] = b ^ (a >> 15);
}

LOCKSTEP_MULTIVERSIONED void Hash(const float* values, int64_t count, uint32_t* out) {
  HashState state;
  InitHash(&state);
  UpdateHash(&state, values, count);
  FinishHash(state, count, out);
}

}  // namespace lockstep
