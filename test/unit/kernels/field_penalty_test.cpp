#include "regatta/kernels/field_penalty.hpp"

#include <random>
#include <vector>

#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

constexpr VolumeSize kSize = {2, 6, 5, 7};

const std::size_t kCount = static_cast<std::size_t>(kSize.all());

/// A component that is f(d, h, w), the others 0.
template <class F>
std::vector<float> field_of(std::int64_t component, F f) {
  std::vector<float> flow(3 * kCount, 0.0F);
  for (std::int64_t i = 0; i < kSize.all(); ++i) {
    const std::int64_t p = i % kSize.voxels();
    const auto at = static_cast<std::size_t>((3 * (i / kSize.voxels()) + component) * kSize.voxels() + p);
    flow[at] = static_cast<float>(f(static_cast<double>(p / kSize.plane()), static_cast<double>(p / kSize.w % kSize.h),
                                    static_cast<double>(p % kSize.w)));
  }
  return flow;
}

}  // namespace

TEST_CASE("folding is minus the determinant where that is negative") {
  const auto turned = field_of(1, [](double, double h, double) { return -3.0 * h; });
  CHECK(field_penalty_reference(FieldPenalty::kFolding, turned, kSize, nullptr) == Approx(2.0));
  const auto pressed = field_of(1, [](double, double h, double) { return -0.9 * h; });
  CHECK(field_penalty_reference(FieldPenalty::kFolding, pressed, kSize, nullptr) == 0.0);
  const auto sheared = field_of(2, [](double d, double h, double) { return 7.0 * d - 4.0 * h; });
  CHECK(field_penalty_reference(FieldPenalty::kFolding, sheared, kSize, nullptr) == 0.0);
}

TEST_CASE("bending sums squared second derivatives, mixed ones twice, and ignores what is linear") {
  const auto linear = field_of(0, [](double d, double h, double w) { return 1.0 + 2.0 * d - h + 0.5 * w; });
  CHECK(field_penalty_reference(FieldPenalty::kBending, linear, kSize, nullptr) == 0.0);
  const auto square = field_of(1, [](double, double h, double) { return h * h; });
  CHECK(field_penalty_reference(FieldPenalty::kBending, square, kSize, nullptr) == Approx(4.0 / 3.0));
  const auto product = field_of(2, [](double d, double, double w) { return 3.0 * d * w; });
  CHECK(field_penalty_reference(FieldPenalty::kBending, product, kSize, nullptr) == Approx(2.0 * 9.0 / 3.0));
}

TEST_CASE("the gradients of folding and bending are those of finite differences") {
  std::mt19937_64 engine(1);
  std::uniform_real_distribution<float> draw(-1.0F, 1.0F);
  std::vector<float> flow(3 * kCount);
  for (float& u : flow) {
    u = draw(engine);
  }
  for (const FieldPenalty penalty : {FieldPenalty::kFolding, FieldPenalty::kBending}) {
    std::vector<double> gradient;
    CHECK(field_penalty_reference(penalty, flow, kSize, &gradient) > 0.1);
    for (std::size_t i = 0; i < flow.size(); i += 5) {
      const float kept = flow[i];
      flow[i] = kept + 0x1p-12F;
      const double above = field_penalty_reference(penalty, flow, kSize, nullptr);
      flow[i] = kept - 0x1p-12F;
      const double below = field_penalty_reference(penalty, flow, kSize, nullptr);
      flow[i] = kept;
      CHECK(gradient[i] == Approx((above - below) / 0x1p-11).epsilon(1e-5).margin(1e-8));
    }
  }
}

}  // namespace regatta::kernels
