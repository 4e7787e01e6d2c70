#include "regatta/nn/velocity_model.hpp"

#include "regatta/nn/model.hpp"

namespace regatta {

const VelocityModel* velocity_model(const Model& model) {
  const auto* const velocity = dynamic_cast<const VelocityModel*>(&model);
  return velocity != nullptr && velocity->regularises_velocity() ? velocity : nullptr;
}

}  // namespace regatta
