// 95th percentile of the Hausdorff distance per label, in voxels, of the fixed labels and the moving ones warped by
// nearest neighbour; the mean over the labels. A label that is absent from the fixed or the unwarped moving volume is
// NaN and left out of the mean; one that was warped away is infinite. Always unit spacing. Source: Learn2Reg's
// evaluation, which uses DeepMind's surface-distance.
//
// The labels are warped on the device and come to the CPU once, as bytes. The distance transforms are plain C++ there,
// each label within the box of its two masks, labels on the CPU threads side by side: exact in integers, the same in
// every run.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <future>
#include <limits>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include "nn/ops/label_overlap.hpp"
#include "nn/ops/surface_distance.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/text.hpp"
#include "regatta/nn/grid_warp.hpp"
#include "regatta/nn/metric.hpp"

namespace regatta::metrics {
namespace {

constexpr double kShare = 0.95;
constexpr double kAbsent = std::numeric_limits<double>::quiet_NaN();

GridSize size_of(const at::Tensor& labels) {
  return {labels.size(2), labels.size(3), labels.size(4)};
}

/// Calls body(i) for each i below count, in any order, on as many threads as LibTorch's operators use on the CPU.
template <class Body>
void on_cpu_threads(std::int64_t count, const Body& body) {
  std::atomic<std::int64_t> next = 0;
  const auto work = [&] {
    for (std::int64_t i = next++; i < count; i = next++) {
      body(i);
    }
  };
  std::vector<std::future<void>> team;
  for (std::int64_t thread = 1; thread < std::min<std::int64_t>(at::get_num_threads(), count); ++thread) {
    team.push_back(std::async(std::launch::async, work));
  }
  work();
  for (std::future<void>& one : team) {
    one.get();
  }
}

/// @param fixed, moved, moving  on the CPU, contiguous, of type Label
template <class Label>
Measured distances(const PairState& pair, const at::Tensor& fixed, const at::Tensor& moved, const at::Tensor& moving) {
  const GridSize size = size_of(fixed);
  const std::int64_t limit = label_limit(pair);
  const auto* a = fixed.const_data_ptr<Label>();
  const auto* b = moved.const_data_ptr<Label>();
  std::vector<VoxelBox> in_fixed;
  std::vector<VoxelBox> in_moved;
  std::vector<VoxelBox> in_moving;
  on_cpu_threads(3, [&](std::int64_t map) {
    switch (map) {
      case 0: in_fixed = boxes_of_labels(a, size, limit); break;
      case 1: in_moved = boxes_of_labels(b, size, limit); break;
      default: in_moving = boxes_of_labels(moving.const_data_ptr<Label>(), size_of(moving), limit);
    }
  });
  const auto has = [limit](const std::vector<VoxelBox>& boxes, std::int64_t label) {
    return label < limit && !boxes[static_cast<std::size_t>(label)].empty();
  };
  const auto occurs = [&](std::int64_t label) { return has(in_fixed, label) || has(in_moving, label); };
  const std::vector<std::int64_t> labels = measured_labels(pair, occurs);
  std::vector<double> of_labels(
      labels.size(), pair.reading.absent == AbsentLabel::kWorst ? std::numeric_limits<double>::infinity() : kAbsent);
  on_cpu_threads(std::ssize(labels), [&](std::int64_t k) {
    const std::int64_t label = labels[static_cast<std::size_t>(k)];
    if (has(in_fixed, label) && has(in_moving, label)) {
      const auto i = static_cast<std::size_t>(label);
      of_labels[static_cast<std::size_t>(k)] =
          robust_hausdorff(a, b, size, label, join(in_fixed[i], in_moved[i]), kShare);
    }
  });
  Measured out = {{"hd95", kAbsent}};
  double sum = 0.0;
  int present = 0;
  for (std::size_t k = 0; k < labels.size(); ++k) {
    if (!std::isnan(of_labels[k])) {
      sum += of_labels[k];
      ++present;
    }
    out.emplace_back(label_name("hd95", pair, labels[k]), of_labels[k]);
  }
  if (present > 0) {
    out.front().second = sum / present;
  }
  return out;
}

class Hd95 final : public Metric {
 public:
  Measured measure(const PairState& pair) const override {
    if (!has_labels("hd95", pair)) {
      return {{"hd95", kAbsent}};
    }
    REGATTA_REQUIRE(pair.fixed_labels.size(0) == 1, BugError, "hd95: ", pair.fixed_labels.size(0),
                    " pairs, 1 expected");
    const at::NoGradGuard no_grad;
    const at::Tensor moved = warp_labels(pair.moving_labels, pair.to_moving(), pair.reading.edge).cpu().contiguous();
    const at::Tensor fixed = pair.fixed_labels.cpu().contiguous();
    const at::Tensor moving = pair.moving_labels.cpu().contiguous();
    return fixed.scalar_type() == at::kByte ? distances<std::uint8_t>(pair, fixed, moved, moving)
                                            : distances<std::int16_t>(pair, fixed, moved, moving);
  }
};

}  // namespace

std::unique_ptr<Metric> make_hd95() {
  return std::make_unique<Hd95>();
}

}  // namespace regatta::metrics
