// Implements fake_tensorflow.h. The registration of the op named in FAKE_TENSORFLOW_REFUSES_DEFINITION or
// FAKE_TENSORFLOW_REFUSES_KERNEL fails; as in TensorFlow, registration runs before main.

#include "fake_tensorflow.h"

#include <cstdlib>
#include <cstring>
#include <deque>

#include "tensorflow/c/kernels.h"
#include "tensorflow/c/ops.h"
#include "tensorflow/c/tf_status.h"
#include "tensorflow/c/tf_tensor.h"

// The status behind a TF_Status*, whose own type is opaque.
struct FakeStatus {
  TF_Code code = TF_OK;
  std::string message;
};

// A tensor's memory is shared by its handles, as in TensorFlow.
struct TF_Tensor {
  fake_tensorflow::Tensor* tensor;
};

struct TF_OpDefinitionBuilder {
  std::string name;
};

struct TF_KernelBuilder {
  void* (*create)(TF_OpKernelConstruction*);
  void (*compute)(void*, TF_OpKernelContext*);
  void (*destroy)(void*);
};

struct TF_OpKernelConstruction {
  const std::map<std::string, int64_t>* attributes;
  FakeStatus status;
};

struct TF_OpKernelContext {
  std::vector<fake_tensorflow::Tensor>& inputs;
  // A deque, so that an output stays where it is when another one is allocated.
  std::deque<fake_tensorflow::Tensor> outputs;
  FakeStatus status;
};

namespace {

FakeStatus& StatusOf(TF_Status* status) { return *reinterpret_cast<FakeStatus*>(status); }
const FakeStatus& StatusOf(const TF_Status* status) { return *reinterpret_cast<const FakeStatus*>(status); }

// Null until the definition's kernel is registered.
std::map<std::string, TF_KernelBuilder*>& Ops() {
  // The registry is never destroyed, as in TensorFlow, so LeakSanitizer does not report its builders.
  static auto* ops = new std::map<std::string, TF_KernelBuilder*>;
  return *ops;
}

bool Refuses(const char* variable, const std::string& name, TF_Status* status) {
  const char* refused = std::getenv(variable);
  if (refused == nullptr || name != refused) return false;
  TF_SetStatus(status, TF_ALREADY_EXISTS, "refused for the test");
  return true;
}

void Attribute(TF_OpKernelConstruction* construction, const char* name, int64_t* value, TF_Status* status) {
  const auto found = construction->attributes->find(name);
  if (found == construction->attributes->end())
    TF_SetStatus(status, TF_INVALID_ARGUMENT, name);
  else
    *value = found->second;
}

}  // namespace

extern "C" {

TF_Status* TF_NewStatus() { return reinterpret_cast<TF_Status*>(new FakeStatus); }
void TF_DeleteStatus(TF_Status* status) { delete reinterpret_cast<FakeStatus*>(status); }
void TF_SetStatus(TF_Status* status, TF_Code code, const char* message) { StatusOf(status) = {code, message}; }
TF_Code TF_GetCode(const TF_Status* status) { return StatusOf(status).code; }
const char* TF_Message(const TF_Status* status) { return StatusOf(status).message.c_str(); }

TF_OpDefinitionBuilder* TF_NewOpDefinitionBuilder(const char* name) { return new TF_OpDefinitionBuilder{name}; }
void TF_OpDefinitionBuilderAddInput(TF_OpDefinitionBuilder*, const char*) {}
void TF_OpDefinitionBuilderAddOutput(TF_OpDefinitionBuilder*, const char*) {}
void TF_OpDefinitionBuilderAddAttr(TF_OpDefinitionBuilder*, const char*) {}
void TF_RegisterOpDefinition(TF_OpDefinitionBuilder* builder, TF_Status* status) {
  if (!Refuses("FAKE_TENSORFLOW_REFUSES_DEFINITION", builder->name, status)) Ops()[builder->name] = nullptr;
  delete builder;
}

TF_KernelBuilder* TF_NewKernelBuilder(const char*, const char*, void* (*create)(TF_OpKernelConstruction*),
                                      void (*compute)(void*, TF_OpKernelContext*), void (*destroy)(void*)) {
  return new TF_KernelBuilder{create, compute, destroy};
}
void TF_RegisterKernelBuilder(const char* name, TF_KernelBuilder* builder, TF_Status* status) {
  if (Refuses("FAKE_TENSORFLOW_REFUSES_KERNEL", name, status))
    delete builder;
  else
    Ops()[name] = builder;
}

void TF_OpKernelConstruction_GetAttrInt64(TF_OpKernelConstruction* construction, const char* name, int64_t* value,
                                          TF_Status* status) {
  Attribute(construction, name, value, status);
}
void TF_OpKernelConstruction_GetAttrInt32(TF_OpKernelConstruction* construction, const char* name, int32_t* value,
                                          TF_Status* status) {
  int64_t wide = *value;
  Attribute(construction, name, &wide, status);
  *value = static_cast<int32_t>(wide);
}
void TF_OpKernelConstruction_Failure(TF_OpKernelConstruction* construction, TF_Status* status) {
  construction->status = StatusOf(status);
}
void TF_OpKernelContext_Failure(TF_OpKernelContext* context, TF_Status* status) { context->status = StatusOf(status); }

void TF_GetInput(TF_OpKernelContext* context, int i, TF_Tensor** tensor, TF_Status* status) {
  if (static_cast<size_t>(i) >= context->inputs.size()) return TF_SetStatus(status, TF_OUT_OF_RANGE, "no such input");
  *tensor = new TF_Tensor{&context->inputs[i]};
}
TF_Tensor* TF_AllocateOutput(TF_OpKernelContext* context, int i, TF_DataType, const int64_t* dims, int rank,
                             size_t bytes, TF_Status*) {
  const size_t index = static_cast<size_t>(i);
  if (index >= context->outputs.size()) context->outputs.resize(index + 1);
  fake_tensorflow::Tensor& output = context->outputs[index];
  output.dims.assign(dims, dims + rank);
  output.values.assign(bytes / 4, -1);
  return new TF_Tensor{&output};
}
void TF_DeleteTensor(TF_Tensor* tensor) { delete tensor; }
void* TF_TensorData(const TF_Tensor* tensor) { return tensor->tensor->values.data(); }
int64_t TF_TensorElementCount(const TF_Tensor* tensor) { return static_cast<int64_t>(tensor->tensor->values.size()); }
int TF_NumDims(const TF_Tensor* tensor) { return static_cast<int>(tensor->tensor->dims.size()); }
int64_t TF_Dim(const TF_Tensor* tensor, int i) { return tensor->tensor->dims[i]; }

}  // extern "C"

namespace fake_tensorflow {

std::vector<std::string> RegisteredOps() {
  std::vector<std::string> names;
  for (const auto& [name, kernel] : Ops())
    if (kernel != nullptr) names.push_back(name);
  return names;
}

Result Run(const std::string& op, const std::map<std::string, int64_t>& attributes, std::vector<Tensor>& inputs) {
  const auto found = Ops().find(op);
  if (found == Ops().end() || found->second == nullptr) return {TF_NOT_FOUND, op + " is not registered", {}};
  const TF_KernelBuilder& builder = *found->second;
  TF_OpKernelConstruction construction{&attributes, {}};
  void* kernel = builder.create ? builder.create(&construction) : nullptr;
  TF_OpKernelContext context{inputs, {}, construction.status};
  if (context.status.code == TF_OK) builder.compute(kernel, &context);
  if (builder.destroy) builder.destroy(kernel);
  return {context.status.code, context.status.message, {context.outputs.begin(), context.outputs.end()}};
}

}  // namespace fake_tensorflow
