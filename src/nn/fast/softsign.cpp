#include "nn/fast/softsign.hpp"

#include <vector>

#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "regatta/kernels/softsign.hpp"
#include "regatta/nn/chip.hpp"

namespace regatta::fast {
namespace {

kernels::Softsign work_of(const at::Tensor& field, const std::vector<double>& factors) {
  return {volume_size(field),
          {static_cast<float>(factors[0]), static_cast<float>(factors[1]), static_cast<float>(factors[2])}};
}

class FieldSoftsign : public torch::autograd::Function<FieldSoftsign> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& field,
                            const std::vector<double>& factors) {
    const at::Tensor input = field.contiguous();
    context->save_for_backward({input});
    context->saved_data["factors"] = factors;
    const at::Tensor output = at::empty_like(input);
    if (const Chip chip = chip_of(input); chip.launches) {
      kernels::softsign_forward(work_of(input, factors), input.const_data_ptr<float>(),
                                output.mutable_data_ptr<float>(), chip.stream);
    }
    return output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const at::Tensor input = context->get_saved_variables().front();
    const at::Tensor upstream = outer.front().contiguous();
    const at::Tensor gradient = at::empty_like(input);
    if (const Chip chip = chip_of(input); chip.launches) {
      kernels::softsign_backward(work_of(input, context->saved_data["factors"].toDoubleVector()),
                                 input.const_data_ptr<float>(), upstream.const_data_ptr<float>(),
                                 gradient.mutable_data_ptr<float>(), chip.stream);
    }
    return {gradient, at::Tensor()};
  }
};

}  // namespace

bool has_softsign(const at::Tensor& field) {
  return has_chip(field) && field.dim() == 5 && field.size(1) == 3 && field.scalar_type() == at::kFloat;
}

at::Tensor softsign(const at::Tensor& field, const std::array<double, 3>& factors) {
  return FieldSoftsign::apply(field, std::vector<double>(factors.begin(), factors.end()));
}

}  // namespace regatta::fast
