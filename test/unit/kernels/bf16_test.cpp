#include <cmath>
#include <limits>

#include "regatta/kernels/bf16.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {

TEST_CASE("bfloat16 rounds to the nearest, ties to even") {
  CHECK(to_float(to_bf16(1.0F)) == 1.0F);
  CHECK(to_float(to_bf16(-0.15625F)) == -0.15625F);
  CHECK(to_float(to_bf16(1.0F + 0x1p-8F)) == 1.0F);            // a tie, down to even
  CHECK(to_float(to_bf16(1.0F + 0x3p-8F)) == 1.0F + 0x4p-8F);  // a tie, up to even
  CHECK(to_float(to_bf16(1.0F + 0x1p-8F + 0x1p-20F)) == 1.0F + 0x2p-8F);
  CHECK(std::isinf(to_float(to_bf16(std::numeric_limits<float>::max()))));
  CHECK(std::isnan(to_float(to_bf16(std::numeric_limits<float>::quiet_NaN()))));
}

}  // namespace regatta::kernels
