#include "nn/fast/field_penalty.hpp"

#include <algorithm>

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "regatta/kernels/field_penalty.hpp"
#include "regatta/nn/chip.hpp"

namespace regatta::fast {
namespace {

bool is_penalised_field(const at::Tensor& field, std::int64_t least) {
  return has_chip(field) && field.scalar_type() == at::kFloat && field.dim() == 5 && field.size(1) == 3 &&
         std::min({field.size(2), field.size(3), field.size(4)}) >= least;
}

class PenaltyOfField : public torch::autograd::Function<PenaltyOfField> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& flow,
                            kernels::FieldPenalty penalty) {
    const at::Tensor field = flow.contiguous();
    context->save_for_backward({field});
    context->saved_data["penalty"] = static_cast<std::int64_t>(penalty);
    const at::Tensor loss = at::empty({}, field.options());
    const kernels::VolumeSize size = volume_size(field);
    const at::Tensor scratch = scratch_like(field, kernels::field_penalty_scratch_bytes(penalty, size));
    if (const Chip chip = chip_of(field); chip.launches) {
      kernels::field_penalty_forward(penalty, field.const_data_ptr<float>(), size, loss.mutable_data_ptr<float>(),
                                     scratch.mutable_data_ptr(), chip.stream);
    }
    return loss;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const at::Tensor field = context->get_saved_variables().front();
    const at::Tensor upstream = outer.front().to(at::kFloat).contiguous();
    const at::Tensor to_flow = at::empty_like(field, at::MemoryFormat::Contiguous);
    if (const Chip chip = chip_of(field); chip.launches) {
      kernels::field_penalty_backward(static_cast<kernels::FieldPenalty>(context->saved_data["penalty"].toInt()),
                                      field.const_data_ptr<float>(), volume_size(field),
                                      upstream.const_data_ptr<float>(), to_flow.mutable_data_ptr<float>(), chip.stream);
    }
    return {to_flow, at::Tensor()};
  }
};

}  // namespace

bool has_folding(const at::Tensor& field) {
  return is_penalised_field(field, 2);
}

bool has_bending(const at::Tensor& field) {
  return is_penalised_field(field, 5);
}

at::Tensor folding(const at::Tensor& field) {
  return PenaltyOfField::apply(field, kernels::FieldPenalty::kFolding);
}

at::Tensor bending(const at::Tensor& field) {
  return PenaltyOfField::apply(field, kernels::FieldPenalty::kBending);
}

}  // namespace regatta::fast
