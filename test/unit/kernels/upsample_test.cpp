#include "regatta/kernels/upsample.hpp"

#include <cmath>
#include <vector>

#include "regatta/kernels/resize.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

constexpr Capability kH200 = {9, 0, 132, 232448};

std::vector<double> waves(std::int64_t count, double step) {
  std::vector<double> out;
  for (std::int64_t i = 0; i < count; ++i) {
    out.push_back(std::sin(step * static_cast<double>(i)));
  }
  return out;
}

}  // namespace

TEST_CASE("features at twice the size: quarters along a row, each channel for itself") {
  const UpsampleShape shape = {{1, 1, 1, 3}, 2};
  const std::vector<double> out = upsample_reference(shape, {0.0, 8.0, 4.0, 8.0, 8.0, 8.0});
  REQUIRE(out.size() == 2 * 2 * 2 * 6);
  const std::vector<double> row = {0.0, 1.0, 3.0, 5.0, 7.0, 8.0};
  for (std::size_t i = 0; i < out.size(); i += 2) {
    CHECK(out[i] == row[i / 2 % 6]);
    CHECK(out[i + 1] == 8.0);
  }
}

TEST_CASE("with aligned corners the outermost features stay, and the others lie evenly between them") {
  const UpsampleShape shape = {{1, 1, 2, 3}, 1, true};
  const std::vector<double> out = upsample_reference(shape, {0.0, 10.0, 5.0, 30.0, 40.0, 35.0});
  REQUIRE(out.size() == 2 * 4 * 6);
  const std::vector<double> row = {0.0, 4.0, 8.0, 9.0, 7.0, 5.0};
  for (std::size_t i = 0; i < out.size(); ++i) {
    CHECK(out[i] == Approx(row[i % 6] + 10.0 * static_cast<double>(i / 6 % 4)));
  }
}

TEST_CASE("up-sampled features are what resizing a field gives") {
  const bool align_corners = GENERATE(false, true);
  const VolumeSize size = {2, 3, 4, 5};
  const UpsampleShape shape = {size, 3, align_corners};
  const std::vector<double> planar = waves(3 * size.all(), 0.7);
  const auto moved = [](const std::vector<double>& fields, const VolumeSize& of) {  // to [N, D, H, W, C]
    std::vector<double> out(fields.size());
    for (std::int64_t i = 0; i < 3 * of.all(); ++i) {
      const std::int64_t n = i / of.voxels() / 3;
      out[static_cast<std::size_t>((n * of.voxels() + i % of.voxels()) * 3 + i / of.voxels() % 3)] =
          fields[static_cast<std::size_t>(i)];
    }
    return out;
  };
  const std::vector<double> expected =
      moved(resize_reference({size, shape.output_size(), align_corners}, planar), shape.output_size());
  const std::vector<double> out = upsample_reference(shape, moved(planar, size));
  REQUIRE(out.size() == expected.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    CHECK(out[i] == Approx(expected[i]).margin(1e-14));
  }
}

TEST_CASE("the derivative of up-sampling is its transposed") {
  const UpsampleShape shape = {{2, 1, 4, 3}, 8, GENERATE(false, true)};
  const std::vector<double> in = waves(shape.size.all() * 8, 0.7);
  const std::vector<double> weights = waves(shape.output_size().all() * 8, 1.3);
  const std::vector<double> out = upsample_reference(shape, in);
  const std::vector<double> gradient = upsample_gradient_reference(shape, weights);
  REQUIRE(gradient.size() == in.size());
  double there = 0.0;
  double back = 0.0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    there += out[i] * weights[i];
  }
  for (std::size_t i = 0; i < in.size(); ++i) {
    back += in[i] * gradient[i];
  }
  CHECK(there == Approx(back).epsilon(1e-12));
}

TEST_CASE("up-sampling has kernels for multiples of 8 channels") {
  CHECK(has_form(UpsampleShape{{2, 13, 17, 19}, 24}, kH200));
  CHECK_FALSE(has_form(UpsampleShape{{2, 13, 17, 19}, 12}, kH200));
  CHECK_FALSE(has_form(UpsampleShape{{2, 13, 17, 19}, 0}, kH200));
  CHECK_FALSE(has_form(UpsampleShape{{1, 0, 17, 19}, 8}, kH200));
  CHECK_FALSE(has_form(UpsampleShape{{1, 4, 40000, 40000}, 8}, kH200));
  CHECK_FALSE(has_form(UpsampleShape{{2, 13, 17, 19}, 24}, Capability{7, 5, 68, 65536}));
}

}  // namespace regatta::kernels
