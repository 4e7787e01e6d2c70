#include "nn/fast/image_losses.hpp"

#include <optional>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/known_gradient.hpp"
#include "regatta/kernels/image_difference.hpp"
#include "regatta/kernels/mind.hpp"
#include "regatta/kernels/mutual_information.hpp"
#include "regatta/kernels/ssim.hpp"
#include "regatta/nn/chip.hpp"

namespace regatta::fast {
namespace {

bool are_plain(const at::Tensor& fixed, const at::Tensor& warped) {
  return has_chip(fixed) && has_chip(warped) && fixed.scalar_type() == at::kFloat &&
         warped.scalar_type() == at::kFloat && warped.numel() > 0;
}

/// A derivative that may be missing. @return like `image`, or undefined
at::Tensor derivative_for(const at::Tensor& image, bool wanted) {
  return wanted ? at::empty_like(image, at::MemoryFormat::Contiguous) : at::Tensor();
}

float* floats_of(const at::Tensor& derivative) {
  return derivative.defined() ? derivative.mutable_data_ptr<float>() : nullptr;
}

class Difference : public torch::autograd::Function<Difference> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& fixed,
                            const at::Tensor& warped, const std::optional<at::Tensor>& mask, bool squared,
                            bool fixed_asks, bool warped_asks) {
    const at::Tensor one = fixed.contiguous();
    const at::Tensor other = warped.contiguous();
    const at::Tensor inside = mask ? mask->contiguous() : at::Tensor();
    const at::Tensor loss = at::empty({}, other.options());
    const at::Tensor share = at::empty({}, other.options());
    const at::Tensor scratch = scratch_like(other, kernels::image_difference_scratch_bytes(volume_size(other)));
    context->save_for_backward({one, other, inside, share});
    context->saved_data["squared"] = squared;
    context->saved_data["fixed_asks"] = fixed_asks;
    context->saved_data["warped_asks"] = warped_asks;
    if (const Chip chip = chip_of(other); chip.launches) {
      kernels::image_difference_forward(work_of(one, other, inside, squared), share.mutable_data_ptr<float>(),
                                        loss.mutable_data_ptr<float>(), scratch.mutable_data_ptr(), chip.stream);
    }
    return loss;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto saved = context->get_saved_variables();
    const at::Tensor upstream = outer.front().to(at::kFloat).contiguous();
    const at::Tensor to_fixed = derivative_for(saved[0], context->saved_data["fixed_asks"].toBool());
    const at::Tensor to_warped = derivative_for(saved[1], context->saved_data["warped_asks"].toBool());
    if (const Chip chip = chip_of(saved[1]); chip.launches) {
      kernels::image_difference_backward(work_of(saved[0], saved[1], saved[2], context->saved_data["squared"].toBool()),
                                         saved[3].const_data_ptr<float>(), upstream.const_data_ptr<float>(),
                                         floats_of(to_fixed), floats_of(to_warped), chip.stream);
    }
    return {to_fixed, to_warped, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }

 private:
  static kernels::ImageDifference work_of(const at::Tensor& fixed, const at::Tensor& warped, const at::Tensor& mask,
                                          bool squared) {
    kernels::ImageDifference work = {fixed.const_data_ptr<float>(), warped.const_data_ptr<float>(),
                                     volume_size(warped)};
    work.penalty = squared ? kernels::Penalty::kSquared : kernels::Penalty::kAbsolute;
    work.mask = mask.defined() ? mask.const_data_ptr<std::uint8_t>() : nullptr;
    return work;
  }
};

/// Sizes and options alone where nothing is launched.
kernels::ParzenPair parzen_pair(const at::Tensor& fixed, const at::Tensor& warped, std::int64_t bins,
                                double sigma_ratio) {
  return {fixed.const_data_ptr<float>(), warped.const_data_ptr<float>(), volume_size(warped), static_cast<int>(bins),
          sigma_ratio};
}

class Information : public torch::autograd::Function<Information> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& fixed,
                            const at::Tensor& warped, std::int64_t bins, double sigma_ratio, bool fixed_asks,
                            bool warped_asks) {
    const at::Tensor one = fixed.contiguous();
    const at::Tensor other = warped.contiguous();
    const kernels::VolumeSize size = volume_size(other);
    const at::Tensor loss = at::empty({}, other.options());
    const at::Tensor slopes =
        at::empty({static_cast<std::int64_t>(kernels::mutual_information_slope_count(size))}, other.options());
    const at::Tensor scratch = scratch_like(other, kernels::mutual_information_scratch_bytes(size));
    context->save_for_backward({one, other, slopes});
    context->saved_data["bins"] = bins;
    context->saved_data["sigma_ratio"] = sigma_ratio;
    context->saved_data["fixed_asks"] = fixed_asks;
    context->saved_data["warped_asks"] = warped_asks;
    if (const Chip chip = chip_of(other); chip.launches) {
      kernels::mutual_information_forward(parzen_pair(one, other, bins, sigma_ratio), slopes.mutable_data_ptr<float>(),
                                          loss.mutable_data_ptr<float>(), scratch.mutable_data_ptr(), chip.stream);
    }
    return loss;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto saved = context->get_saved_variables();
    const at::Tensor upstream = outer.front().to(at::kFloat).contiguous();
    const at::Tensor to_fixed = derivative_for(saved[0], context->saved_data["fixed_asks"].toBool());
    const at::Tensor to_warped = derivative_for(saved[1], context->saved_data["warped_asks"].toBool());
    if (const Chip chip = chip_of(saved[1]); chip.launches) {
      const kernels::ParzenPair pair = parzen_pair(saved[0], saved[1], context->saved_data["bins"].toInt(),
                                                   context->saved_data["sigma_ratio"].toDouble());
      const auto differentiate = [&](kernels::ParzenImage image, const at::Tensor& to) {
        if (to.defined()) {
          kernels::mutual_information_backward(pair, image, saved[2].const_data_ptr<float>(),
                                               upstream.const_data_ptr<float>(), floats_of(to), chip.stream);
        }
      };
      differentiate(kernels::ParzenImage::kFixed, to_fixed);
      differentiate(kernels::ParzenImage::kWarped, to_warped);
    }
    return {to_fixed, to_warped, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

class Similarity : public torch::autograd::Function<Similarity> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& fixed,
                            const at::Tensor& warped, bool wanted) {
    const at::Tensor one = fixed.contiguous();
    const at::Tensor other = warped.contiguous();
    const kernels::VolumeSize size = volume_size(other);
    const at::Tensor loss = at::empty({}, other.options());
    at::Tensor coefficients;
    if (wanted) {
      coefficients = at::empty({static_cast<std::int64_t>(kernels::ssim_coefficient_count(size))}, other.options());
    }
    const at::Tensor scratch = scratch_like(other, kernels::ssim_scratch_bytes(size));
    context->save_for_backward({one, other, coefficients});
    if (const Chip chip = chip_of(other); chip.launches) {
      kernels::ssim_forward({one.const_data_ptr<float>(), other.const_data_ptr<float>(), size}, floats_of(coefficients),
                            loss.mutable_data_ptr<float>(), scratch.mutable_data_ptr(), chip.stream);
    }
    return loss;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto saved = context->get_saved_variables();
    const at::Tensor upstream = outer.front().to(at::kFloat).contiguous();
    const at::Tensor to_warped = derivative_for(saved[1], true);
    if (const Chip chip = chip_of(to_warped); chip.launches) {
      kernels::ssim_backward(
          {saved[0].const_data_ptr<float>(), saved[1].const_data_ptr<float>(), volume_size(saved[1])},
          saved[2].const_data_ptr<float>(), upstream.const_data_ptr<float>(), floats_of(to_warped), chip.stream);
    }
    return {at::Tensor(), to_warped, at::Tensor()};
  }
};

/// What a kernel reads and writes that makes a loss and its derivative at once.
struct LossArrays {
  at::Tensor fixed, warped;  ///< contiguous
  float* to_warped;          ///< nullptr: not wanted
  float* loss;
  void* scratch;
  kernels::Stream stream;
};

/// The loss, with the derivative that `launch` made with it; without data nothing is launched.
template <class Launch>
at::Tensor differentiated(const at::Tensor& fixed, const at::Tensor& warped, std::size_t scratch_bytes,
                          const Launch& launch) {
  const bool wanted = needs_gradient(warped);
  at::Tensor loss;
  at::Tensor to_warped;
  {
    const at::NoGradGuard no_grad;
    const at::Tensor one = fixed.contiguous();
    const at::Tensor other = warped.contiguous();
    loss = at::empty({}, other.options());
    to_warped = derivative_for(other, wanted);
    const at::Tensor scratch = scratch_like(other, scratch_bytes);
    if (const Chip chip = chip_of(other); chip.launches) {
      launch(LossArrays{one, other, floats_of(to_warped), loss.mutable_data_ptr<float>(), scratch.mutable_data_ptr(),
                        chip.stream});
    }
  }
  return wanted ? with_gradient(loss, warped, to_warped) : loss;
}

}  // namespace

bool has_image_difference(const at::Tensor& fixed, const at::Tensor& warped, const at::Tensor& mask) {
  return are_plain(fixed, warped) &&
         (!mask.defined() || (mask.scalar_type() == at::kByte && mask.device() == warped.device()));
}

at::Tensor image_difference(const at::Tensor& fixed, const at::Tensor& warped, const at::Tensor& mask, bool squared) {
  const auto inside = mask.defined() ? std::optional<at::Tensor>(mask) : std::nullopt;
  return Difference::apply(fixed, warped, inside, squared, needs_gradient(fixed), needs_gradient(warped));
}

bool has_mutual_information(const at::Tensor& fixed, const at::Tensor& warped, const ParzenOptions& options) {
  return are_plain(fixed, warped) && options.bins <= kernels::kMostParzenBins;
}

at::Tensor mutual_information(const at::Tensor& fixed, const at::Tensor& warped, const ParzenOptions& options) {
  return Information::apply(fixed, warped, std::int64_t{options.bins}, options.sigma_ratio, needs_gradient(fixed),
                            needs_gradient(warped));
}

bool has_local_mutual_information(const at::Tensor& fixed, const at::Tensor& warped, std::int64_t edge,
                                  const ParzenOptions& options) {
  return has_mutual_information(fixed, warped, options) && edge <= kernels::kMostParzenCube && !needs_gradient(fixed);
}

at::Tensor local_mutual_information(const at::Tensor& fixed, const at::Tensor& warped, std::int64_t edge,
                                    const ParzenOptions& options) {
  const int length = static_cast<int>(edge);
  const std::size_t scratch_bytes = kernels::local_mutual_information_scratch_bytes(volume_size(warped), length);
  return differentiated(fixed, warped, scratch_bytes, [&](const LossArrays& arrays) {
    kernels::local_mutual_information(parzen_pair(arrays.fixed, arrays.warped, options.bins, options.sigma_ratio),
                                      length, arrays.to_warped, arrays.loss, arrays.scratch, arrays.stream);
  });
}

bool has_mind(const at::Tensor& fixed, const at::Tensor& warped, std::int64_t radius, std::int64_t dilation) {
  return are_plain(fixed, warped) && !needs_gradient(fixed) &&
         kernels::mind_has_form(static_cast<int>(radius), static_cast<int>(dilation));
}

at::Tensor mind(const at::Tensor& fixed, const at::Tensor& warped, std::int64_t radius, std::int64_t dilation) {
  return differentiated(fixed, warped, kernels::mind_scratch_bytes(volume_size(warped)), [&](const LossArrays& arrays) {
    kernels::mind({arrays.fixed.const_data_ptr<float>(), arrays.warped.const_data_ptr<float>(),
                   volume_size(arrays.warped), static_cast<int>(radius), static_cast<int>(dilation)},
                  arrays.to_warped, arrays.loss, arrays.scratch, arrays.stream);
  });
}

bool has_ssim(const at::Tensor& fixed, const at::Tensor& warped) {
  return are_plain(fixed, warped) && !needs_gradient(fixed);
}

at::Tensor ssim(const at::Tensor& fixed, const at::Tensor& warped) {
  return Similarity::apply(fixed, warped, needs_gradient(warped));
}

}  // namespace regatta::fast
