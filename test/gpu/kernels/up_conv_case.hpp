// A transposed convolution with random arrays on the host and on the device: what tests and times share.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "gpu/kernels/device_array.hpp"
#include "regatta/kernels/up_conv.hpp"

namespace regatta::kernels {

enum class UpConvPass { kForward, kInputGradient, kWeightGradient };

class UpConvCase {
 public:
  UpConvCase(const UpConvShape& shape, const Capability& chip, std::uint64_t seed);

  /// Packs, poisons the results, runs. @param all  every element, else some thousands (of weights: a few)
  /// @return deviation from the reference
  double check(UpConvPass pass, bool all);

  /// After check(kInputGradient, true) with a PReLU: the deviation of its slope's gradient, per root of the sum of the
  /// squares that it is the sum of.
  double slope_deviation() const;

  /// Whether a second run, as `run` queues it, gives the same bytes.
  bool repeats(UpConvPass pass, const std::function<void()>& run);
  bool margins_hold() const;

  void pack(Stream stream);
  void queue(UpConvPass pass, Stream stream);

  /// That must move.
  double bytes(UpConvPass pass) const;

 private:
  UpConvForward forward_arrays(bool device) const;
  UpConvInputGradient gradient_arrays(bool device) const;
  UpConvWeightGradient weight_arrays(bool device) const;
  std::vector<std::uint8_t> result(UpConvPass pass) const;
  void poison();

  UpConvShape shape_;
  Capability chip_;
  std::vector<Bf16> in_, before_, gradient_;
  std::vector<float> weights_, bias_, slope_;
  DeviceArray<Bf16> device_in_, device_before_, device_gradient_;
  DeviceArray<float> device_weights_, device_bias_, device_slope_;
  DeviceArray<std::uint8_t> packed_, scratch_;
  DeviceArray<Bf16> out_, raw_, input_gradient_;
  DeviceArray<float> weight_gradient_, bias_gradient_, slope_gradient_;
};

}  // namespace regatta::kernels
