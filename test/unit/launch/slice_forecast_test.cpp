#include "launch/slice_forecast.hpp"

#include "support/catch.hpp"

namespace regatta {
namespace {

TEST_CASE("before anything was seen a part needs the guessed times") {
  const SliceForecast forecast({20.0, 10.0, 60.0});
  CHECK(forecast.fits_a_part(90.0));
  CHECK_FALSE(forecast.fits_a_part(89.0));
  CHECK_FALSE(forecast.fits_whole(1e6, 100));  // nobody knows how long a step takes
}

TEST_CASE("nine in ten loads, saves and steps were no slower than the forecast") {
  SliceForecast forecast({20.0, 10.0, 60.0});
  for (int i = 1; i <= 10; ++i) {
    forecast.loaded(i);
    forecast.saved(0.1 * i);
    forecast.stepped(100.0 * i);
  }
  CHECK(forecast.load_s() == 9.0);
  CHECK(forecast.save_s() == Approx(0.9));
  CHECK(forecast.fits_whole(9.9 + 90.0, 100));
  CHECK_FALSE(forecast.fits_whole(9.8 + 90.0, 100));
  CHECK_FALSE(forecast.fits_whole(1e6, 0));
}

TEST_CASE("a part trains at least as long as it loads; numbers that are none are passed over") {
  SliceForecast forecast({20.0, 10.0, 60.0});
  forecast.loaded(500.0);
  forecast.saved(-1.0);
  CHECK(forecast.save_s() == 10.0);
  CHECK(forecast.fits_a_part(1010.0));
  CHECK_FALSE(forecast.fits_a_part(1009.0));
}

}  // namespace
}  // namespace regatta
