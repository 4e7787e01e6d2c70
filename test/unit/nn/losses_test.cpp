// MSE and the smoothness of a field: golden numbers, hand-made cases, LibTorch's own derivative.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/nn/loss.hpp"
#include "support/catch.hpp"
#include "support/golden_network.hpp"

namespace regatta::test {
namespace {

double grad_of(const at::Tensor& field, const std::string& penalty) {
  PairState pair;
  pair.regularised = field;
  return make_loss("grad", Json{{"penalty", penalty}})->value(pair).item<double>();
}

/// The definition, with LibTorch's own derivative.
at::Tensor plain_grad(const at::Tensor& field, bool squared) {
  at::Tensor sum = at::zeros({}, field.options());
  for (std::int64_t axis = 2; axis < 5; ++axis) {
    const std::int64_t steps = field.size(axis) - 1;
    const at::Tensor step = field.narrow(axis, 1, steps) - field.narrow(axis, 0, steps);
    sum = sum + (squared ? step.square().mean() : step.abs().mean());
  }
  return sum / 3.0;
}

}  // namespace

TEST_CASE("grad gives the golden values of the reference") {
  const at::Tensor field = at::cat(
      {golden_image(64, 96, 64, 2.0), golden_image(64, 96, 64, 3.0) * 2.0, golden_image(64, 96, 64, 4.0) * 3.0}, 1);
  CHECK(grad_of(field, "l2") == Approx(0.006795639).epsilon(1e-4));
  CHECK(grad_of(field, "l1") == Approx(0.06362227).epsilon(1e-4));
}

TEST_CASE("grad of a ramp is the slope along its own axis") {
  at::Tensor field = at::zeros({1, 3, 2, 3, 4}, at::TensorOptions().dtype(at::kFloat));
  for (std::int64_t w = 0; w < 4; ++w) {
    field.select(4, w).select(1, 2).fill_(0.5 * static_cast<double>(w));
  }
  CHECK(grad_of(field, "l2") == Approx(0.25 / 9.0));  // one component of three, one axis of three
  CHECK(grad_of(field, "l1") == Approx(0.5 / 9.0));
}

TEST_CASE("grad's own derivative equals LibTorch's, in both layouts") {
  const at::Tensor base = at::cat({noise(5, 6, 7, 1), noise(5, 6, 7, 2), noise(5, 6, 7, 3)}, 1);
  for (const char* penalty : {"l1", "l2"}) {
    for (const auto layout : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast3d}) {
      INFO(penalty);
      const at::Tensor ours = base.clone(layout).set_requires_grad(true);
      const at::Tensor plain = base.clone().set_requires_grad(true);
      PairState pair;
      pair.regularised = ours;
      const at::Tensor value = make_loss("grad", Json{{"penalty", penalty}})->value(pair);
      value.mul(0.7).backward();
      const at::Tensor expected = plain_grad(plain, std::string(penalty) == "l2");
      expected.mul(0.7).backward();
      CHECK(value.item<double>() == Approx(expected.item<double>()).epsilon(1e-12));
      CHECK(relative_difference(ours.grad(), plain.grad()) < 1e-12);
    }
  }
}

TEST_CASE("mse gives the golden value of the reference and a gradient to the warped volume") {
  PairState pair;
  pair.fixed = golden_image(64, 96, 64, 1.0);
  pair.warped = golden_image(64, 96, 64, 0.0).set_requires_grad(true);
  const at::Tensor value = make_loss("mse", Json::object())->value(pair);
  CHECK(value.item<double>() == Approx(0.1149247).epsilon(1e-4));
  value.backward();
  const at::Tensor expected = (pair.warped.detach() - pair.fixed) * (2.0 / static_cast<double>(pair.fixed.numel()));
  CHECK(relative_difference(pair.warped.grad(), expected) < 1e-6);
}

TEST_CASE("losses refuse unknown options, unknown names and absent tensors") {
  CHECK_THROWS_WITH(make_loss("mse", Json{{"window", 9}}), Catch::Contains("/losses/mse/options/window: unknown key"));
  CHECK_THROWS_WITH(make_loss("grad", Json{{"penalty", "l3"}}),
                    Catch::Contains("/losses/grad/options/penalty: unknown 'l3', have: l1, l2"));
  CHECK_THROWS_WITH(
      make_loss("nncc", Json::object()),
      "/losses: unknown loss 'nncc', have: anisotropic, bending, dice, grad, inverse_consistency, jacobian, "
      "keypoint, kl, lmi, mae, magnitude, mi, mind, mse, ncc, ssim");
  CHECK_THROWS_AS(make_loss("mse", Json::object())->value(PairState{}), DataError);
  CHECK_THROWS_AS(make_loss("grad", Json::object())->value(PairState{}), DataError);
}

}  // namespace regatta::test
