// A registration network: two volumes in, a displacement field and the warped moving volume out.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "regatta/config/options.hpp"
#include "regatta/nn/parameters.hpp"

namespace regatta {

/// Any memory layout: take `.contiguous()` before reading through a pointer. Undefined tensors are absent.
struct ModelOutput {
  at::Tensor warped{};       ///< [N, 1, D, H, W] moving sampled at p + flow(p)
  at::Tensor flow{};         ///< [N, 3, D, H, W] voxels, components D H W, pull-back: fixed grid to moving point
  at::Tensor regularised{};  ///< what regularisers see: the flow, or the velocity of a diffeomorphic network, in voxels
                             ///< of its own grid

  // Networks that predict a distribution of velocities, [N, 3, d, h, w], voxels of that grid.
  at::Tensor velocity_mean{};
  at::Tensor velocity_log_variance{};

  // Two-directional networks: the fixed volume onto the moving grid.
  at::Tensor inverse_warped{};
  at::Tensor inverse_flow{};
  at::Tensor inverse_regularised{};

  // Networks that meet in the middle: both volumes there, and the fields that took them.
  at::Tensor halfway_moving{};
  at::Tensor halfway_fixed{};
  at::Tensor halfway_flow{};
  at::Tensor halfway_inverse_flow{};
};

/// What a forward pass of a training may draw from: random numbers are a pure function of both.
struct TrainingDraw {
  std::uint64_t seed = 0;
  std::int64_t step = 0;

  /// Scalar float64: the step once more, on the GPU. Where it is defined, only this is read and numbers are drawn there
  /// (nn/fast/draw.hpp): a captured step finds another one each time.
  at::Tensor step_on_device{};
};

class Model {
 public:
  virtual ~Model() = default;

  /// @param moving, fixed  [N, 1, D, H, W] float32 in [0, 1], each size a multiple of `size_multiple()`
  virtual ModelOutput forward(const at::Tensor& moving, const at::Tensor& fixed) = 0;

  Parameters& parameters() { return parameters_; }
  const Parameters& parameters() const { return parameters_; }
  const NetworkContext& context() const { return parameters_.context(); }

  virtual int size_multiple() const = 0;

  /// Options as resolved, defaults written out; and only those that differ from their defaults.
  const Json& options() const { return options_; }
  const Json& options_identity() const { return identity_; }

  /// The same with type, allowed values and help: for documentation.
  const std::vector<OptionRow>& option_table() const { return table_; }

  /// Dropout, drop path and sampling happen in the forward passes that follow, until `set_evaluation`.
  void set_training(const TrainingDraw& draw) { draw_ = draw; }
  void set_evaluation() { draw_.reset(); }

  /// True if a training on CUDA by the context's backend repeats its results only numerically: somewhere a gradient is
  /// summed by float atomics.
  virtual bool numerical_on_cuda() const { return false; }

  /// Why training steps with this network cannot be replayed as a captured graph; empty: they can. No pass of a
  /// captured one may read a number of the device on the host (`item`, `cpu`, a branch on values) or upload a tensor
  /// that was made on the host, except in the first passes, where tables may be made and kept.
  virtual std::string why_not_captured() const { return {}; }

 protected:
  /// Said by networks that are written so that the fast backend can take the place of their layers.
  struct HasFastForm {};

  /// A network whose options are the struct's. It runs by reference whatever the context asks for.
  template <class Options>
  Model(const Options& options, const NetworkContext& context) : Model(options, by_reference(context), HasFastForm{}) {}

  template <class Options>
  Model(const Options& options, const NetworkContext& context, HasFastForm)
      : parameters_(context),
        options_(write_options(options)),
        identity_(identity_of(options)),
        table_(option_rows(options)) {}

  /// None outside of a training.
  const std::optional<TrainingDraw>& draw() const { return draw_; }

  Parameters parameters_;

 private:
  static NetworkContext by_reference(NetworkContext context) {
    context.backend = Backend::kReference;
    return context;
  }

  std::optional<TrainingDraw> draw_;
  Json options_ = Json::object();
  Json identity_ = Json::object();
  std::vector<OptionRow> table_;
};

struct ModelRow {
  const char* name;
  const char* help;
  const char* source;  ///< the paper: authors, title, venue, year
  std::unique_ptr<Model> (*make)(const std::string& name, const Json& options, const NetworkContext& context);
};

const std::vector<ModelRow>& model_rows();

/// @throws ConfigError for an unknown name (listing all) or wrong options (with their JSON pointer)
std::unique_ptr<Model> make_model(const std::string& name, const Json& options, const NetworkContext& context = {});

}  // namespace regatta
