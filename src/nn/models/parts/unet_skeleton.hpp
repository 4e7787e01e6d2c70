// The U-Net that SYMNet, the backbone of the LKU-Net paper and Fourier-Net share: two convolutions a level, strided
// ones between the levels, transposed ones upwards. Parameter names and order are those of the three repositories.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "nn/layers/conv.hpp"
#include "regatta/nn/parameters.hpp"

namespace regatta::models {

struct UnetShape {
  std::int64_t channels = 8;         ///< c, of the first level; 2c, 4c, 8c, 8c below
  Activation activation{};           ///< ReLU or PReLU
  std::string decoder_prefix{};      ///< before dc1..dc8 and up1..up4
  int up_levels = 4;                 ///< levels that the decoder climbs; 4: to full resolution
  bool unused_layers = false;        ///< parameters of the levels that it does not climb are there all the same
  std::vector<std::string> heads{};  ///< convolutions to 3 channels, without bias or activation, after the decoder
  std::int64_t head_kernel = 3;
};

class UnetSkeleton {
 public:
  /// Sizes of a volume are multiples of it: four levels of stride 2.
  static constexpr int kSizeMultiple = 16;

  /// Registers eninput, ec1..ec9, dc1..dc8, the heads, up1..up4: NAME.0.weight, .bias and for a PReLU NAME.1.weight.
  UnetSkeleton(Parameters& parameters, const UnetShape& shape);

  /// @param images  [N, 2, D, H, W]
  /// @return of each head [N, 3, D, H, W], or on the coarser grid where the decoder ends
  std::vector<at::Tensor> operator()(const at::Tensor& images) const;

 private:
  std::vector<Conv3d> encoder_;
  std::vector<Conv3d> decoder_;
  std::vector<Conv3d> heads_;
  std::vector<UpConv3d> ups_;
};

/// The displacement after unit time in a stationary velocity field that continues unchanged outside the volume, as
/// LKU-Net and Fourier-Net integrate. Velocity and result in voxels.
at::Tensor integrate_within_borders(const at::Tensor& velocity, int steps, Backend backend);

}  // namespace regatta::models
