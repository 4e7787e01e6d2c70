#include <string>

#include "gpu/kernels/bench.hpp"
#include "gpu/kernels/bench_scene.hpp"

namespace regatta::kernels {

void bench_ncc(Bench& bench) {
  constexpr const char* kSize = "160x192x224";
  BenchScene scene;
  const double v = scene.voxels;
  DeviceArray<float> coefficients(ncc_coefficient_count(scene.size));
  DeviceArray<unsigned char> scratch(ncc_scratch_bytes(bench.chip()));
  DeviceArray<std::uint32_t> points(scene.count);
  pack_quads(scene.moving.get(), scene.size, scene.quads.get(), nullptr);
  warp_forward(scene.forward(SourceType::kBytes, Penalty::kNone), nullptr);
  std::vector<std::uint32_t> fixed;
  for (const std::uint8_t byte : scene.fixed.values()) {
    fixed.push_back(byte * 8192U);
  }
  points.set(fixed);
  const auto pair = [&](FixedImage type, int window) {
    const void* data = type == FixedImage::kBytes ? static_cast<const void*>(scene.fixed.get()) : points.get();
    return NccPair{data, type, scene.warped.get(), scene.size, window, -1.0};
  };
  const auto forward = [&](const NccPair& of, Stream stream) {
    ncc_forward(of, coefficients.get(), scene.loss.get() + 1, scratch.get(), bench.chip(), stream);
  };
  const auto backward = [&](const NccPair& of, Stream stream) {
    ncc_backward(of, coefficients.get(), nullptr, scene.to_warped.get(), bench.chip(), stream);
  };
  for (const FixedImage type : {FixedImage::kBytes, FixedImage::kFixedPoint}) {
    const bool bytes = type == FixedImage::kBytes;
    for (const int window : {9, 3, 5, 7, 11}) {
      const NccPair of = pair(type, window);
      const std::string form = std::to_string(window) + (bytes ? ", bytes" : ", fixed point");
      const double images = bytes ? 5.0 : 8.0;
      bench.time({"ncc_forward", kSize, form, (images + 12.0) * v}, [&](Stream stream) { forward(of, stream); });
      bench.time({"ncc_backward", kSize, form, (images + 16.0) * v}, [&](Stream stream) { backward(of, stream); });
    }
  }
  const DeviceArray<std::uint8_t> mask(head_labels(scene.size, 0.0, 2));
  NccPair masked = pair(FixedImage::kFixedPoint, 9);
  masked.mask = mask.get();
  bench.time({"ncc_forward", kSize, "9, fixed point, masked", 21.0 * v},
             [&](Stream stream) { forward(masked, stream); });
  bench.time({"ncc_backward", kSize, "9, fixed point, masked", 24.0 * v},
             [&](Stream stream) { backward(masked, stream); });
  const NccPair of = pair(FixedImage::kBytes, 9);
  bench.time({"ncc_forward", kSize, "9, bytes, loss only", 5.0 * v}, [&](Stream stream) {
    ncc_forward(of, nullptr, scene.loss.get() + 1, scratch.get(), bench.chip(), stream);
  });
  for (const SourceType type : {SourceType::kBytes, SourceType::kQuads}) {
    const double source = type == SourceType::kBytes ? 1.0 : 4.0;
    const std::string form = type == SourceType::kBytes ? "bytes" : "quads";
    bench.time(
        {"chain", kSize, "warp + l2, ncc 9 and back, " + form, (16.0 + source + 17.0 + 21.0 + 24.0 + source) * v},
        [&](Stream stream) {
          warp_forward(scene.forward(type, Penalty::kSquared), stream);
          forward(of, stream);
          backward(of, stream);
          warp_backward(scene.backward(type, Penalty::kSquared, {nullptr, scene.packed.get()}), stream);
        });
  }
}

}  // namespace regatta::kernels
