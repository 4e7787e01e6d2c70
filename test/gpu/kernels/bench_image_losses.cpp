#include <string>

#include "gpu/kernels/bench.hpp"
#include "gpu/kernels/random_values.hpp"
#include "gpu/kernels/volumes.hpp"
#include "regatta/kernels/image_difference.hpp"
#include "regatta/kernels/mind.hpp"
#include "regatta/kernels/mutual_information.hpp"
#include "regatta/kernels/ssim.hpp"

namespace regatta::kernels {
namespace {

constexpr const char* kSize = "160x192x224";
const auto kVoxels = static_cast<double>(kFullSize.all());

/// A pair of heads, and where its losses go.
struct Scene {
  DeviceArray<float> fixed{intensities(1)};
  DeviceArray<float> warped{intensities(2)};
  DeviceArray<std::uint8_t> mask{head_labels(kFullSize, 0.0, 2)};
  DeviceArray<float> loss{1};
  DeviceArray<float> to_warped{static_cast<std::size_t>(kFullSize.all())};

  static std::vector<float> intensities(std::uint64_t seed) {
    const std::vector<double> values = as_intensities(head_image(kFullSize, seed));
    return {values.begin(), values.end()};
  }
};

void bench_difference(Bench& bench, Scene& scene) {
  DeviceArray<float> share(1);
  DeviceArray<unsigned char> scratch(image_difference_scratch_bytes(kFullSize));
  for (const Penalty penalty : {Penalty::kSquared, Penalty::kAbsolute}) {
    for (const bool masked : {false, true}) {
      ImageDifference work = {scene.fixed.get(), scene.warped.get(), kFullSize, penalty};
      work.mask = masked ? scene.mask.get() : nullptr;
      const std::string name =
          std::string(penalty == Penalty::kSquared ? "squared" : "absolute") + (masked ? ", masked" : "");
      const double mask = masked ? 1.0 : 0.0;
      bench.time({"image_difference_forward", kSize, name, (8.0 + mask) * kVoxels}, [&](Stream stream) {
        image_difference_forward(work, share.get(), scene.loss.get(), scratch.get(), stream);
      });
      bench.time({"image_difference_backward", kSize, name, (12.0 + mask) * kVoxels}, [&](Stream stream) {
        image_difference_backward(work, share.get(), nullptr, nullptr, scene.to_warped.get(), stream);
      });
    }
  }
}

void bench_information(Bench& bench, Scene& scene) {
  DeviceArray<float> slopes(mutual_information_slope_count(kFullSize));
  DeviceArray<unsigned char> scratch(mutual_information_scratch_bytes(kFullSize));
  const ParzenPair pair = {scene.fixed.get(), scene.warped.get(), kFullSize};
  bench.time({"mutual_information_forward", kSize, "32 bins", 8.0 * kVoxels}, [&](Stream stream) {
    mutual_information_forward(pair, slopes.get(), scene.loss.get(), scratch.get(), stream);
  });
  bench.time({"mutual_information_backward", kSize, "32 bins", 12.0 * kVoxels}, [&](Stream stream) {
    mutual_information_backward(pair, ParzenImage::kWarped, slopes.get(), nullptr, scene.to_warped.get(), stream);
  });
  DeviceArray<unsigned char> of_cubes(local_mutual_information_scratch_bytes(kFullSize, 5));
  bench.time({"local_mutual_information", kSize, "32 bins, cubes of 5, with derivative", 12.0 * kVoxels},
             [&](Stream stream) {
               local_mutual_information(pair, 5, scene.to_warped.get(), scene.loss.get(), of_cubes.get(), stream);
             });
  bench.time({"local_mutual_information", kSize, "32 bins, cubes of 5, loss only", 8.0 * kVoxels}, [&](Stream stream) {
    local_mutual_information(pair, 5, nullptr, scene.loss.get(), of_cubes.get(), stream);
  });
}

void bench_ssim(Bench& bench, Scene& scene) {
  DeviceArray<float> coefficients(ssim_coefficient_count(kFullSize));
  DeviceArray<unsigned char> scratch(ssim_scratch_bytes(kFullSize));
  const SsimPair pair = {scene.fixed.get(), scene.warped.get(), kFullSize};
  bench.time({"ssim_forward", kSize, "", 20.0 * kVoxels},
             [&](Stream stream) { ssim_forward(pair, coefficients.get(), scene.loss.get(), scratch.get(), stream); });
  bench.time({"ssim_backward", kSize, "", 24.0 * kVoxels},
             [&](Stream stream) { ssim_backward(pair, coefficients.get(), nullptr, scene.to_warped.get(), stream); });
}

void bench_mind(Bench& bench, Scene& scene) {
  DeviceArray<unsigned char> scratch(mind_scratch_bytes(kFullSize));
  const MindPair pair = {scene.fixed.get(), scene.warped.get(), kFullSize};
  bench.time({"mind", kSize, "with derivative", 12.0 * kVoxels},
             [&](Stream stream) { mind(pair, scene.to_warped.get(), scene.loss.get(), scratch.get(), stream); });
  bench.time({"mind", kSize, "loss only", 8.0 * kVoxels},
             [&](Stream stream) { mind(pair, nullptr, scene.loss.get(), scratch.get(), stream); });
}

}  // namespace

void bench_image_losses(Bench& bench) {
  Scene scene;
  bench_difference(bench, scene);
  bench_information(bench, scene);
  bench_ssim(bench, scene);
  bench_mind(bench, scene);
}

}  // namespace regatta::kernels
