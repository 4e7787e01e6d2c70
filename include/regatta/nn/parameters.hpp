// The flat registry of a network's parameters, under the key names of the reference repositories, in their order.
// Layers are made over it and keep tensors; optimiser, checkpoints and exchange of weights see only this list.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace regatta {

/// How a parameter is drawn when a training is born. Values are a pure function of (seed, index, element).
struct Init {
  enum class Kind { kUniform, kNormal, kConstant };
  Kind kind = Kind::kConstant;
  double scale = 0.0;  ///< half-width, standard deviation or value

  static Init uniform(double half_width) { return {Kind::kUniform, half_width}; }
  static Init normal(double deviation) { return {Kind::kNormal, deviation}; }
  static Init constant(double value) { return {Kind::kConstant, value}; }
};

struct Parameter {
  std::string name;  ///< "unet_model.downarm.0.main.weight"
  at::Tensor value;  ///< float32 leaf that requires a gradient
  Init init;
};

/// Which implementation of the layers and losses runs.
enum class Backend {
  kReference,  ///< LibTorch's operators in float32: every device, the reference of the other
  kFast        ///< our kernels and cuDNN over bf16 activations, on GPUs of compute capability 8.0 and above
};

/// How the layers of a network run. It is chosen before they are made, and the parameters that they are made over carry
/// it.
struct NetworkContext {
  Backend backend = Backend::kReference;
  bool channels_last = false;  ///< activations in NDHWC; results agree within rounding. The fast backend always has it

  /// Type of activations. Parameters, displacements, warps and losses are float32 all the same.
  at::ScalarType activations() const { return backend == Backend::kFast ? at::kBFloat16 : at::kFloat; }

  /// Parameters have a shape and no data (the Meta device): such a network runs at any size in no time, to tell its
  /// work and memory.
  bool without_data = false;
};

class Parameters {
 public:
  Parameters() = default;
  explicit Parameters(const NetworkContext& context) : context_(context) {}

  const NetworkContext& context() const { return context_; }

  /// Adds a float32 parameter. Order of calls is order of registration in the reference code.
  /// @throws BugError if the name is taken
  at::Tensor add(const std::string& name, std::vector<std::int64_t> shape, Init init);

  const std::vector<Parameter>& items() const { return items_; }

  /// Number of values in all parameters.
  std::int64_t count() const;

  /// Draws every parameter again from the seed, on the CPU, the same on every machine; those without data stay so.
  void initialise(std::uint64_t seed);

  /// Moves all values to a device, in place (layers keep their tensors).
  void to_device(const at::Device& device);

 private:
  NetworkContext context_;
  std::vector<Parameter> items_;
};

}  // namespace regatta
