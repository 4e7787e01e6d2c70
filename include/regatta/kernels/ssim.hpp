// One minus the mean structural similarity of two images, and its derivative with respect to the second one. Windows
// are Gaussians of 11^3 voxels with standard deviation 1.5, zeros outside; of their means, variances and covariance: (2
// mean_f mean_w + 1e-4) (2 cov + 9e-4) / ((mean_f^2 + mean_w^2 + 1e-4) (var_f + var_w + 9e-4)).
#pragma once

#include <cstddef>
#include <vector>

#include "regatta/kernels/device.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

struct SsimPair {
  const float* fixed = nullptr;   ///< [n, 1, d, h, w] float32 on the device
  const float* warped = nullptr;  ///< the same
  VolumeSize size;                ///< below 2^31 voxels a volume
};

/// Bytes of `scratch`, aligned to 8. What it holds before does not matter.
std::size_t ssim_scratch_bytes(const VolumeSize& size);

/// Floats of `coefficients`.
std::size_t ssim_coefficient_count(const VolumeSize& size);

/// @param coefficients  what the derivative needs, [3, n, d, h, w] float32; nullptr: none is written
/// @param loss          one float on the device; NaN if an intensity is NaN
/// @throws BugError on wrong arguments; DeviceError if a launch fails
/// Two launches. Deterministic: float32 inside a block, float64 between blocks, a fixed order.
void ssim_forward(const SsimPair& pair, float* coefficients, float* loss, void* scratch, Stream stream);

/// The derivative of the loss with respect to the warped image.
/// @param coefficients  of the forward pass
/// @param upstream      derivative with respect to the loss, one float on the device; nullptr: 1
/// @param to_warped     [n, 1, d, h, w] float32, overwritten
/// One launch, no scratch. Deterministic.
void ssim_backward(const SsimPair& pair, const float* coefficients, const float* upstream, float* to_warped,
                   Stream stream);

/// The same in float64 on the CPU; `pair` points to memory of the CPU.
/// @param to_warped  resized and written; nullptr: loss only
double ssim_reference(const SsimPair& pair, std::vector<double>* to_warped);

}  // namespace regatta::kernels
