// Registers an op and its CPU kernel with TensorFlow when the binding that contains them is loaded.
//
// A failed registration must not stay silent: without the op, kernels composed from TensorFlow's ops take its place,
// and their results differ in the last bits. Failures are written to stderr; src/worker/kernels/own-ops.ts then finds
// the op unregistered and reports it.

#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "op.h"
#include "tensorflow/c/ops.h"

namespace lockstep {

// Attributes of an op in TensorFlow's syntax, e.g. "mode: int = 0", and the functions that create and destroy the
// kernel's state from them.
struct Attributes {
  std::vector<std::string> specifications;
  void* (*create)(TF_OpKernelConstruction*) = nullptr;
  void (*destroy)(void*) = nullptr;
};

inline bool ReportRegistration(const char* op, const char* step, const Status& s) {
  if (s.ok()) return true;
  std::fprintf(stderr,
               "Lockstep: registering %s of op %s: expected success, got \"%s\" (code %d). "
               "Run `lockstep engine install --force`.\n",
               step, op, TF_Message(s.status), static_cast<int>(TF_GetCode(s.status)));
  return false;
}

// Registers op `name` with inputs and outputs in TensorFlow's syntax, e.g. "x: float". Returns false, after a
// message on stderr, if TensorFlow refuses the definition or the kernel; a kernel is not registered without its
// definition.
inline bool Register(const char* name, const std::vector<const char*>& inputs, const std::vector<const char*>& outputs,
                     const Attributes& attributes, void (*compute)(void*, TF_OpKernelContext*)) {
  TF_OpDefinitionBuilder* op = TF_NewOpDefinitionBuilder(name);
  for (const char* input : inputs) TF_OpDefinitionBuilderAddInput(op, input);
  for (const char* output : outputs) TF_OpDefinitionBuilderAddOutput(op, output);
  for (const std::string& attribute : attributes.specifications) TF_OpDefinitionBuilderAddAttr(op, attribute.c_str());
  Status definition;
  TF_RegisterOpDefinition(op, definition.status);
  if (!ReportRegistration(name, "the definition", definition)) return false;
  TF_KernelBuilder* builder = TF_NewKernelBuilder(name, "CPU", attributes.create, compute, attributes.destroy);
  Status kernel;
  TF_RegisterKernelBuilder(name, builder, kernel.status);
  return ReportRegistration(name, "the CPU kernel", kernel);
}

// Registers an op with one output.
inline bool Register(const char* name, const std::vector<const char*>& inputs, const char* output,
                     const Attributes& attributes, void (*compute)(void*, TF_OpKernelContext*)) {
  return Register(name, inputs, std::vector<const char*>{output}, attributes, compute);
}

}  // namespace lockstep
