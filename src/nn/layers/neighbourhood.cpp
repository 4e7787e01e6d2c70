#include "nn/layers/neighbourhood.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/fast/matching.hpp"
#include "nn/layers/grid.hpp"
#include "nn/layers/precision.hpp"
#include "nn/layers/work.hpp"
#include "nn/shapes.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/forms.hpp"
#include "regatta/nn/warp.hpp"

namespace regatta {
namespace {

constexpr std::int64_t kEdge = 3;
constexpr std::int64_t kNeighbours = kEdge * kEdge * kEdge;

/// Offset of neighbour k along D, H, W, the last fastest.
std::array<std::int64_t, 3> offset_of(std::int64_t k) {
  return {k / (kEdge * kEdge) - 1, k / kEdge % kEdge - 1, k % kEdge - 1};
}

/// Planes first .. first + count - 1 along D.
struct Slab {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

std::vector<Slab> slabs_of(const at::Tensor& query, std::int64_t most_values) {
  const std::int64_t plane = query.size(0) * query.size(3) * query.size(4) * std::max(kNeighbours, query.size(1));
  const std::int64_t most = std::max<std::int64_t>(1, most_values / plane);
  std::vector<Slab> slabs;
  for (std::int64_t first = 0; first < query.size(2); first += most) {
    slabs.push_back({first, std::min(most, query.size(2) - first)});
  }
  return slabs;
}

/// What the slab's voxels see in direction k: [N, C, slab, H, W], a view.
at::Tensor neighbour(const at::Tensor& padded, const Slab& slab, const at::Tensor& query, std::int64_t k) {
  const auto [d, h, w] = offset_of(k);
  return padded.narrow(2, slab.first + d + 1, slab.count)
      .narrow(3, h + 1, query.size(3))
      .narrow(4, w + 1, query.size(4));
}

double scale_of(const at::Tensor& query) {
  return 1.0 / std::sqrt(static_cast<double>(query.size(1)));
}

/// Softmax over the neighbours: [N, 27, slab, H, W].
at::Tensor slab_weights(const at::Tensor& query, const at::Tensor& key, const Slab& slab) {
  const at::Tensor scaled = query.narrow(2, slab.first, slab.count) * scale_of(query);
  const at::Tensor logits =
      at::empty({query.size(0), kNeighbours, slab.count, query.size(3), query.size(4)}, query.options());
  at::Tensor product = at::empty_like(scaled);
  for (std::int64_t k = 0; k < kNeighbours; ++k) {
    at::Tensor logit = logits.select(1, k);
    at::mul_out(product, scaled, neighbour(key, slab, query, k));
    at::sum_out(logit, product, /*dim=*/1);
  }
  return at::softmax(logits, 1);
}

/// Sum of weights times offsets: [N, 3, slab, H, W].
at::Tensor mean_offset(const at::Tensor& weights) {
  const at::Tensor cube = weights.unflatten(1, {kEdge, kEdge, kEdge});  // [N, 3, 3, 3, slab, H, W]
  std::vector<at::Tensor> components;
  for (std::int64_t axis = 1; axis <= 3; ++axis) {
    const auto face = [&](std::int64_t at) { return cube.select(axis, at).flatten(1, 2).sum(1); };
    components.push_back(face(kEdge - 1) - face(0));
  }
  return at::stack(components, 1);
}

class NeighbourhoodAttention : public torch::autograd::Function<NeighbourhoodAttention> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& query, const at::Tensor& key,
                            std::int64_t most_values) {
    context->saved_data["most_values"] = most_values;
    context->save_for_backward({query, key});
    const at::Tensor out = at::empty({query.size(0), 3, query.size(2), query.size(3), query.size(4)}, query.options());
    for (const Slab& slab : slabs_of(query, most_values)) {
      out.narrow(2, slab.first, slab.count).copy_(mean_offset(slab_weights(query, key, slab)));
    }
    return out;
  }

  /// With w the weights, r_k the offsets, m their mean and g the gradient: d logit_k = w_k (g . r_k - g . m).
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& query = saved[0];
    const at::Tensor& key = saved[1];
    const at::Tensor to_query = at::empty_like(query);
    const at::Tensor to_key = at::zeros_like(key);
    for (const Slab& slab : slabs_of(query, context->saved_data["most_values"].toInt())) {
      const at::Tensor weights = slab_weights(query, key, slab);
      const at::Tensor gradient = outer.front().narrow(2, slab.first, slab.count) * scale_of(query);
      const at::Tensor mean = (gradient * mean_offset(weights)).sum(1);  // [N, slab, H, W]
      const at::Tensor own = query.narrow(2, slab.first, slab.count);
      const at::Tensor to_own = to_query.narrow(2, slab.first, slab.count).zero_();
      for (std::int64_t k = 0; k < kNeighbours; ++k) {
        at::Tensor along = mean.neg();
        const auto offset = offset_of(k);
        for (std::int64_t axis = 0; axis < 3; ++axis) {
          const std::int64_t step = offset[static_cast<std::size_t>(axis)];
          if (step != 0) {
            along.add_(gradient.select(1, axis), static_cast<double>(step));
          }
        }
        const at::Tensor to_logit = along.mul_(weights.select(1, k)).unsqueeze(1);  // [N, 1, slab, H, W]
        to_own.addcmul_(to_logit, neighbour(key, slab, query, k));
        neighbour(to_key, slab, query, k).addcmul_(to_logit, own);
      }
    }
    return {to_query, to_key, at::Tensor()};
  }
};

void check_query(const at::Tensor& query, const at::Tensor& key) {
  bool fits = query.dim() == 5 && key.dim() == 5 && query.size(0) == key.size(0) && query.size(1) == key.size(1);
  for (std::int64_t axis = 2; fits && axis < 5; ++axis) {
    fits = key.size(axis) == query.size(axis) + kEdge - 1;
  }
  REGATTA_REQUIRE(fits, BugError, "neighbourhood attention: query ", shape_text(query), ", key ", shape_text(key),
                  ", expected two voxels more along D, H, W");
}

}  // namespace

at::Tensor pad_replicate(const at::Tensor& volume) {
  at::Tensor padded = volume;
  for (std::int64_t axis = 2; axis < 5; ++axis) {
    padded = at::cat({padded.narrow(axis, 0, 1), padded, padded.narrow(axis, padded.size(axis) - 1, 1)}, axis);
  }
  return padded;
}

at::Tensor neighbourhood_attention(const at::Tensor& query, const at::Tensor& key, std::int64_t most_values) {
  check_query(query, key);
  const StepPart part(Form::kReference, "neighbourhood attention");
  const auto voxels = static_cast<double>(query.numel()) / static_cast<double>(query.size(1));
  count_attention(voxels * static_cast<double>(kNeighbours * (query.size(1) + 3)));
  return NeighbourhoodAttention::apply(query, key, most_values);
}

at::Tensor neighbourhood_attention_plain(const at::Tensor& query, const at::Tensor& key) {
  check_query(query, key);
  std::vector<at::Tensor> logits;
  for (std::int64_t k = 0; k < kNeighbours; ++k) {
    logits.push_back((query * neighbour(key, {0, query.size(2)}, query, k)).sum(1) * scale_of(query));
  }
  return mean_offset(at::softmax(at::stack(logits, 1), 1));
}

at::Tensor neighbourhood_match(const at::Tensor& query, const at::Tensor& key, const at::Tensor& factor, bool inside) {
  check_query(query, key);
  if (fast::has_neighbourhood(query, key)) {
    const StepPart part(Form::kKernel, "neighbourhood attention");
    return fast::neighbourhood_match(query, key, factor, inside);
  }
  const at::Tensor field = neighbourhood_attention(as_wide(query), as_wide(key)) * factor.view({1, 1, 1, 1, 1});
  return inside ? brought_inside(field) : field;
}

at::Tensor warp_padded(const at::Tensor& features, const at::Tensor& flow) {
  if (!flow.defined()) {
    return pad_replicate(features);
  }
  if (fast::has_warp_padded(features, flow)) {
    const StepPart part(Form::kKernel, "warp of features");
    return fast::warp_padded(features, flow);
  }
  return pad_replicate(warp(as_wide(features), flow, {.outside = Outside::kBorder}).to(features.scalar_type()));
}

at::Tensor brought_inside(const at::Tensor& field) {
  std::vector<at::Tensor> components;
  for (std::int64_t axis = 0; axis < 3; ++axis) {
    const std::int64_t size = field.size(axis + 2);
    const at::Tensor place = axis_positions(axis, size, field.options());
    components.push_back((field.select(1, axis) + place).clamp(0.0, static_cast<double>(size - 1)) - place);
  }
  return at::stack(components, 1);
}

}  // namespace regatta
