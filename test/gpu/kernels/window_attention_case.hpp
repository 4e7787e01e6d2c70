// Window attention with random arrays on the host and on the device: what tests and times share.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "gpu/kernels/device_array.hpp"
#include "regatta/kernels/window_attention.hpp"

namespace regatta::kernels {

class WindowAttentionCase {
 public:
  /// @param scale  of queries, keys and values: 1 makes nearly equal weights, 3 sharp ones
  WindowAttentionCase(const WindowAttention& shape, bool with_table, const Capability& chip, float scale,
                      std::uint64_t seed);

  struct Errors {
    double out = 0.0;
    double to_query = 0.0;
    double to_key = 0.0;
    double to_value = 0.0;
    double to_table = 0.0;  ///< 0 if not compared
  };

  /// Poisons the results, runs forward and backward and compares. @param all  else some windows, without the table
  Errors check(bool all);

  /// Whether a second run, as `run` queues it, gives the same bytes.
  bool repeats(const std::function<void()>& run);
  bool margins_hold() const;

  void queue_forward(bool keep, Stream stream);
  void queue_backward(Stream stream);

  /// Of the inference form, after check: whether the output is the same.
  bool inference_agrees();

  double forward_bytes() const;
  double backward_bytes() const;
  double pairs() const;  ///< multiply-adds of one product of queries and keys

 private:
  std::vector<std::uint8_t> results() const;
  void poison();

  WindowAttention shape_;
  Capability chip_;
  bool with_table_;
  std::vector<Bf16> qkv_, to_out_;
  std::vector<float> table_;
  DeviceArray<Bf16> device_qkv_, device_to_out_;
  DeviceArray<float> device_table_;
  DeviceArray<Bf16> out_, to_qkv_;
  DeviceArray<float> kept_, to_table_;
  DeviceArray<std::uint8_t> scratch_;
};

}  // namespace regatta::kernels
