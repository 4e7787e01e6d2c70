#include "regatta/kernels/resize.hpp"

#include <cmath>
#include <vector>

#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

std::vector<double> waves(std::int64_t count) {
  std::vector<double> out;
  for (std::int64_t i = 0; i < count; ++i) {
    out.push_back(std::sin(0.7 * static_cast<double>(i)));
  }
  return out;
}

}  // namespace

TEST_CASE("twice the size: outer faces or centres of the corners coincide") {
  Resize up = {{1, 1, 1, 2}, {1, 1, 1, 4}, false, {1.0F, 1.0F, 2.0F}};
  const std::vector<double> input = {1.0, 2.0, 3.0, 4.0, 10.0, 14.0};
  const std::vector<double> faces = resize_reference(up, input);
  CHECK(std::vector<double>(faces.begin(), faces.begin() + 4) == std::vector<double>{1.0, 1.25, 1.75, 2.0});
  CHECK(std::vector<double>(faces.begin() + 8, faces.end()) == std::vector<double>{20.0, 22.0, 26.0, 28.0});
  up.align_corners = true;
  const std::vector<double> centres = resize_reference(up, input);
  CHECK(centres[0] == 1.0);
  CHECK(centres[1] == Approx(4.0 / 3.0));
  CHECK(centres[3] == 2.0);
}

TEST_CASE("half the size: means of two, or every other voxel and a bit") {
  Resize down = {{1, 1, 1, 4}, {1, 1, 1, 2}, false};
  const std::vector<double> input = {1.0, 3.0, 5.0, 9.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0};
  CHECK(resize_reference(down, input)[0] == 2.0);
  CHECK(resize_reference(down, input)[1] == 7.0);
  down.align_corners = true;
  CHECK(resize_reference(down, input)[0] == 1.0);
  CHECK(resize_reference(down, input)[1] == 9.0);
}

TEST_CASE("the derivative of resizing is its transposed") {
  for (const bool align_corners : {true, false}) {
    for (const Resize& resize :
         {Resize{{2, 3, 4, 5}, {2, 6, 8, 10}, align_corners, {2.0F, 2.0F, 0.5F}},
          Resize{{1, 7, 5, 9}, {1, 2, 3, 4}, align_corners}, Resize{{1, 1, 2, 3}, {1, 4, 1, 7}, align_corners}}) {
      const std::vector<double> input = waves(3 * resize.from.all());
      const std::vector<double> weights = waves(5 * resize.to.all());
      const std::vector<double> to_output(weights.begin() + 1, weights.begin() + 1 + 3 * resize.to.all());
      const std::vector<double> output = resize_reference(resize, input);
      const std::vector<double> to_input = resize_gradient_reference(resize, to_output);
      double there = 0.0;
      double back = 0.0;
      for (std::size_t i = 0; i < output.size(); ++i) {
        there += output[i] * to_output[i];
      }
      for (std::size_t i = 0; i < input.size(); ++i) {
        back += input[i] * to_input[i];
      }
      CHECK(there == Approx(back).epsilon(1e-12));
    }
  }
}

}  // namespace regatta::kernels
