#include "regatta/train/inference.hpp"

#include <array>
#include <utility>
#include <vector>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/from_blob.h>

#include "regatta/base/text.hpp"

namespace regatta {
namespace {

constexpr std::array<at::Tensor ModelOutput::*, 12> kOutputs = {&ModelOutput::warped,
                                                                &ModelOutput::flow,
                                                                &ModelOutput::regularised,
                                                                &ModelOutput::velocity_mean,
                                                                &ModelOutput::velocity_log_variance,
                                                                &ModelOutput::inverse_warped,
                                                                &ModelOutput::inverse_flow,
                                                                &ModelOutput::inverse_regularised,
                                                                &ModelOutput::halfway_moving,
                                                                &ModelOutput::halfway_fixed,
                                                                &ModelOutput::halfway_flow,
                                                                &ModelOutput::halfway_inverse_flow};
static_assert(sizeof(ModelOutput) == kOutputs.size() * sizeof(at::Tensor));

/// The same memory without a claim to it: other graphs of the pool may put their tensors there while this one rests.
at::Tensor unowned(const at::Tensor& tensor) {
  if (!tensor.defined()) {
    return {};
  }
  return at::for_blob(tensor.data_ptr(), tensor.sizes())
      .strides(tensor.strides())
      .options(tensor.options())
      .target_device(tensor.device())
      .make_tensor();
}

std::vector<const void*> places_of_weights(const Model& model) {
  std::vector<const void*> places;
  for (const Parameter& parameter : model.parameters().items()) {
    places.push_back(parameter.value.const_data_ptr());
  }
  return places;
}

}  // namespace

struct Inference::Size {
  int passes = 0;
  std::unique_ptr<CapturedGraph> graph;
  std::vector<const void*> weights;  ///< that the graph reads
  at::Tensor moving, fixed;          ///< of the pool, not owned
  ModelOutput output;                ///< of the pool, not owned
};

Inference::Inference(Model& model, Backend backend, Capture capture, std::shared_ptr<GraphPool> pool)
    : model_(model),
      captures_(backend == Backend::kFast && capture == Capture::kAllowed && model.why_not_captured().empty()),
      pool_(std::move(pool)) {}

Inference::~Inference() = default;

ModelOutput Inference::run_(const at::Tensor& moving, const at::Tensor& fixed) {
  const at::NoGradGuard no_gradients;
  if (!captures_ || !moving.is_cuda()) {
    return model_.forward(moving, fixed);
  }
  std::unique_ptr<Size>& size = sizes_[str(join(moving.sizes(), "x"), " ", join(fixed.sizes(), "x"))];
  if (size == nullptr) {
    size = std::make_unique<Size>();
  }
  if (size->passes < kUncaptured) {
    ++size->passes;
    return model_.forward(moving, fixed);
  }
  if (size->graph == nullptr || size->weights != places_of_weights(model_)) {
    capture_(*size, moving, fixed);
  }
  size->moving.copy_(moving);
  size->fixed.copy_(fixed);
  size->graph->replay();
  ++replays_;
  return size->output;
}

/// Inputs and outputs lie in the pool and are given back to it: a pass and a step run in turn, so that neither needs
/// memory beside the other's.
void Inference::capture_(Size& size, const at::Tensor& moving, const at::Tensor& fixed) {
  if (pool_ == nullptr) {
    pool_ = std::make_shared<GraphPool>(moving.device());
  }
  at::Tensor moving_input;
  at::Tensor fixed_input;
  ModelOutput output;
  auto graph = std::make_unique<CapturedGraph>(*pool_, [&] {
    moving_input = at::empty_like(moving, at::MemoryFormat::Contiguous);
    fixed_input = at::empty_like(fixed, at::MemoryFormat::Contiguous);
    output = model_.forward(moving_input, fixed_input);
  });
  size.graph = std::move(graph);  // an older one lives until now: without any the pool would be given up
  size.weights = places_of_weights(model_);
  size.moving = unowned(moving_input);
  size.fixed = unowned(fixed_input);
  for (const auto part : kOutputs) {
    size.output.*part = unowned(output.*part);
  }
  operations_ = size.graph->operations();
}

}  // namespace regatta
