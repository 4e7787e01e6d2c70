// Losses of images and points inside a CUDA graph: images, fields and upstream derivatives are read again.
#include <vector>

#include "gpu/kernels/captured_work.hpp"
#include "gpu/kernels/device_array.hpp"
#include "gpu/kernels/random_values.hpp"
#include "gpu/kernels/volumes.hpp"
#include "regatta/kernels/diffusion.hpp"
#include "regatta/kernels/image_difference.hpp"
#include "regatta/kernels/keypoint.hpp"
#include "regatta/kernels/mind.hpp"
#include "regatta/kernels/mutual_information.hpp"
#include "regatta/kernels/ssim.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

constexpr int kPoints = 90;
constexpr int kLosses = 7;

struct Losses {
  VolumeSize size = small_sizes()[0];
  std::size_t count = static_cast<std::size_t>(size.all());
  DeviceArray<float> fixed{uniform_values(count, 1, 0.0F, 1.0F)};
  DeviceArray<float> warped{count};
  DeviceArray<float> flow{3 * count};
  DeviceArray<float> upstream{1};
  DeviceArray<float> points{uniform_values(3 * kPoints, 2, 0.0F, 14.0F)};
  DeviceArray<float> other_points{uniform_values(3 * kPoints, 3, 0.0F, 14.0F)};
  DeviceArray<double> real_points{1};
  DeviceArray<float> share{1};
  DeviceArray<float> slopes{mutual_information_slope_count(size)};
  DeviceArray<float> coefficients{ssim_coefficient_count(size)};
  DeviceArray<float> point_slopes{3 * kPoints};
  DeviceArray<unsigned char> scratch{mind_scratch_bytes(size) + mutual_information_scratch_bytes(size)};
  DeviceArray<float> losses{kLosses};
  DeviceArray<float> gradients{11 * count};

  void queue(Stream stream) {
    float* loss = losses.get();
    float* to = gradients.get();
    const ImageDifference difference = {fixed.get(), warped.get(), size};
    image_difference_forward(difference, share.get(), loss, scratch.get(), stream);
    image_difference_backward(difference, share.get(), upstream.get(), nullptr, to, stream);
    const ParzenPair pair = {fixed.get(), warped.get(), size};
    mutual_information_forward(pair, slopes.get(), loss + 1, scratch.get(), stream);
    mutual_information_backward(pair, ParzenImage::kWarped, slopes.get(), upstream.get(), to + count, stream);
    local_mutual_information(pair, 5, to + 2 * count, loss + 2, scratch.get(), stream);
    const SsimPair similar = {fixed.get(), warped.get(), size};
    ssim_forward(similar, coefficients.get(), loss + 3, scratch.get(), stream);
    ssim_backward(similar, coefficients.get(), upstream.get(), to + 3 * count, stream);
    mind({fixed.get(), warped.get(), size}, to + 4 * count, loss + 4, scratch.get(), stream);
    KeypointWork keypoints = {flow.get(), size, points.get(), other_points.get(), kPoints};
    keypoints.count = real_points.get();
    keypoint_forward(keypoints, point_slopes.get(), loss + 5, scratch.get(), stream);
    keypoint_backward(keypoints, point_slopes.get(), upstream.get(), to + 5 * count, stream);
    diffusion_forward(flow.get(), size, Penalty::kSquared, 1.0, loss + 6, scratch.get(), stream, DiffusionUnits::kLku);
    diffusion_backward(flow.get(), size, Penalty::kSquared, 1.0, upstream.get(), {to + 8 * count, nullptr}, stream,
                       DiffusionUnits::kLku);
  }

  void set(std::uint64_t seed) {
    warped.set(uniform_values(count, 10 + seed, 0.0F, 1.0F));
    flow.set(smooth_flow(size, seed, 6.0));
    upstream.set({static_cast<float>(seed)});
    real_points.set({static_cast<double>(20 * seed)});
  }
};

}  // namespace

TEST_CASE("captured losses of images and points replay bit by bit with what is on the device") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  Losses single;
  Losses captured;
  const CapturedWork in_graph([&](Stream stream) { captured.queue(stream); });
  std::vector<float> first;
  for (const std::uint64_t seed : {1, 2, 3}) {
    single.set(seed);
    captured.set(seed);
    single.queue(nullptr);
    wait_for_gpu();
    in_graph.run();
    wait_for_gpu();
    CHECK(same_bits(single.losses.values(), captured.losses.values()));
    CHECK(same_bits(single.gradients.values(), captured.gradients.values()));
    const std::vector<float> losses = captured.losses.values();
    for (std::size_t i = 0; i < first.size(); ++i) {
      CHECK(first[i] != losses[i]);
    }
    first = losses;
  }
}

}  // namespace regatta::kernels
