// Networks whose field is the integral of one stationary velocity: `ModelOutput::regularised` is that velocity.
#pragma once

#include <ATen/core/Tensor.h>

namespace regatta {

/// What such a network is beside a Model: `dynamic_cast` finds it.
class VelocityModel {
 public:
  virtual ~VelocityModel() = default;

  /// False where this network's options make it predict something else.
  virtual bool regularises_velocity() const = 0;

  /// The displacement of a velocity, as this network integrates its own; differentiable. That of the negated velocity
  /// is its inverse. To be called where `regularises_velocity`.
  /// @param velocity  [N, 3, d, h, w], voxels of its own grid
  /// @param volume    [N, 1, D, H, W]
  /// @return [N, 3, D, H, W] voxels
  virtual at::Tensor displacement_of(const at::Tensor& velocity, const at::Tensor& volume) const = 0;
};

class Model;

/// The same network as one, if it regularises a velocity; null else.
const VelocityModel* velocity_model(const Model& model);

}  // namespace regatta
