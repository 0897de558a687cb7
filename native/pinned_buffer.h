// A buffer of floats outside TensorFlow's tensors, passed to an op as an address in its attributes, so that the op
// reads or writes a gradient bucket or a snapshot without a copy.
//
// The caller keeps the memory alive and at its address ("pinned") while the op can run, and does not access it
// concurrently. TensorFlow caches one kernel per combination of attributes, so callers must reuse the same few buffers.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "op.h"

namespace lockstep {

struct PinnedBuffer {
  int64_t address = 0;  // address of the first float, aligned to 4 bytes
  int64_t offset = 0;   // first element of the op's range in the state vectors
  int64_t count = 0;    // number of floats in the buffer
  int64_t hash = 0;     // address of 8 bytes that receive the ledger's hash of the result; 0 for none

  float* data() const { return reinterpret_cast<float*>(static_cast<intptr_t>(address)); }
  uint32_t* hash_data() const { return reinterpret_cast<uint32_t*>(static_cast<intptr_t>(hash)); }

  static std::vector<std::string> AttributeSpecifications() {
    return {"address: int", "offset: int", "count: int", "hash: int"};
  }
  // Reads the attributes; fails the construction if one is missing.
  static PinnedBuffer FromAttributes(TF_OpKernelConstruction* construction) {
    PinnedBuffer buffer;
    Status s;
    TF_OpKernelConstruction_GetAttrInt64(construction, "address", &buffer.address, s.status);
    if (s.ok()) TF_OpKernelConstruction_GetAttrInt64(construction, "offset", &buffer.offset, s.status);
    if (s.ok()) TF_OpKernelConstruction_GetAttrInt64(construction, "count", &buffer.count, s.status);
    if (s.ok()) TF_OpKernelConstruction_GetAttrInt64(construction, "hash", &buffer.hash, s.status);
    if (!s.ok()) TF_OpKernelConstruction_Failure(construction, s.status);
    return buffer;
  }
};

inline void* CreatePinnedBuffer(TF_OpKernelConstruction* construction) {
  return new PinnedBuffer(PinnedBuffer::FromAttributes(construction));
}
inline void DeletePinnedBuffer(void* kernel) { delete static_cast<PinnedBuffer*>(kernel); }

}  // namespace lockstep
