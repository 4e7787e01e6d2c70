// Gradients of a batch that is spread over a group: summed over its members in buckets, those of the last parameters
// first, since the backward pass makes them first. The losses ride in the last bucket.
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "train/comm.hpp"

namespace regatta {

/// Values of a bucket: 16 MiB of float32.
inline constexpr std::int64_t kBucketValues = std::int64_t{1} << 22;

/// Every gradient and `losses` become their sums over the members, the same bits in all.
/// @param gradients  one per parameter, float32; replaced where one is not contiguous
/// @param losses     [n] float32
void sum_over_members_(Comm& comm, std::vector<at::Tensor>& gradients, const at::Tensor& losses,
                       std::int64_t bucket_values = kBucketValues);

/// The same for all gradients in one array. @param gradient  [count] float32
void sum_flat_over_members_(Comm& comm, const at::Tensor& gradient, const at::Tensor& losses,
                            std::int64_t bucket_values = kBucketValues);

}  // namespace regatta
