// Features [voxels, C] of the tests: some channels of many, so that a slow reference can follow at full size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "gpu/kernels/bf16_values.hpp"
#include "gpu/kernels/captured_work.hpp"
#include "gpu/kernels/device_array.hpp"
#include "regatta/kernels/device.hpp"

namespace regatta::kernels {

inline constexpr Bf16 kPoison = {0xffff};  ///< what DeviceArray fills memory with

/// @return [voxels, count]
inline std::vector<Bf16> some_channels(const std::vector<Bf16>& features, int channels, int first, int count) {
  const std::int64_t voxels = static_cast<std::int64_t>(features.size()) / channels;
  std::vector<Bf16> out(static_cast<std::size_t>(voxels * count));
  in_parallel(voxels, [&](std::int64_t voxel) {
    for (std::int64_t c = 0; c < count; ++c) {
      out[static_cast<std::size_t>(voxel * count + c)] =
          features[static_cast<std::size_t>(voxel * channels + first + c)];
    }
  });
  return out;
}

inline std::vector<double> to_doubles(const std::vector<Bf16>& values) {
  std::vector<double> out(values.size());
  in_parallel(static_cast<std::int64_t>(values.size()), [&](std::int64_t i) {
    out[static_cast<std::size_t>(i)] = to_float(values[static_cast<std::size_t>(i)]);
  });
  return out;
}

/// Queues `work` for a graph, poisons with `forget`, and runs the graph twice.
inline void replay(const std::function<void(Stream)>& work, const std::function<void()>& forget) {
  const CapturedWork in_graph(work);
  forget();
  wait_for_gpu();
  in_graph.run();
  in_graph.run();
  wait_for_gpu();
}

}  // namespace regatta::kernels
