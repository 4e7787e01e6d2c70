#include "regatta/kernels/gelu.hpp"

#include "regatta/base/error.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {

TEST_CASE("GELU of values that a table of the normal distribution has") {
  const GeluShape shape = {2, 8};
  std::vector<double> in(16, 0.0);
  in[1] = 1.0;
  in[2] = -1.0;
  in[8] = 2.0;  // of the second row, with a bias of 1
  std::vector<double> bias(8, 0.0);
  bias[0] = 1.0;
  const std::vector<double> out = gelu_reference(shape, in, bias);
  CHECK(out[0] == Approx(0.8413447461));
  CHECK(out[1] == Approx(0.8413447461));
  CHECK(out[2] == Approx(-0.1586552539));
  CHECK(out[3] == 0.0);
  CHECK(out[8] == Approx(3.0 * 0.9986501020));
}

TEST_CASE("the derivative of GELU agrees with finite differences, and the bias's is its sum") {
  const GeluShape shape = {3, 8};
  std::vector<double> in;
  std::vector<double> gradient;
  for (int i = 0; i < 24; ++i) {
    in.push_back(0.37 * i - 4.0);
    gradient.push_back(i % 5 - 1.5);
  }
  const std::vector<double> bias = {0.1, -0.2, 0.3, 0.0, 0.5, -0.6, 0.7, 0.8};
  const GeluGradients found = gelu_gradient_reference(shape, in, bias, gradient);
  constexpr double kStep = 1e-5;
  std::vector<double> to_bias(8);
  for (std::size_t i = 0; i < in.size(); ++i) {
    std::vector<double> more = in;
    std::vector<double> less = in;
    more[i] += kStep;
    less[i] -= kStep;
    const double slope = (gelu_reference(shape, more, bias)[i] - gelu_reference(shape, less, bias)[i]) / (2.0 * kStep);
    CHECK(found.to_in[i] == Approx(gradient[i] * slope).margin(1e-9));
    to_bias[i % 8] += gradient[i] * slope;
  }
  for (std::size_t c = 0; c < 8; ++c) {
    CHECK(found.to_bias[c] == Approx(to_bias[c]).margin(1e-8));
  }
}

TEST_CASE("there are kernels for GELU of eights of channels") {
  const Capability h200 = {9, 0, 132, 232448};
  CHECK(has_form(GeluShape{5, 384}, h200));
  CHECK_FALSE(has_form(GeluShape{5, 12}, h200));
  CHECK_FALSE(has_form(GeluShape{0, 8}, h200));
  CHECK_FALSE(has_form(GeluShape{5, 384}, Capability{7, 5, 40, 65536}));
  CHECK_THROWS_AS(gelu_scratch_bytes({5, 12}, h200), BugError);
}

}  // namespace regatta::kernels
