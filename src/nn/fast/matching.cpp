#include "nn/fast/matching.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/fast/reading.hpp"
#include "regatta/kernels/feature_warp.hpp"
#include "regatta/kernels/neighbourhood_attention.hpp"
#include "regatta/nn/chip.hpp"

namespace regatta::fast {
namespace {

kernels::FeatureWarpShape warp_of(const at::Tensor& features) {
  return {volume_size(features), static_cast<int>(features.size(1)), /*padded=*/true};
}

class WarpPadded : public torch::autograd::Function<WarpPadded> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& given,
                            const at::Tensor& given_flow) {
    const at::Tensor features = in_layout(given);
    const at::Tensor flow = given_flow.contiguous();
    context->save_for_backward({features, flow});
    const kernels::FeatureWarpShape shape = warp_of(features);
    const kernels::VolumeSize to = shape.output_size();
    const at::Tensor out =
        at::empty({to.n, features.size(1), to.d, to.h, to.w}, features.options(), at::MemoryFormat::ChannelsLast3d);
    if (const Chip chip = chip_of(features); chip.launches) {
      kernels::feature_warp_forward(shape, {bf16(features), floats(flow), bf16_(out)}, chip.capability, chip.stream);
    }
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& features = saved[0];
    const kernels::FeatureWarpShape shape = warp_of(features);
    const at::Tensor to_out = in_layout(outer.front());
    const at::Tensor to_features = at::empty_like(features, at::MemoryFormat::ChannelsLast3d);
    const at::Tensor to_flow = at::empty_like(saved[1], at::MemoryFormat::Contiguous);
    const at::Tensor scratch = scratch_like(features, kernels::feature_warp_scratch_bytes(shape));
    if (const Chip chip = chip_of(features); chip.launches) {
      kernels::FeatureWarpBackward arrays;
      arrays.features = bf16(features);
      arrays.flow = floats(saved[1]);
      arrays.output_gradient = bf16(to_out);
      arrays.to_features = bf16_(to_features);
      arrays.to_flow = floats_(to_flow);
      arrays.scratch = scratch.mutable_data_ptr();
      kernels::feature_warp_backward(shape, arrays, chip.capability, chip.stream);
    }
    return {to_features, to_flow};
  }
};

kernels::NeighbourhoodShape match_of(const at::Tensor& query, bool inside) {
  return {volume_size(query), static_cast<int>(query.size(1)), inside};
}

class Match : public torch::autograd::Function<Match> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& given_query,
                            const at::Tensor& given_key, const at::Tensor& given_factor, bool inside) {
    const at::Tensor query = in_layout(given_query);
    const at::Tensor key = in_layout(given_key);
    const at::Tensor factor = given_factor.contiguous();
    context->save_for_backward({query, key, factor});
    context->saved_data["inside"] = inside;
    const kernels::NeighbourhoodShape shape = match_of(query, inside);
    const at::Tensor field = at::empty({shape.size.n, 3, shape.size.d, shape.size.h, shape.size.w}, factor.options());
    if (const Chip chip = chip_of(query); chip.launches) {
      kernels::neighbourhood_forward(shape, {bf16(query), bf16(key), floats(factor), floats_(field)}, chip.capability,
                                     chip.stream);
    }
    return field;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& query = saved[0];
    const at::Tensor& key = saved[1];
    const kernels::NeighbourhoodShape shape = match_of(query, context->saved_data["inside"].toBool());
    const at::Tensor to_field = outer.front().contiguous();
    const at::Tensor to_query = at::empty_like(query, at::MemoryFormat::ChannelsLast3d);
    const at::Tensor to_key = at::empty_like(key, at::MemoryFormat::ChannelsLast3d);
    const at::Tensor to_factor = at::empty_like(saved[2]);
    const at::Tensor scratch = scratch_like(query, kernels::neighbourhood_scratch_bytes(shape));
    if (const Chip chip = chip_of(query); chip.launches) {
      kernels::NeighbourhoodBackward arrays;
      arrays.query = bf16(query);
      arrays.key = bf16(key);
      arrays.factor = floats(saved[2]);
      arrays.to_field = floats(to_field);
      arrays.to_query = bf16_(to_query);
      arrays.to_key = bf16_(to_key);
      arrays.to_factor = floats_(to_factor);
      arrays.scratch = scratch.mutable_data_ptr();
      kernels::neighbourhood_backward(shape, arrays, chip.capability, chip.stream);
    }
    return {to_query, to_key, to_factor, at::Tensor()};
  }
};

bool are_features(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kBFloat16 && has_chip(tensor);
}

}  // namespace

bool has_warp_padded(const at::Tensor& features, const at::Tensor& flow) {
  return are_features(features) && flow.scalar_type() == at::kFloat &&
         kernels::has_form(warp_of(features), chip_of(features).capability);
}

at::Tensor warp_padded(const at::Tensor& features, const at::Tensor& flow) {
  return WarpPadded::apply(features, flow);
}

bool has_neighbourhood(const at::Tensor& query, const at::Tensor& key) {
  return are_features(query) && are_features(key) &&
         kernels::has_form(match_of(query, false), chip_of(query).capability);
}

at::Tensor neighbourhood_match(const at::Tensor& query, const at::Tensor& key, const at::Tensor& factor, bool inside) {
  return Match::apply(query, key, factor, inside);
}

}  // namespace regatta::fast
