#include "nn/fast/keypoint.hpp"

#include <optional>

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "regatta/kernels/keypoint.hpp"
#include "regatta/nn/chip.hpp"

namespace regatta::fast {
namespace {

bool are_points(const at::Tensor& points, const at::Tensor& flow) {
  return points.scalar_type() == at::kFloat && points.device() == flow.device() &&
         points.size(0) <= kernels::kMostKeypoints;
}

/// What is on the device in place of a constant.
bool is_double(const at::Tensor& tensor, const at::Tensor& flow) {
  return !tensor.defined() || (tensor.scalar_type() == at::kDouble && tensor.device() == flow.device());
}

std::optional<at::Tensor> contiguous(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional<at::Tensor>(tensor.contiguous()) : std::nullopt;
}

class Keypoints : public torch::autograd::Function<Keypoints> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& flow, const at::Tensor& fixed,
                            const at::Tensor& moving, const std::optional<at::Tensor>& count,
                            const std::optional<at::Tensor>& axes, const VoxelAxes& axes_mm, bool squared) {
    const at::Tensor field = flow.contiguous();
    const at::Tensor loss = at::empty({}, field.options());
    const at::Tensor slopes = at::empty_like(fixed);
    const auto points = static_cast<int>(fixed.size(0));
    const at::Tensor scratch = scratch_like(field, kernels::keypoint_scratch_bytes(points));
    context->save_for_backward({field, fixed, moving, count.value_or(at::Tensor()), slopes});
    if (const Chip chip = chip_of(field); chip.launches) {
      kernels::KeypointWork work = work_of(field, fixed, moving, count.value_or(at::Tensor()));
      work.squared = squared;
      work.axes_mm = axes_mm;
      work.axes_on_device = axes ? axes->const_data_ptr<double>() : nullptr;
      kernels::keypoint_forward(work, slopes.mutable_data_ptr<float>(), loss.mutable_data_ptr<float>(),
                                scratch.mutable_data_ptr(), chip.stream);
    }
    return loss;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto saved = context->get_saved_variables();
    const at::Tensor upstream = outer.front().to(at::kFloat).contiguous();
    const at::Tensor to_flow = at::empty_like(saved[0], at::MemoryFormat::Contiguous);
    if (const Chip chip = chip_of(to_flow); chip.launches) {
      kernels::keypoint_backward(work_of(saved[0], saved[1], saved[2], saved[3]), saved[4].const_data_ptr<float>(),
                                 upstream.const_data_ptr<float>(), to_flow.mutable_data_ptr<float>(), chip.stream);
    }
    return {to_flow, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }

 private:
  static kernels::KeypointWork work_of(const at::Tensor& field, const at::Tensor& fixed, const at::Tensor& moving,
                                       const at::Tensor& count) {
    kernels::KeypointWork work;
    work.flow = field.const_data_ptr<float>();
    work.size = volume_size(field);
    work.fixed = fixed.const_data_ptr<float>();
    work.moving = moving.const_data_ptr<float>();
    work.points = static_cast<int>(fixed.size(0));
    work.count = count.defined() ? count.const_data_ptr<double>() : nullptr;
    return work;
  }
};

}  // namespace

bool has_keypoints(const PairState& pair) {
  return has_chip(pair.flow) && pair.flow.scalar_type() == at::kFloat && are_points(pair.fixed_keypoints, pair.flow) &&
         are_points(pair.moving_keypoints, pair.flow) && is_double(pair.keypoint_count, pair.flow) &&
         is_double(pair.moving_axes, pair.flow);
}

at::Tensor keypoints(const PairState& pair, bool squared) {
  return Keypoints::apply(pair.flow, pair.fixed_keypoints.contiguous(), pair.moving_keypoints.contiguous(),
                          contiguous(pair.keypoint_count), contiguous(pair.moving_axes), pair.moving_axes_mm, squared);
}

}  // namespace regatta::fast
