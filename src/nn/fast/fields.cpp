#include "nn/fast/fields.hpp"

#include <optional>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/known_gradient.hpp"
#include "regatta/kernels/diffusion.hpp"
#include "regatta/kernels/ncc.hpp"
#include "regatta/kernels/warp.hpp"
#include "regatta/nn/chip.hpp"

namespace regatta::fast {
namespace {

bool is_plain(const at::Tensor& tensor, std::int64_t channels) {
  return has_chip(tensor) && tensor.dim() == 5 && tensor.size(1) == channels && tensor.scalar_type() == at::kFloat;
}

bool has_axes(const at::Tensor& field) {
  return field.size(2) >= 2 && field.size(3) >= 2 && field.size(4) >= 2;
}

kernels::WarpSource source_of(const at::Tensor& volume, bool border) {
  return {volume.const_data_ptr<float>(), kernels::SourceType::kFloats,
          border ? kernels::Outside::kBorder : kernels::Outside::kZero};
}

class FastWarp : public torch::autograd::Function<FastWarp> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& volume, const at::Tensor& flow,
                            bool border) {
    const at::Tensor image = volume.contiguous();
    const at::Tensor field = flow.contiguous();
    context->save_for_backward({image, field});
    context->saved_data["border"] = border;
    const at::Tensor warped = at::empty_like(image, at::MemoryFormat::Contiguous);
    if (const Chip chip = chip_of(image); chip.launches) {
      kernels::WarpForward work;
      work.source = source_of(image, border);
      work.flow = field.const_data_ptr<float>();
      work.size = volume_size(image);
      work.warped = warped.mutable_data_ptr<float>();
      kernels::warp_forward(work, chip.stream);
    }
    return warped;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto saved = context->get_saved_variables();
    const at::Tensor to_warped = outer.front().contiguous();
    const at::Tensor to_flow = at::empty_like(saved[1], at::MemoryFormat::Contiguous);
    if (const Chip chip = chip_of(to_flow); chip.launches) {
      kernels::WarpBackward work;
      work.source = source_of(saved[0], context->saved_data["border"].toBool());
      work.flow = saved[1].const_data_ptr<float>();
      work.size = volume_size(saved[0]);
      work.to_warped = to_warped.const_data_ptr<float>();
      work.to_flow.planar = to_flow.mutable_data_ptr<float>();
      kernels::warp_backward(work, chip.stream);
    }
    return {at::Tensor(), to_flow, at::Tensor()};
  }
};

kernels::NccForm form_of(CorrelationForm form) {
  switch (form) {
    case CorrelationForm::kMeans: return kernels::NccForm::kMeans;
    case CorrelationForm::kClamped: return kernels::NccForm::kClamped;
    case CorrelationForm::kSums: break;
  }
  return kernels::NccForm::kSums;
}

/// [n] int32 holding the bits of the kernels' unsigned numbers.
at::Tensor in_fixed_point(const at::Tensor& image, const Chip& chip) {
  const at::Tensor numbers = at::empty_like(image, image.options().dtype(at::kInt), at::MemoryFormat::Contiguous);
  if (chip.launches) {
    kernels::to_fixed_point(image.const_data_ptr<float>(), static_cast<std::uint32_t*>(numbers.mutable_data_ptr()),
                            image.numel(), chip.stream);
  }
  return numbers;
}

kernels::NccPair pair_of(const at::Tensor& fixed, const at::Tensor& warped, std::int64_t window,
                         kernels::NccForm form) {
  kernels::NccPair pair;
  pair.fixed = fixed.const_data_ptr();
  pair.type = kernels::FixedImage::kFixedPoint;
  pair.warped = static_cast<const std::uint32_t*>(warped.const_data_ptr());
  pair.size = volume_size(warped);
  pair.window = static_cast<int>(window);
  pair.form = form;
  return pair;
}

class Correlation : public torch::autograd::Function<Correlation> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& fixed,
                            const at::Tensor& warped, const std::optional<at::Tensor>& mask, std::int64_t window,
                            kernels::NccForm form, bool wanted) {
    const Chip chip = chip_of(warped);
    const at::Tensor one = in_fixed_point(fixed.contiguous(), chip);
    const at::Tensor other = in_fixed_point(warped.contiguous(), chip);
    const at::Tensor loss = at::empty({}, warped.options());
    const at::Tensor scratch = scratch_like(warped, kernels::ncc_scratch_bytes(chip.capability));
    at::Tensor coefficients;
    if (wanted) {
      coefficients =
          at::empty({static_cast<std::int64_t>(kernels::ncc_coefficient_count(volume_size(warped)))}, warped.options());
    }
    const at::Tensor inside = mask ? mask->contiguous() : at::Tensor();
    if (chip.launches) {
      kernels::NccPair pair = pair_of(one, other, window, form);
      pair.mask = mask ? inside.const_data_ptr<std::uint8_t>() : nullptr;
      kernels::ncc_forward(pair, wanted ? coefficients.mutable_data_ptr<float>() : nullptr,
                           loss.mutable_data_ptr<float>(), scratch.mutable_data_ptr(), chip.capability, chip.stream);
    }
    at::Tensor share;  // of the kernels' mean in that over the mask
    if (mask) {
      share = inside.ne(0).sum().to(at::kFloat).clamp_min_(1.0).reciprocal_().mul_(static_cast<double>(inside.numel()));
      loss.mul_(share);
    }
    context->save_for_backward({one, other, coefficients, share});
    context->saved_data["window"] = window;
    context->saved_data["form"] = static_cast<std::int64_t>(form);
    return loss;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto saved = context->get_saved_variables();
    at::Tensor upstream = outer.front().to(at::kFloat).contiguous();
    if (saved[3].defined()) {
      upstream = upstream * saved[3];
    }
    const at::Tensor to_warped =
        at::empty_like(saved[1], saved[2].options(), at::MemoryFormat::Contiguous);  // [N, 1, D, H, W]
    if (const Chip chip = chip_of(to_warped); chip.launches) {
      const kernels::NccPair pair = pair_of(saved[0], saved[1], context->saved_data["window"].toInt(),
                                            static_cast<kernels::NccForm>(context->saved_data["form"].toInt()));
      kernels::ncc_backward(pair, saved[2].const_data_ptr<float>(), upstream.const_data_ptr<float>(),
                            to_warped.mutable_data_ptr<float>(), chip.capability, chip.stream);
    }
    return {at::Tensor(), to_warped, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

class Diffusion : public torch::autograd::Function<Diffusion> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& field, bool squared,
                            bool lku_units) {
    const at::Tensor flow = field.contiguous();
    context->save_for_backward({flow});
    context->saved_data["squared"] = squared;
    context->saved_data["lku_units"] = lku_units;
    const at::Tensor loss = at::empty({}, flow.options());
    const kernels::VolumeSize size = volume_size(flow);
    const at::Tensor scratch = scratch_like(flow, kernels::diffusion_scratch_bytes(size));
    if (const Chip chip = chip_of(flow); chip.launches) {
      kernels::diffusion_forward(flow.const_data_ptr<float>(), size, penalty(squared), 1.0,
                                 loss.mutable_data_ptr<float>(), scratch.mutable_data_ptr(), chip.stream,
                                 units(lku_units));
    }
    return loss;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const at::Tensor flow = context->get_saved_variables().front();
    const at::Tensor upstream = outer.front().to(at::kFloat).contiguous();
    const at::Tensor to_flow = at::empty_like(flow, at::MemoryFormat::Contiguous);
    if (const Chip chip = chip_of(flow); chip.launches) {
      kernels::diffusion_backward(flow.const_data_ptr<float>(), volume_size(flow),
                                  penalty(context->saved_data["squared"].toBool()), 1.0,
                                  upstream.const_data_ptr<float>(), {.planar = to_flow.mutable_data_ptr<float>()},
                                  chip.stream, units(context->saved_data["lku_units"].toBool()));
    }
    return {to_flow, at::Tensor(), at::Tensor()};
  }

 private:
  static kernels::Penalty penalty(bool squared) {
    return squared ? kernels::Penalty::kSquared : kernels::Penalty::kAbsolute;
  }

  static kernels::DiffusionUnits units(bool lku) {
    return lku ? kernels::DiffusionUnits::kLku : kernels::DiffusionUnits::kVoxels;
  }
};

}  // namespace

bool has_warp(const at::Tensor& volume, const at::Tensor& flow, const WarpOptions& options) {
  return is_plain(volume, 1) && is_plain(flow, 3) && !options.shifted_grid && !needs_gradient(volume) && has_axes(flow);
}

at::Tensor warp(const at::Tensor& volume, const at::Tensor& flow, const WarpOptions& options) {
  return FastWarp::apply(volume, flow, options.outside == Outside::kBorder);
}

bool has_local_correlation(const at::Tensor& fixed, const at::Tensor& warped, const CorrelationOptions& options) {
  const bool has_mask_form =
      !options.mask.defined() || (options.mask.scalar_type() == at::kByte && options.mask.device() == warped.device());
  return is_plain(fixed, 1) && is_plain(warped, 1) && has_mask_form && !needs_gradient(fixed) &&
         kernels::ncc_has_form(static_cast<int>(options.window), kernels::FixedImage::kFixedPoint,
                               chip_of(warped).capability);
}

at::Tensor local_correlation(const at::Tensor& fixed, const at::Tensor& warped, const CorrelationOptions& options) {
  const auto mask = options.mask.defined() ? std::optional<at::Tensor>(options.mask) : std::nullopt;
  return Correlation::apply(fixed, warped, mask, options.window, form_of(options.form), needs_gradient(warped));
}

bool has_diffusion(const at::Tensor& field) {
  return is_plain(field, 3) && has_axes(field);
}

at::Tensor diffusion(const at::Tensor& field, bool squared, bool lku_units) {
  return Diffusion::apply(field, squared, lku_units);
}

}  // namespace regatta::fast
