// What the tests of losses share: fields, evaluation by recipe name, and a loss against its reference, whose
// derivative is LibTorch's own.
#pragma once

#include <string>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>

#include <nlohmann/json.hpp>

#include "regatta/nn/loss.hpp"
#include "support/catch.hpp"
#include "support/golden_network.hpp"

namespace regatta::test {

/// (img_2, 2 img_3, 3 img_4), the field of the golden numbers. Raw numbers: what unit they have is up to the loss.
inline at::Tensor golden_field(std::int64_t D, std::int64_t H, std::int64_t W) {
  return at::cat({golden_image(D, H, W, 2.0), golden_image(D, H, W, 3.0) * 2.0, golden_image(D, H, W, 4.0) * 3.0}, 1);
}

/// Uniform components in -size/2 .. size/2: [1, 3, D, H, W] float64.
inline at::Tensor noise_field(std::int64_t D, std::int64_t H, std::int64_t W, double size, std::uint64_t seed) {
  return at::cat({noise(D, H, W, seed), noise(D, H, W, seed + 1), noise(D, H, W, seed + 2)}, 1).sub(0.5).mul(size);
}

inline double value_of(const std::string& loss, const PairState& pair, const Json& options = Json::object()) {
  return make_loss(loss, options)->value(pair).item<double>();
}

/// Value and derivative with respect to one of the pair's tensors, both against `plain(pair)`.
template <class Plain>
void check_against(Plain plain, const std::string& loss, const Json& options, const PairState& pair,
                   at::Tensor PairState::*input, double tolerance = 1e-9) {
  INFO(loss << " " << options.dump());
  PairState ours = pair;
  ours.*input = (pair.*input).clone().set_requires_grad(true);
  const at::Tensor value = make_loss(loss, options)->value(ours);
  value.mul(0.7).backward();
  PairState theirs = pair;
  theirs.*input = (pair.*input).clone().set_requires_grad(true);
  const at::Tensor expected = plain(theirs);
  expected.mul(0.7).backward();
  CHECK(value.dim() == 0);
  CHECK(value.item<double>() == Approx(expected.item<double>()).epsilon(tolerance));
  REQUIRE((theirs.*input).grad().norm().template item<double>() > 0.0);
  CHECK(relative_difference((ours.*input).grad(), (theirs.*input).grad()) < tolerance);
}

}  // namespace regatta::test
