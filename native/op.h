// What Lockstep's own TensorFlow ops are made of: their inputs and output, their attributes, and how they are
// registered through TensorFlow's stable C API when tfjs-node's binding, with which they are compiled by `lockstep
// engine install`, is loaded.

#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "tensorflow/c/kernels.h"
#include "tensorflow/c/ops.h"
#include "tensorflow/c/tf_status.h"
#include "tensorflow/c/tf_tensor.h"

namespace lockstep {

struct Status {
  TF_Status* status = TF_NewStatus();
  ~Status() { TF_DeleteStatus(status); }
  bool ok() const { return TF_GetCode(status) == TF_OK; }
};

struct Input {
  TF_Tensor* tensor = nullptr;
  Input(TF_OpKernelContext* context, int index, Status& s) { TF_GetInput(context, index, &tensor, s.status); }
  ~Input() {
    if (tensor) TF_DeleteTensor(tensor);
  }
  float* data() const { return static_cast<float*>(TF_TensorData(tensor)); }
  int64_t count() const { return TF_TensorElementCount(tensor); }
  int rank() const { return TF_NumDims(tensor); }
  int64_t dim(int i) const { return TF_Dim(tensor, i); }
};

struct Output {
  TF_Tensor* tensor;
  Output(TF_OpKernelContext* context, TF_DataType type, const std::vector<int64_t>& dims, size_t element, Status& s) {
    size_t bytes = element;
    for (int64_t d : dims) bytes *= static_cast<size_t>(d);
    tensor = TF_AllocateOutput(context, 0, type, dims.data(), static_cast<int>(dims.size()), bytes, s.status);
  }
  ~Output() {
    if (tensor) TF_DeleteTensor(tensor);
  }
  void* data() const { return TF_TensorData(tensor); }
};

inline bool Require(TF_OpKernelContext* context, bool condition, const char* what) {
  if (condition) return true;
  Status s;
  TF_SetStatus(s.status, TF_INVALID_ARGUMENT, what);
  TF_OpKernelContext_Failure(context, s.status);
  return false;
}

inline void* CreateNothing(TF_OpKernelConstruction*) { return nullptr; }
inline void DeleteNothing(void*) {}

// Attributes of an op, and what its kernel keeps of them.
struct Attributes {
  std::vector<const char*> names;
  void* (*create)(TF_OpKernelConstruction*) = CreateNothing;
  void (*destroy)(void*) = DeleteNothing;
};

inline void Register(const char* name, const std::vector<const char*>& inputs, const char* output,
                     const Attributes& attributes, void (*compute)(void*, TF_OpKernelContext*)) {
  TF_OpDefinitionBuilder* op = TF_NewOpDefinitionBuilder(name);
  for (const char* input : inputs) TF_OpDefinitionBuilderAddInput(op, input);
  TF_OpDefinitionBuilderAddOutput(op, output);
  for (const char* attribute : attributes.names) TF_OpDefinitionBuilderAddAttr(op, attribute);
  Status s;
  TF_RegisterOpDefinition(op, s.status);
  TF_KernelBuilder* builder = TF_NewKernelBuilder(name, "CPU", attributes.create, compute, attributes.destroy);
  TF_RegisterKernelBuilder(name, builder, s.status);
}

}  // namespace lockstep
