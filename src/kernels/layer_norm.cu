// A warp has a row. Rows of up to 768 channels are held in registers, wider ones, which are few, are read again from
// the cache. Backward, a warp keeps its sums of channels over its rows; those of a block meet in shared memory and
// those of blocks in a second launch. For rows too wide for that, columns are added up by a launch of their own.
#include <algorithm>

#include "kernels/layer_norm_backward.cuh"
#include "kernels/layer_norm_forward.cuh"

namespace regatta::kernels {
namespace {

using tokens::ColumnSums;
using tokens::kThreads;
using tokens::kWarps;

RowMap map_of(const LayerNormShape& shape) {
  RowMap map;
  map.rows = shape.rows();
  map.rows_of_sample = shape.rows() / shape.size.n;
  map.vectors = shape.row_channels() / 4;
  map.token_vectors = shape.channels / 4;
  map.d = static_cast<int>(shape.size.d / 2);
  map.h = static_cast<int>(shape.size.h / 2);
  map.w = static_cast<int>(shape.size.w / 2);
  return map;
}

template <class Launch>
void by_width(int vectors, const Launch& launch) {
  const int of_lane = (vectors + 31) / 32;
  if (of_lane <= 1) {
    launch.template operator()<1>();
  } else if (of_lane <= 2) {
    launch.template operator()<2>();
  } else if (of_lane <= 3) {
    launch.template operator()<3>();
  } else if (of_lane <= 4) {
    launch.template operator()<4>();
  } else if (of_lane <= 6) {
    launch.template operator()<6>();
  } else {
    launch.template operator()<0>();
  }
}

void require_form(const LayerNormShape& shape, const Capability& chip) {
  REGATTA_REQUIRE(has_form(shape, chip), BugError, "LayerNorm of ", shape.row_channels(), " channels: no kernel");
}

template <bool kMerge>
void launch_forward(const LayerNormShape& shape, const LayerNormForward& arrays, const Capability& chip,
                    Stream stream) {
  const RowMap map = map_of(shape);
  by_width(map.vectors, [&]<int kHeld>() {
    constexpr long long kRows = kHeld == 0 ? kWarps : kWarps * ForwardRows<kHeld>::kAtOnce;
    const long long wanted = std::min<long long>(divide_up(map.rows, kRows), 8LL * chip.multiprocessors);
    const auto blocks = static_cast<unsigned>(wanted);
    if constexpr (kHeld > 0) {
      layer_norm_forward_kernel<kHeld, kMerge><<<blocks, kThreads, 0, stream>>>(arrays, map);
    } else {
      layer_norm_wide_forward_kernel<kMerge><<<blocks, kThreads, 0, stream>>>(arrays, map);
    }
  });
  check_launch("layer_norm_forward");
}

template <bool kMerge>
void launch_backward(const LayerNormShape& shape, const LayerNormBackward& arrays, const Capability& chip,
                     Stream stream) {
  const RowMap map = map_of(shape);
  const int channels = shape.row_channels();
  auto* parts = static_cast<float*>(arrays.scratch);
  int count = tokens::backward_blocks(map.rows, chip);
  const auto blocks = static_cast<unsigned>(count);
  by_width(map.vectors, [&]<int kHeld>() {
    if constexpr (kHeld > 0) {
      const std::size_t shared = static_cast<std::size_t>(kWarps) * channels * sizeof(float);
      layer_norm_backward_kernel<kHeld, kMerge><<<blocks, kThreads, shared, stream>>>(arrays, parts, map);
    } else {
      layer_norm_wide_backward_kernel<kMerge><<<blocks, kThreads, 0, stream>>>(arrays, map);
    }
  });
  check_launch("layer_norm_backward");
  if (channels > tokens::kMostHeldChannels) {
    count = tokens::column_parts(map.rows, channels, tokens::kChunk, chip);
    const dim3 grid(static_cast<unsigned>(divide_up(map.vectors, 32)), static_cast<unsigned>(count));
    layer_norm_columns_kernel<kMerge><<<grid, kThreads, 0, stream>>>(arrays, parts, map);
    check_launch("layer_norm columns");
  }
  tokens::add_parts({parts, {arrays.to_weight, arrays.to_shift, arrays.to_bias}, tokens::kSums, channels, count},
                    "layer_norm_backward sums", stream);
}

}  // namespace

void layer_norm_forward(const LayerNormShape& shape, const LayerNormForward& arrays, const Capability& chip,
                        Stream stream) {
  constexpr const char* kName = "layer_norm_forward";
  require_form(shape, chip);
  REGATTA_REQUIRE((arrays.stream != nullptr || arrays.branch != nullptr) && (!shape.merge || arrays.branch == nullptr),
                  BugError, kName, ": nothing to normalise, or a branch where tokens merge");
  REGATTA_REQUIRE((arrays.out == nullptr) != (arrays.wide_out == nullptr), BugError, kName, ": one output, not two");
  REGATTA_REQUIRE(arrays.sum == nullptr || arrays.branch != nullptr, BugError, kName, ": a sum without a branch");
  tokens::require_array(kName, arrays.weight, "the weight");
  tokens::require_array(kName, arrays.shift, "the shift");
  for (const void* array : {static_cast<const void*>(arrays.stream), static_cast<const void*>(arrays.branch),
                            static_cast<const void*>(arrays.bias), static_cast<const void*>(arrays.sum),
                            static_cast<const void*>(arrays.out), static_cast<const void*>(arrays.wide_out)}) {
    tokens::require_aligned(kName, array, "an array");
  }
  shape.merge ? launch_forward<true>(shape, arrays, chip, stream) : launch_forward<false>(shape, arrays, chip, stream);
}

void layer_norm_backward(const LayerNormShape& shape, const LayerNormBackward& arrays, const Capability& chip,
                         Stream stream) {
  constexpr const char* kName = "layer_norm_backward";
  require_form(shape, chip);
  REGATTA_REQUIRE((arrays.out_gradient == nullptr) != (arrays.wide_out_gradient == nullptr), BugError, kName,
                  ": one gradient of the output, not two");
  REGATTA_REQUIRE(!shape.merge || (arrays.to_branch == nullptr && arrays.to_bias == nullptr), BugError, kName,
                  ": a branch where tokens merge");
  REGATTA_REQUIRE(arrays.mean != nullptr && arrays.inverse_deviation != nullptr, BugError, kName, ": no statistics");
  tokens::require_array(kName, arrays.sum, "the sum");
  tokens::require_array(kName, arrays.weight, "the weight");
  tokens::require_array(kName, arrays.to_sum, "the sum's gradient");
  tokens::require_array(kName, arrays.to_weight, "the weight's gradient");
  tokens::require_array(kName, arrays.to_shift, "the shift's gradient");
  tokens::require_array(kName, arrays.scratch, "the scratch");
  for (const void* array :
       {static_cast<const void*>(arrays.out_gradient), static_cast<const void*>(arrays.sum_gradient),
        static_cast<const void*>(arrays.wide_out_gradient), static_cast<const void*>(arrays.to_branch)}) {
    tokens::require_aligned(kName, array, "an array");
  }
  shape.merge ? launch_backward<true>(shape, arrays, chip, stream)
              : launch_backward<false>(shape, arrays, chip, stream);
}

}  // namespace regatta::kernels
