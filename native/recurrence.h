// The recurrence of LSTM, GRU and SimpleRNN over all time steps, forward and backward, compiled for AVX2 and AVX-512
// with the same bits. Chooses nothing at run time; the caller must check that the CPU supports the instructions
// (recurrence_ops.cc). The arithmetic is in simd_recurrence.h.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "scratch.h"

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define LOCKSTEP_RECURRENCE 1
#include <immintrin.h>
#endif

#ifdef LOCKSTEP_RECURRENCE

#ifndef INLINE_SIMD
#define INLINE_SIMD static inline __attribute__((always_inline))
#endif

namespace lockstep {

enum CellKind : int32_t { kLstm = 0, kGru = 1, kSimpleRnn = 2 };
enum ActivationKind : int32_t { kLinear = 0, kTanh = 1, kSigmoid = 2, kHardSigmoid = 3, kRelu = 4 };

// Sizes and options of one recurrence. Gates of an LSTM are i, f, g (the candidate) and o; those of a GRU are z, r and
// the candidate.
struct Recurrence {
  int32_t kind, activation, recurrent_activation, backwards;
  int64_t samples, steps, units;

  int64_t gates() const { return kind == kLstm ? 4 : kind == kGru ? 3 : 1; }
  int64_t states() const { return kind == kLstm ? 2 : 1; }
  // Parts of the record, each with [samples, steps, units] values in the order of the input's time: the hidden state
  // after the step, the hidden state before it with its dropout, and what the backward pass needs. LSTM: i, f, g, o,
  // the carry after the step, and its activation. GRU: z, r, the candidate, and r * the state before the step. The
  // gates and the candidate are joined to [samples, steps, gates * units], like `projected`, so that a step of a sample
  // reads and writes few separate places.
  int64_t parts() const { return kind == kLstm ? 8 : kind == kGru ? 6 : 2; }
  int64_t part() const { return samples * steps * units; }
  // The input's time step of step `s` of the recurrence.
  int64_t time(int64_t s) const { return backwards ? steps - 1 - s : s; }
  // Index of the first value of a sample and time step in an array with `values` values per step.
  int64_t at(int64_t sample, int64_t t, int64_t values) const { return (sample * steps + t) * values; }
};

// Arguments of both passes. A null pointer means that the layer has none.
struct RecurrenceInputs {
  const float* projected;         // [samples, steps, gates * units]: the input times its kernel
  const float* recurrent_kernel;  // [units, gates * units]
  const float* bias;              // [gates * units]
  const float* mask;              // [samples, steps]; a step with 0 leaves the state as it was
  const float* dropout;           // [samples, units]: factors of the hidden state before each step
  const float* initial;           // [states, samples, units]; by default zeros
};

// Gradients that the backward pass receives; a null pointer means zeros.
struct RecurrenceGradients {
  const float* hidden;  // [samples, steps, units]: of the hidden states after each step
  const float* last;    // [last_states, samples, units]: of the first states after the last step; zeros for the others
  int64_t last_states;
};

constexpr int kRecordHidden = 0, kRecordPrevious = 1, kRecordFirst = 2, kRecordCarry = 6, kRecordCarryOut = 7,
              kRecordReset = 5;

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")
namespace recurrence_avx512 {
#include "simd_avx512.h"
constexpr int64_t kPack = 1;
INLINE_SIMD Vector MultiplyAdd(Vector a, Vector b, Vector sum) { return _mm512_fmadd_ps(a, b, sum); }
#include "simd_products.h"
#include "simd_activations.h"
#include "simd_recurrence.h"
}  // namespace recurrence_avx512
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace recurrence_avx2 {
#include "simd_avx2.h"
constexpr int64_t kPack = 1;
INLINE_SIMD Vector MultiplyAdd(Vector a, Vector b, Vector sum) { return _mm256_fmadd_ps(a, b, sum); }
#include "simd_products.h"
#include "simd_activations.h"
#include "simd_recurrence.h"
}  // namespace recurrence_avx2
#pragma GCC pop_options

}  // namespace lockstep

#endif  // LOCKSTEP_RECURRENCE
