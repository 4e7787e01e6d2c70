// What the benchmarks of images and fields run on.
#pragma once

#include <vector>

#include "gpu/kernels/device_array.hpp"
#include "gpu/kernels/volumes.hpp"
#include "regatta/kernels/bf16.hpp"
#include "regatta/kernels/ncc.hpp"
#include "regatta/kernels/warp.hpp"

namespace regatta::kernels {

struct BenchScene {
  VolumeSize size = kFullSize;
  std::size_t count = static_cast<std::size_t>(kFullSize.all());
  double voxels = static_cast<double>(kFullSize.all());
  DeviceArray<std::uint8_t> fixed{head_image(kFullSize, 1)};
  DeviceArray<std::uint8_t> moving{head_image(kFullSize, 2)};
  DeviceArray<float> flow{smooth_flow(kFullSize, 3, 5.0)};
  DeviceArray<std::uint32_t> quads{quad_count(kFullSize)};
  DeviceArray<std::uint32_t> warped{static_cast<std::size_t>(kFullSize.all())};
  DeviceArray<float> to_warped{static_cast<std::size_t>(kFullSize.all())};
  DeviceArray<float> planar{3 * static_cast<std::size_t>(kFullSize.all())};
  DeviceArray<Bf16> packed{4 * static_cast<std::size_t>(kFullSize.all())};
  DeviceArray<float> loss{2};
  DeviceArray<unsigned char> scratch{diffusion_scratch_bytes(kFullSize)};

  WarpForward forward(SourceType type, Penalty penalty) {
    const void* data = type == SourceType::kBytes ? static_cast<const void*>(moving.get()) : quads.get();
    WarpForward work = {{data, type, Outside::kZero}, flow.get(), size, nullptr, warped.get(), penalty};
    work.loss = loss.get();
    work.scratch = scratch.get();
    return work;
  }

  WarpBackward backward(SourceType type, Penalty penalty, const FieldGradient& to) {
    const void* data = type == SourceType::kBytes ? static_cast<const void*>(moving.get()) : quads.get();
    return {{data, type, Outside::kZero}, flow.get(), size, to_warped.get(), to, penalty};
  }
};

}  // namespace regatta::kernels
