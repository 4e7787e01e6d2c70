#include <limits>
#include <vector>

#include "regatta/kernels/gradient_guard.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

struct Guard {
  float bad = 9.0F, in_row = 0.0F, skip = 9.0F;
  double skipped = 0.0, halted_at = 0.0;
  std::vector<double> updates = std::vector<double>(GuardState::kRemembered, -1.0);

  float after(std::vector<float> gradient, float loss, double update) {
    const AdamStep step = {0.0, update};
    gradient_guard_reference({gradient.data(), static_cast<std::int64_t>(gradient.size()), &loss, &step, 3.0},
                             {&bad, &in_row, &skipped, &halted_at, updates.data(), &skip});
    return skip;
  }
};

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinite = std::numeric_limits<float>::infinity();

}  // namespace

TEST_CASE("steps whose loss or gradient cannot be used are skipped and noted") {
  Guard guard;
  CHECK(guard.after({1.0F, -1e19F}, 2.0F, 1.0) == 0.0F);
  CHECK(guard.after({1.0F, kNan}, 2.0F, 2.0) == 1.0F);
  CHECK(guard.after({1.0F}, kInfinite, 3.0) == 1.0F);
  CHECK(guard.in_row == 2.0F);
  CHECK(guard.after({0.0F}, 1.0F, 4.0) == 0.0F);
  CHECK(guard.in_row == 0.0F);
  CHECK(guard.after({-2e19F}, 1.0F, 5.0) == 1.0F);
  CHECK(guard.skipped == 3.0);
  CHECK(guard.updates[0] == 2.0);
  CHECK(guard.updates[1] == 3.0);
  CHECK(guard.updates[2] == 5.0);
  CHECK(guard.updates[3] == -1.0);
  CHECK(guard.halted_at == 0.0);
}

TEST_CASE("too many bad steps in a row halt: nothing is updated or counted after them") {
  Guard guard;
  for (double update = 1.0; update < 4.0; update += 1.0) {
    CHECK(guard.after({kNan}, 1.0F, update) == 1.0F);
  }
  CHECK(guard.halted_at == 3.0);
  CHECK(guard.after({1.0F}, 1.0F, 4.0) == 1.0F);
  CHECK(guard.bad == 0.0F);
  CHECK(guard.after({kNan}, 1.0F, 5.0) == 1.0F);
  CHECK(guard.skipped == 3.0);
  CHECK(guard.halted_at == 3.0);
}

}  // namespace regatta::kernels
