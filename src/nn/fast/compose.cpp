#include "nn/fast/compose.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/known_gradient.hpp"
#include "regatta/kernels/compose.hpp"
#include "regatta/nn/chip.hpp"

namespace regatta::fast {
namespace {

constexpr int kMostSquarings = 24;

kernels::Outside outside_of(const WarpOptions& options) {
  return options.outside == Outside::kBorder ? kernels::Outside::kBorder : kernels::Outside::kZero;
}

bool is_field(const at::Tensor& field, const WarpOptions& options) {
  return options.backend == Backend::kFast && !options.shifted_grid && has_chip(field) && field.dim() == 5 &&
         field.size(1) == 3 && field.scalar_type() == at::kFloat && field.size(2) >= 2 && field.size(3) >= 2 &&
         field.size(4) >= 2;
}

/// Fields between the squarings are float16 where they are kept for a backward pass, else float32.
kernels::SquaringForward squaring_of(const at::Tensor& velocity, int steps, bool scale, kernels::Outside outside,
                                     bool keep) {
  kernels::SquaringForward work;
  work.velocity = velocity.const_data_ptr<float>();
  work.size = volume_size(velocity);
  work.steps = steps;
  work.scale = scale;
  work.outside = outside;
  work.store = keep ? kernels::FieldStore::kHalf : kernels::FieldStore::kSingle;
  work.keep = keep;
  return work;
}

class Integrate : public torch::autograd::Function<Integrate> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& given, int steps, bool scale,
                            kernels::Outside outside, bool keep) {
    const at::Tensor velocity = given.contiguous();
    const at::Tensor field = at::empty_like(velocity, at::MemoryFormat::Contiguous);
    const kernels::FieldStore store = keep ? kernels::FieldStore::kHalf : kernels::FieldStore::kSingle;
    const at::Tensor fields =
        scratch_like(velocity, kernels::squaring_field_bytes(volume_size(velocity), steps, store, keep));
    if (const Chip chip = chip_of(velocity); chip.launches) {
      kernels::SquaringForward work = squaring_of(velocity, steps, scale, outside, keep);
      work.fields = fields.mutable_data_ptr();
      work.field = field.mutable_data_ptr<float>();
      kernels::squaring_forward(work, chip.stream);
    }
    if (keep) {
      context->save_for_backward({velocity, fields});
      context->saved_data["steps"] = static_cast<std::int64_t>(steps);
      context->saved_data["scale"] = scale;
      context->saved_data["outside"] = static_cast<std::int64_t>(outside);
    }
    return field;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& velocity = saved[0];
    const at::Tensor to_field = outer.front().contiguous();
    const at::Tensor to_velocity = at::empty_like(velocity, at::MemoryFormat::Contiguous);
    const at::Tensor scratch =
        scratch_like(velocity, kernels::squaring_backward_scratch_bytes(volume_size(velocity), /*packed=*/false));
    if (const Chip chip = chip_of(velocity); chip.launches) {
      kernels::SquaringBackward work;
      work.forward = squaring_of(velocity, static_cast<int>(context->saved_data["steps"].toInt()),
                                 context->saved_data["scale"].toBool(),
                                 static_cast<kernels::Outside>(context->saved_data["outside"].toInt()), true);
      work.forward.fields = saved[1].mutable_data_ptr();
      work.to_field = to_field.const_data_ptr<float>();
      work.to_velocity.planar = to_velocity.mutable_data_ptr<float>();
      work.scratch = scratch.mutable_data_ptr();
      kernels::squaring_backward(work, chip.stream);
    }
    return {to_velocity, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

class Compose : public torch::autograd::Function<Compose> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& outer, const at::Tensor& inner,
                            kernels::Outside outside) {
    const at::Tensor first = outer.contiguous();
    const at::Tensor then = inner.contiguous();
    context->save_for_backward({first, then});
    context->saved_data["outside"] = static_cast<std::int64_t>(outside);
    const at::Tensor field = at::empty_like(then, at::MemoryFormat::Contiguous);
    if (const Chip chip = chip_of(field); chip.launches) {
      kernels::ComposeForward work;
      work.outer = first.const_data_ptr<float>();
      work.inner = then.const_data_ptr<float>();
      work.size = volume_size(field);
      work.outside = outside;
      work.field = field.mutable_data_ptr<float>();
      kernels::compose_forward(work, chip.stream);
    }
    return field;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto saved = context->get_saved_variables();
    const at::Tensor to_field = outer.front().contiguous();
    const auto wanted = [&](std::size_t edge) {
      return context->needs_input_grad(edge) ? at::empty_like(saved[edge], at::MemoryFormat::Contiguous) : at::Tensor();
    };
    const at::Tensor to_outer = wanted(0);
    const at::Tensor to_inner = wanted(1);
    const at::Tensor scratch =
        to_outer.defined() ? scratch_like(to_field, kernels::compose_backward_scratch_bytes(volume_size(to_field)))
                           : at::Tensor();
    if (const Chip chip = chip_of(to_field); chip.launches) {
      kernels::ComposeBackward work;
      work.outer = saved[0].const_data_ptr<float>();
      work.inner = saved[1].const_data_ptr<float>();
      work.size = volume_size(to_field);
      work.outside = static_cast<kernels::Outside>(context->saved_data["outside"].toInt());
      work.to_field = to_field.const_data_ptr<float>();
      work.to_outer = to_outer.defined() ? to_outer.mutable_data_ptr<float>() : nullptr;
      work.to_inner = to_inner.defined() ? to_inner.mutable_data_ptr<float>() : nullptr;
      work.scratch = scratch.defined() ? scratch.mutable_data_ptr() : nullptr;
      kernels::compose_backward(work, chip.stream);
    }
    return {to_outer, to_inner, at::Tensor()};
  }
};

}  // namespace

bool has_integrate(const at::Tensor& velocity, const IntegrateOptions& options) {
  return is_field(velocity, options.warp) && options.steps >= 1 && options.steps <= kMostSquarings;
}

at::Tensor integrate(const at::Tensor& velocity, const IntegrateOptions& options) {
  return Integrate::apply(velocity, options.steps, options.scale, outside_of(options.warp), needs_gradient(velocity));
}

bool has_compose(const at::Tensor& outer, const at::Tensor& inner, const WarpOptions& options) {
  return is_field(outer, options) && is_field(inner, options);
}

at::Tensor compose(const at::Tensor& outer, const at::Tensor& inner, const WarpOptions& options) {
  return Compose::apply(outer, inner, outside_of(options));
}

}  // namespace regatta::fast
