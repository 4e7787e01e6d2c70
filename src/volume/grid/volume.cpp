#include "regatta/volume/volume.hpp"

namespace regatta {

bool has_space(const std::string& affine_source) {
  return affine_source != "pixdim" && affine_source != "none";
}

}  // namespace regatta
