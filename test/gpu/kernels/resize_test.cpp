#include "regatta/kernels/resize.hpp"

#include <vector>

#include "gpu/kernels/device_array.hpp"
#include "gpu/kernels/errors.hpp"
#include "gpu/kernels/random_values.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

void check_resize(const Resize& resize) {
  INFO(resize.from.n << "x" << resize.from.d << "x" << resize.from.h << "x" << resize.from.w << " to " << resize.to.d
                     << "x" << resize.to.h << "x" << resize.to.w << ", align " << resize.align_corners);
  const std::vector<float> input = normal_values(static_cast<std::size_t>(3 * resize.from.all()), 1);
  const std::vector<float> gradient = normal_values(static_cast<std::size_t>(3 * resize.to.all()), 2);
  const DeviceArray<float> device_input(input);
  const DeviceArray<float> device_gradient(gradient);
  DeviceArray<float> output(gradient.size());
  DeviceArray<float> to_input(input.size());
  resize_forward(resize, device_input.get(), output.get(), nullptr);
  resize_backward(resize, device_gradient.get(), to_input.get(), nullptr);
  wait_for_gpu();
  CHECK(relative_error(output.values(), resize_reference(resize, {input.begin(), input.end()})) < 1e-6);
  CHECK(relative_error(to_input.values(), resize_gradient_reference(resize, {gradient.begin(), gradient.end()})) <
        1e-6);
  CHECK(output.margins_hold());
  CHECK(to_input.margins_hold());
}

}  // namespace

TEST_CASE("resized fields and their derivative agree with float64 for any two grids") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const bool align_corners : {false, true}) {
    check_resize({{2, 7, 9, 11}, {2, 14, 18, 22}, align_corners, {2.0F, 2.0F, 2.0F}});
    check_resize({{1, 37, 45, 70}, {1, 18, 22, 35}, align_corners, {0.5F, 0.5F, 0.5F}});
    check_resize({{1, 13, 17, 19}, {1, 37, 45, 70}, align_corners, {1.0F, 0.3F, 2.0F}});
    check_resize({{1, 37, 45, 70}, {1, 5, 4, 3}, align_corners});
    check_resize({{1, 1, 2, 40}, {1, 9, 1, 13}, align_corners});
    check_resize({{1, 6, 5, 4}, {1, 6, 5, 4}, align_corners});
    check_resize({{1, 80, 96, 112}, {1, 160, 192, 224}, align_corners, {2.0F, 2.0F, 2.0F}});
  }
}

}  // namespace regatta::kernels
