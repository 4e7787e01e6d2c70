// What a decoder's convolution reads: features up-sampled by two and a skip, side by side, written once.
#pragma once

#include <cstdint>
#include <optional>

#include <ATen/core/Tensor.h>

#include "nn/fast/conv.hpp"

namespace regatta::fast {

/// How many channels the joined features should have for the convolution that reads them: those of both, and zeros
/// after them where only so our kernels have forms. Nothing if they are not joined: other types and sizes, or a
/// convolution that reads two inputs apart.
/// @param input  [N, C, D, H, W], to be up-sampled
std::optional<std::int64_t> joined_channels(const at::Tensor& input, const Skip& skip, const ConvLayer& reader);

/// @param channels  of `joined_channels`
/// @return [N, channels, 2 D, 2 H, 2 W]: the input up-sampled (trilinear), the skip after its norm, zeros
at::Tensor up_join(const at::Tensor& input, const Skip& skip, std::int64_t channels);

/// Weights of zeros for the channels that the input has at its end beside `real` ones.
void widen_first_(ConvLayer& reader, std::int64_t real, std::int64_t channels);

}  // namespace regatta::fast
