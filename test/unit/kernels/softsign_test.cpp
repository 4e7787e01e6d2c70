#include "regatta/kernels/softsign.hpp"

#include <cmath>
#include <vector>

#include "support/catch.hpp"

namespace regatta::kernels {

TEST_CASE("softsign times a factor for each component, and its derivative by differences") {
  const Softsign softsign = {{2, 1, 1, 2}, {1.0F, 10.0F, -4.0F}};
  std::vector<double> input = {1, -1, 3, 0, -3, 0.5, 0, 0, 0, 1, 0, 0};
  const std::vector<double> output = softsign_reference(softsign, input);
  CHECK(output[0] == 0.5);
  CHECK(output[1] == -0.5);
  CHECK(output[2] == 7.5);
  CHECK(output[4] == 3.0);
  CHECK(output[9] == 5.0);  // second volume
  std::vector<double> upstream(12, 2.0);
  const std::vector<double> gradient = softsign_gradient_reference(softsign, input, upstream);
  for (std::size_t i = 0; i < input.size(); ++i) {
    constexpr double kStep = 1e-6;
    std::vector<double> more = input;
    std::vector<double> less = input;
    more[i] += kStep;
    less[i] -= kStep;
    const double change = softsign_reference(softsign, more)[i] - softsign_reference(softsign, less)[i];
    CHECK(std::abs(gradient[i] - 2.0 * change / (2.0 * kStep)) < 1e-4);
  }
}

}  // namespace regatta::kernels
