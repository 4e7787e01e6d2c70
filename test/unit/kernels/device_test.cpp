#include "regatta/base/error.hpp"
#include "regatta/kernels/device.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {

TEST_CASE("as an A100 sees the kernels: 8.0, and no more shared memory than it has") {
  const Capability hopper = {9, 0, 132, 232448};
  CHECK(hopper.is_hopper());
  const Capability seen = as_sm80(hopper);
  CHECK(seen.usable());
  CHECK_FALSE(seen.is_hopper());
  CHECK(seen.multiprocessors == 132);
  CHECK(seen.shared_bytes == 166912);
  CHECK(as_sm80({8, 9, 128, 101376}).shared_bytes == 101376);
}

TEST_CASE("the build says with which compiler, or why it has no kernels") {
  if (built()) {
    CHECK(build_text().rfind("nvcc V", 0) == 0);
  } else {
    CHECK(build_text().rfind("left out: ", 0) == 0);
    CHECK_THROWS_AS(capability(0), NotBuilt);
  }
}

}  // namespace regatta::kernels
