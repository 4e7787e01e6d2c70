#include "nn/layers/recompute.hpp"

#include <memory>

#include <ATen/core/grad_mode.h>
#include <ATen/core/ivalue.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include "regatta/nn/forms.hpp"

namespace regatta {
namespace {

using Part = std::function<at::Tensor(const at::Tensor&)>;

struct PartHolder : torch::CustomClassHolder {
  explicit PartHolder(Part given) : part(std::move(given)) {}
  Part part;
};

/// `switch_on` requires a gradient, so that the node is made even for an input that requires none.
class Recomputed : public torch::autograd::Function<Recomputed> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& input, const at::Tensor&,
                            const Part& part) {
    context->save_for_backward({input});
    context->saved_data["part"] = c10::IValue::make_capsule(c10::make_intrusive<PartHolder>(part));
    context->saved_data["input"] = input.requires_grad();
    return part(input);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto holder = context->saved_data["part"].toCapsule();
    const at::Tensor input = context->get_saved_variables().front().detach();
    const bool wanted = context->saved_data["input"].toBool();
    const UnnotedParts quiet;
    const at::AutoGradMode on(true);
    at::Tensor again = input.clone(at::MemoryFormat::Preserve);
    again.set_requires_grad(wanted);
    const at::Tensor output = static_cast<PartHolder*>(holder.get())->part(again);
    torch::autograd::backward({output}, {outer.front()});
    return {wanted ? again.grad() : at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor recomputed(bool on, const at::Tensor& input, const Part& part) {
  if (!on || !at::GradMode::is_enabled()) {
    return part(input);
  }
  at::Tensor switch_on = input.new_zeros({0});
  switch_on.set_requires_grad(true);
  return Recomputed::apply(input, switch_on, part);
}

}  // namespace regatta
