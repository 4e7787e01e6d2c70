// Times of kernels: median of device times with the cache emptied by reads before each, one JSON line a kernel.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "gpu/kernels/device_array.hpp"
#include "regatta/kernels/device.hpp"

namespace regatta::kernels {

struct BenchRow {
  std::string name;
  std::string size;
  std::string form;
  double bytes = 0.0;       ///< that must move: each input read once, each output written once
  double operations = 0.0;  ///< floating-point ones of the matrix units; 0: bandwidth alone decides
  double error = -1.0;      ///< against the reference; below 0: not compared here
};

class Bench {
 public:
  explicit Bench(int device);

  const Capability& chip() const { return chip_; }

  /// Runs `queue` some times and prints the row. The floor is bytes / 4.3 TB/s or operations / 790 TFLOP/s, an H200's.
  /// @return median, ms
  double time(const BenchRow& row, const std::function<void(Stream)>& queue);

 private:
  void empty_cache();

  Capability chip_;
  DeviceArray<float> filler_;  ///< larger than any L2
};

/// The families, in this order; bench_kernels NAME... runs the named ones.
void bench_adam(Bench& bench);
void bench_compose(Bench& bench);  ///< composition, scaling and squaring, resizing of fields
void bench_conv(Bench& bench);
void bench_features(Bench& bench);  ///< activations, InstanceNorm, up-sampling, pooling
void bench_gradient_guard(Bench& bench);
void bench_image_losses(Bench& bench);  ///< differences, mutual information, SSIM, MIND
void bench_lkunet(Bench& bench);
void bench_losses(Bench& bench);    ///< of labels, points and fields: soft Dice, key-points, folding, bending
void bench_field(Bench& bench);     ///< warp, diffusion, label counts, Jacobians, packing
void bench_matching(Bench& bench);  ///< attention over neighbours, warp of features, InstanceNorm with weights
void bench_ncc(Bench& bench);       ///< and the chain of warp, diffusion and NCC
void bench_tokens(Bench& bench);    ///< LayerNorm and GELU

void bench_window_attention(Bench& bench);

}  // namespace regatta::kernels
