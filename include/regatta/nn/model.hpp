// A registration network: two volumes in, a displacement field and the warped moving volume out.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "regatta/config/json.hpp"
#include "regatta/nn/parameters.hpp"

namespace regatta {

/// Any memory layout: take `.contiguous()` before reading through a pointer.
struct ModelOutput {
  at::Tensor warped;       ///< [N, 1, D, H, W] moving sampled at p + flow(p)
  at::Tensor flow;         ///< [N, 3, D, H, W] voxels, components D H W, pull-back: fixed grid to moving point
  at::Tensor regularised;  ///< what regularisers see: the flow, or the velocity of a diffeomorphic network
};

class Model {
 public:
  virtual ~Model() = default;

  /// @param moving, fixed  [N, 1, D, H, W] float32 in [0, 1], each size a multiple of `size_multiple()`
  virtual ModelOutput forward(const at::Tensor& moving, const at::Tensor& fixed) = 0;

  Parameters& parameters() { return parameters_; }
  const Parameters& parameters() const { return parameters_; }

  virtual int size_multiple() const = 0;

  /// Multiplications-and-additions of one forward pass, by layer arithmetic.
  virtual double mul_adds(std::int64_t D, std::int64_t H, std::int64_t W) const = 0;

  /// Options as resolved, defaults written out; and only those that differ from their defaults.
  virtual Json options() const = 0;
  virtual Json options_identity() const = 0;

  /// Activations in NDHWC; results agree within rounding.
  virtual void set_channels_last(bool on) = 0;

 protected:
  Parameters parameters_;
};

struct ModelRow {
  const char* name;
  const char* help;
  std::unique_ptr<Model> (*make)(const std::string& name, const Json& options);
};

const std::vector<ModelRow>& model_rows();

/// @throws ConfigError for an unknown name (listing all) or wrong options (with their JSON pointer)
std::unique_ptr<Model> make_model(const std::string& name, const Json& options);

}  // namespace regatta
