// Where an op finds or leaves floats that are not a tensor's, and how many. The caller keeps them alive and is alone
// with them.

#pragma once

#include "op.h"

namespace lockstep {

struct Place {
  int64_t address = 0;
  int64_t offset = 0;
  int64_t count = 0;
  int64_t hash = 0;  // where the ledger's hash of what was written goes; 0 for none
  float* data() const { return reinterpret_cast<float*>(static_cast<intptr_t>(address)); }
  uint32_t* hash_data() const { return reinterpret_cast<uint32_t*>(static_cast<intptr_t>(hash)); }

  static std::vector<const char*> Names() { return {"address: int", "offset: int", "count: int", "hash: int"}; }
  static Place Of(TF_OpKernelConstruction* construction) {
    Place place;
    Status s;
    TF_OpKernelConstruction_GetAttrInt64(construction, "address", &place.address, s.status);
    if (s.ok()) TF_OpKernelConstruction_GetAttrInt64(construction, "offset", &place.offset, s.status);
    if (s.ok()) TF_OpKernelConstruction_GetAttrInt64(construction, "count", &place.count, s.status);
    if (s.ok()) TF_OpKernelConstruction_GetAttrInt64(construction, "hash", &place.hash, s.status);
    if (!s.ok()) TF_OpKernelConstruction_Failure(construction, s.status);
    return place;
  }
};

inline void* CreatePlace(TF_OpKernelConstruction* construction) { return new Place(Place::Of(construction)); }
inline void DeletePlace(void* kernel) { delete static_cast<Place*>(kernel); }

}  // namespace lockstep
