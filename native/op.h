// Wrappers over TensorFlow's stable C API for kernels: status, inputs, output and argument checks. Owns TensorFlow's
// handles; contains no arithmetic.

#pragma once

#include <cstdint>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

#include "tensorflow/c/kernels.h"
#include "tensorflow/c/tf_status.h"
#include "tensorflow/c/tf_tensor.h"

namespace lockstep {

struct Status {
  TF_Status* status = TF_NewStatus();
  ~Status() { TF_DeleteStatus(status); }
  bool ok() const { return TF_GetCode(status) == TF_OK; }
};

// An input tensor of the running kernel. `data` is the tensor's own memory: row-major and aligned to 64 bytes.
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
  std::vector<int64_t> dims() const {
    std::vector<int64_t> dims;
    for (int i = 0; i < rank(); i++) dims.push_back(dim(i));
    return dims;
  }
};

// Prints a tensor's shape, e.g. [2, 3], for messages.
inline std::ostream& operator<<(std::ostream& out, const Input& input) {
  out << '[';
  for (int i = 0; i < input.rank(); i++) out << (i > 0 ? ", " : "") << input.dim(i);
  return out << ']';
}

// An output tensor of the running kernel, allocated with elements of `element_bytes` bytes.
struct Output {
  TF_Tensor* tensor;
  Output(TF_OpKernelContext* context, TF_DataType type, const std::vector<int64_t>& dims, size_t element_bytes,
         Status& s, int index = 0) {
    size_t bytes = element_bytes;
    for (int64_t d : dims) bytes *= static_cast<size_t>(d);
    tensor = TF_AllocateOutput(context, index, type, dims.data(), static_cast<int>(dims.size()), bytes, s.status);
  }
  ~Output() {
    if (tensor) TF_DeleteTensor(tensor);
  }
  void* data() const { return TF_TensorData(tensor); }
};

// Sets the empty output of an op that is run for its effect alone. TensorFlow's eager execution requires an output.
inline void SetEmptyOutput(TF_OpKernelContext* context) {
  Status s;
  Output done(context, TF_FLOAT, {0}, 4, s);
  if (!s.ok()) TF_OpKernelContext_Failure(context, s.status);
}

// Fails the op with TF_INVALID_ARGUMENT unless `condition` holds; `message` is printed only then. Returns `condition`.
template <class... Message>
bool Require(TF_OpKernelContext* context, bool condition, const Message&... message) {
  if (condition) return true;
  std::ostringstream text;
  (text << ... << message);
  Status s;
  TF_SetStatus(s.status, TF_INVALID_ARGUMENT, text.str().c_str());
  TF_OpKernelContext_Failure(context, s.status);
  return false;
}

}  // namespace lockstep
