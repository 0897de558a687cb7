// The part of TensorFlow's C API that Lockstep's ops use, implemented over plain memory (fake_tensorflow.cc), so that
// whole ops run under sanitizers without TensorFlow. Tensors have exactly the size of their elements.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace fake_tensorflow {

struct Tensor {
  std::vector<int64_t> dims;
  std::vector<float> values;  // or 32-bit integers
};

struct Result {
  int code;  // TF_Code
  std::string message;
  std::vector<Tensor> outputs;
};

// Names of the ops that are registered completely, with definition and kernel, in alphabetical order.
std::vector<std::string> RegisteredOps();

// Creates the op's kernel from its attributes, runs it once and destroys it. An op may update its inputs in place.
Result Run(const std::string& op, const std::map<std::string, int64_t>& attributes, std::vector<Tensor>& inputs);

}  // namespace fake_tensorflow
