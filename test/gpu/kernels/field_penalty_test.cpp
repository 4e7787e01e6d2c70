#include "regatta/kernels/field_penalty.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "gpu/kernels/device_array.hpp"
#include "gpu/kernels/errors.hpp"
#include "gpu/kernels/random_values.hpp"
#include "gpu/kernels/volumes.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

constexpr float kUpstream = 1.5F;

struct Result {
  float loss = 0.0F;
  std::vector<float> gradient;
};

Result on_device(FieldPenalty penalty, const std::vector<float>& flow, const VolumeSize& size) {
  const DeviceArray<float> field(flow);
  const DeviceArray<float> upstream(std::vector<float>{kUpstream});
  DeviceArray<float> loss(1);
  DeviceArray<unsigned char> scratch(field_penalty_scratch_bytes(penalty, size));
  DeviceArray<float> to_flow(flow.size());
  field_penalty_forward(penalty, field.get(), size, loss.get(), scratch.get(), nullptr);
  field_penalty_backward(penalty, field.get(), size, upstream.get(), to_flow.get(), nullptr);
  wait_for_gpu();
  CHECK(loss.margins_hold());
  CHECK(scratch.margins_hold());
  CHECK(to_flow.margins_hold());
  return {loss.values()[0], to_flow.values()};
}

/// @param tolerance  of the gradient; of a smooth field's fourth derivatives little is left in float32
void check_field(FieldPenalty penalty, const std::vector<float>& flow, const VolumeSize& size, double tolerance) {
  INFO(size.n << "x" << size.d << "x" << size.h << "x" << size.w << ", penalty " << static_cast<int>(penalty));
  std::vector<double> expected;
  const double loss = field_penalty_reference(penalty, flow, size, &expected);
  for (double& slope : expected) {
    slope *= kUpstream;
  }
  const Result result = on_device(penalty, flow, size);
  CHECK(result.loss == Approx(loss).epsilon(1e-5));
  CHECK(relative_error(result.gradient, expected) < tolerance);
  const Result again = on_device(penalty, flow, size);
  CHECK(again.loss == result.loss);
  CHECK(same_bits(again.gradient, result.gradient));
}

}  // namespace

TEST_CASE("folding and bending on the device are those of float64") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  std::vector<VolumeSize> sizes = small_sizes();
  sizes.push_back({1, 5, 6, 7});
  sizes.push_back({1, 9, 40, 33});
  for (const VolumeSize& size : sizes) {
    const std::vector<float> rough = normal_values(static_cast<std::size_t>(3 * size.all()), 3);
    for (const FieldPenalty penalty : {FieldPenalty::kFolding, FieldPenalty::kBending}) {
      check_field(penalty, rough, size, 1e-5);
      check_field(penalty, smooth_flow(size, 4, 6.0), size, 1e-4);
    }
  }
  const VolumeSize least = {1, 2, 2, 2};
  check_field(FieldPenalty::kFolding, normal_values(24, 5, 3.0F), least, 1e-5);
}

TEST_CASE("a field without folds has no folding and no gradient; a missing displacement makes the loss NaN") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  const VolumeSize size = small_sizes()[0];
  std::vector<float> flow = smooth_flow(size, 4, 0.1);
  const Result result = on_device(FieldPenalty::kFolding, flow, size);
  CHECK(result.loss == 0.0F);
  CHECK(relative_error(result.gradient, std::vector<double>(flow.size())) == 0.0);
  flow[flow.size() / 2] = std::numeric_limits<float>::quiet_NaN();
  CHECK(std::isnan(on_device(FieldPenalty::kFolding, flow, size).loss));
  CHECK(std::isnan(on_device(FieldPenalty::kBending, flow, size).loss));
}

TEST_CASE("full-size folding and bending agree with float64") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  const std::vector<float> flow = smooth_flow(kFullSize, 4, 60.0);
  check_field(FieldPenalty::kFolding, flow, kFullSize, 1e-2);  // determinants within rounding of 0 count or not
  check_field(FieldPenalty::kBending, flow, kFullSize, 1e-3);
}

}  // namespace regatta::kernels
