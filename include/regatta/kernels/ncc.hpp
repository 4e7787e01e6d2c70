// Local squared correlation of two images and its gradient to the second one: of the sums over the n = window^3 voxels
// around a voxel (0 outside), the mean over all voxels. Gradients to the fixed image stay with nn's reference.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "regatta/kernels/device.hpp"
#include "regatta/kernels/fixed_point.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

/// How a window's sums become its squared correlation, as nn's CorrelationForm.
enum class NccForm {
  kSums,    ///< cross^2 / (var_fixed var_warped + 1e-5)
  kMeans,   ///< cross^2 / max(var_fixed var_warped, 1.19e-7 n^2)
  kClamped  ///< cross^2 / (var_fixed var_warped), each of the three at least 1e-5
};

enum class FixedImage {
  kBytes,      ///< uint8, value / 255: the fast form
  kFixedPoint  ///< uint32 of fixed_point.hpp: for float32 images, rounded to 21 bits first
};

/// Two images [n, 1, d, h, w] on the device, any size. The warped one is in fixed point, as `warp_forward` writes it.
struct NccPair {
  const void* fixed = nullptr;
  FixedImage type = FixedImage::kBytes;
  const std::uint32_t* warped = nullptr;
  VolumeSize size;
  int window = 9;       ///< 3, 5, 7, 9 or 11
  double weight = 1.0;  ///< of the mean: -1 for the loss
  NccForm form = NccForm::kSums;
  const std::uint8_t* mask = nullptr;  ///< [n, 1, d, h, w]: windows around voxels of 0 add nothing; the mean is still
                                       ///< that over all voxels
};

/// Whether there are kernels for this window and type on this chip: fixed point needs 123 KB of shared memory a block,
/// bytes 96 KB.
bool ncc_has_form(int window, FixedImage type, const Capability& chip);

/// Bytes of `scratch` below, aligned to 8. What it holds before does not matter.
std::size_t ncc_scratch_bytes(const Capability& chip);

/// Floats of `coefficients` below, aligned to 8 bytes.
std::size_t ncc_coefficient_count(const VolumeSize& size);

/// @param coefficients  what the backward pass needs, [3, n, d, h, w] float32; nullptr: none is written
/// @param loss          weight x mean, one float on the device; NaN if an image holds kFixedPointInvalid
/// @throws BugError on wrong arguments or no form; DeviceError if a launch fails
/// Two launches. Exact integer sums; deterministic on chips with the same number of multiprocessors. Error of the loss
/// against float64 below 1e-7.
void ncc_forward(const NccPair& pair, float* coefficients, float* loss, void* scratch, const Capability& chip,
                 Stream stream);

/// The derivative of the loss with respect to the warped image.
/// @param coefficients  of ncc_forward
/// @param upstream      derivative with respect to the loss, one float on the device; nullptr: 1
/// @param to_warped     [n, 1, d, h, w] float32, overwritten: per unit of intensity
/// @throws as ncc_forward
/// One launch, no scratch. Sums of float32 without subtraction; deterministic. Error against float64 about 2e-4, nearly
/// all of it the 21 bits of the warped image.
void ncc_backward(const NccPair& pair, const float* coefficients, const float* upstream, float* to_warped,
                  const Capability& chip, Stream stream);

/// The same in float64 on the CPU, from separable sums.
/// @param fixed, warped  [n, 1, d, h, w] in [0, 1]
/// @param to_warped      resized and written; nullptr: loss only
/// @param mask           as in NccPair; empty: none
/// @return weight x mean
double ncc_reference(const std::vector<double>& fixed, const std::vector<double>& warped, const VolumeSize& size,
                     int window, double weight, std::vector<double>* to_warped, NccForm form = NccForm::kSums,
                     const std::vector<std::uint8_t>& mask = {});

}  // namespace regatta::kernels
