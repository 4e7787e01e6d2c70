#include "nn/known_gradient.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

namespace regatta {
namespace {

class KnownGradient : public torch::autograd::Function<KnownGradient> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& value, const at::Tensor& input,
                            const at::Tensor& gradient) {
    (void)input;  // an edge of the graph only: its values are not kept
    context->save_for_backward({gradient});
    return value.clone();
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const at::Tensor gradient = context->get_saved_variables().front();
    return {outer.front(), gradient * outer.front(), at::Tensor()};
  }
};

}  // namespace

bool needs_gradient(const at::Tensor& input) {
  return at::GradMode::is_enabled() && input.requires_grad();
}

at::Tensor with_gradient(const at::Tensor& value, const at::Tensor& input, const at::Tensor& gradient) {
  return KnownGradient::apply(value, input, gradient);
}

}  // namespace regatta
