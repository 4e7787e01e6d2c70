// A convolution with random arrays on the host and on the device: what tests and times of the family share.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "gpu/kernels/device_array.hpp"
#include "regatta/kernels/conv.hpp"

namespace regatta::kernels {

/// Which results are compared with the reference.
enum class Sampling {
  kAll,
  kEveryVoxel,  // one channel each, in turn
  kSome,        // a few thousand; a few weights
};

class ConvCase {
 public:
  ConvCase(const ConvShape& shape, const Capability& chip, std::uint64_t seed);

  const ConvShape& shape() const { return shape_; }
  bool has(ConvPass pass) const { return has_form(shape_, pass, chip_); }

  /// Packs, poisons the results, runs. @return deviation from the reference
  double check(ConvPass pass, Sampling sampling);

  /// After check(pass, kAll) of an input that a PReLU made: the deviation of its slope's gradient, per root of the sum
  /// of the squares that it is the sum of.
  double slope_deviation(ConvPass pass) const;

  /// Whether a second run, as `run` queues it, gives the same bytes.
  bool repeats(ConvPass pass, const std::function<void()>& run);

  bool margins_hold() const;

  void pack(ConvPass pass, Stream stream);
  void queue(ConvPass pass, Stream stream);
  void queue_child_sums(Stream stream);

  /// For a row of bench_kernels: bytes that must move, operations of the mathematical definition.
  double bytes(ConvPass pass) const;
  double operations(ConvPass pass) const;

 private:
  ConvForward forward_arrays(bool device) const;
  ConvInputGradient gradient_arrays(ConvPass pass, bool device) const;
  ConvWeightGradient weight_arrays(bool device) const;
  double check_voxels(ConvPass pass, Sampling sampling) const;
  double check_before_prelu(Sampling sampling) const;
  double check_weights(Sampling sampling) const;
  bool parts_agree() const;
  std::vector<std::uint8_t> result(ConvPass pass) const;
  void poison();

  ConvShape shape_;
  Capability chip_;
  std::vector<Bf16> first_, second_, before_, gradient_;  // `before_`: a PReLU; the results of that are not used
  std::vector<float> weights_, inner_, centre_, folded_, bias_, slope_;
  DeviceArray<Bf16> device_first_, device_second_, device_before_, device_gradient_;
  DeviceArray<float> device_weights_, device_inner_, device_centre_, device_bias_, device_slope_;
  DeviceArray<std::uint8_t> packed_[3], sums_, scratch_;
  DeviceArray<std::uint8_t> out_, raw_;
  DeviceArray<Bf16> first_gradient_, second_gradient_;
  DeviceArray<float> weight_gradient_, inner_gradient_, centre_gradient_, bias_gradient_, more_bias_gradients_,
      slope_gradient_;
};

/// "32 up + 2 -> 32"
std::string text_of(const ConvShape& shape);

}  // namespace regatta::kernels
