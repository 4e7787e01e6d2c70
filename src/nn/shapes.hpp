// Shapes in messages, and the checks that several files of this layer share.
#pragma once

#include <string>

#include <ATen/core/Tensor.h>

#include "regatta/base/error.hpp"
#include "regatta/base/text.hpp"

namespace regatta {

inline std::string shape_text(const at::Tensor& tensor) {
  return tensor.defined() ? "[" + join(tensor.sizes(), ", ") + "]" : "absent";
}

/// @throws DataError unless both are [N, 1, D, H, W], of one type, on one device
inline void check_image_pair(const char* who, const at::Tensor& fixed, const at::Tensor& warped) {
  const bool fits = fixed.defined() && warped.defined() && fixed.dim() == 5 && fixed.size(1) == 1 &&
                    fixed.sizes() == warped.sizes() && fixed.scalar_type() == warped.scalar_type() &&
                    fixed.device() == warped.device();
  REGATTA_REQUIRE(fits, DataError, who, ": fixed ", shape_text(fixed), ", warped ", shape_text(warped),
                  ", expected both [N, 1, D, H, W], of one type, on one device");
}

/// @throws DataError unless `field` is [N, 3, D, H, W] with each size at least `smallest`
inline void check_field(const char* who, const at::Tensor& field, std::int64_t smallest) {
  const bool fits = field.defined() && field.dim() == 5 && field.size(1) == 3 && field.size(2) >= smallest &&
                    field.size(3) >= smallest && field.size(4) >= smallest;
  REGATTA_REQUIRE(fits, DataError, who, ": field ", shape_text(field),
                  ", expected [N, 3, D, H, W], each size at least ", smallest);
}

}  // namespace regatta
