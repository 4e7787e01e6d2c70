// Fields that a head gives between -1 and 1 by softsign, in other units: factor * x / (1 + |x|), a factor for each
// component.
#pragma once

#include <array>
#include <vector>

#include "regatta/kernels/device.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

struct Softsign {
  VolumeSize size;  ///< of fields [n, 3, d, h, w] float32
  std::array<float, 3> factors{1.0F, 1.0F, 1.0F};
};

/// @param input, output  on the device; may be the same
/// @throws BugError on wrong arguments; DeviceError if the launch fails
/// One launch, no scratch.
void softsign_forward(const Softsign& softsign, const float* input, float* output, Stream stream);

/// @param to_output, to_input  derivatives; may be the same
void softsign_backward(const Softsign& softsign, const float* input, const float* to_output, float* to_input,
                       Stream stream);

/// The same in float64 on the CPU.
std::vector<double> softsign_reference(const Softsign& softsign, const std::vector<double>& input);
std::vector<double> softsign_gradient_reference(const Softsign& softsign, const std::vector<double>& input,
                                                const std::vector<double>& to_output);

}  // namespace regatta::kernels
