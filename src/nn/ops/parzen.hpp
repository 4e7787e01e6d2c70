// Mutual information of intensities by Parzen windows: what the losses "mi" and "lmi" negate.
#pragma once

#include <ATen/core/Tensor.h>

namespace regatta {

struct ParzenOptions {
  int bins = 32;
  double sigma_ratio = 1.0;  ///< standard deviation of the windows over the distance of the bins' centres
};

/// How many samples are turned to memberships at a time: 32 bins of them take 16 MB.
inline constexpr std::int64_t kParzenSamples = std::int64_t{1} << 17;

/// Frequencies of pairs of intensities, not normalised. Intensities outside [0, 1] are moved to its ends; centres are
/// evenly spaced there, the first at 0 and the last at 1; a sample belongs to the bins with weights that add up to 1.
/// @param samples  [2, G, n]: both images' samples of G groups
/// @return [G, bins, bins], differentiable
at::Tensor joint_histogram(const at::Tensor& samples, const ParzenOptions& options);

/// Sum over bins of p log(p / (p_a p_b + 1e-6) + 1e-6).
/// @param joint  [G, bins, bins], of `count` samples each
/// @return [G], differentiable
at::Tensor mutual_information(const at::Tensor& joint, std::int64_t count);

}  // namespace regatta
