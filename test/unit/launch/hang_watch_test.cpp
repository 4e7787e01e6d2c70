// When silence counts as a hang.
#include "launch/hang_watch.hpp"

#include <cmath>

#include "support/catch.hpp"

namespace regatta {
namespace {

TEST_CASE("a child has ten minutes until its first step, then max(60 s, 20 median steps)") {
  HangWatch watch(HangRule{}, 100.0);
  CHECK_FALSE(watch.is_hung(699.0));
  CHECK(watch.is_hung(701.0));
  watch.heard(200.0);
  CHECK(watch.allowed_s() == 600.0);
  watch.stepped(500.0);
  CHECK(watch.allowed_s() == 60.0);
  CHECK_FALSE(watch.is_hung(259.0));
  CHECK(watch.is_hung(261.0));
}

TEST_CASE("the median forgets one slow step, and follows when all become slow") {
  HangWatch watch(HangRule{}, 0.0);
  for (int i = 0; i < 9; ++i) {
    watch.stepped(100.0);
  }
  watch.stepped(1e6);
  CHECK(watch.allowed_s() == 60.0);
  for (int i = 0; i < 31; ++i) {
    watch.stepped(25000.0);
  }
  CHECK(watch.allowed_s() == 500.0);
  watch.stepped(std::nan(""));
  watch.stepped(0.0);
  CHECK(watch.allowed_s() == 500.0);
}

}  // namespace
}  // namespace regatta
