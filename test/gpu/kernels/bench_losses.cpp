#include <string>

#include "gpu/kernels/bench.hpp"
#include "gpu/kernels/random_values.hpp"
#include "gpu/kernels/volumes.hpp"
#include "regatta/kernels/field_penalty.hpp"
#include "regatta/kernels/keypoint.hpp"
#include "regatta/kernels/soft_dice.hpp"

namespace regatta::kernels {
namespace {

constexpr const char* kSize = "160x192x224";
const auto kVoxels = static_cast<double>(kFullSize.all());

void bench_dice(Bench& bench, const DeviceArray<float>& flow, DeviceArray<float>& to_flow) {
  DeviceArray<float> slopes(soft_dice_slope_count(kFullSize));
  DeviceArray<float> loss(1);
  DeviceArray<unsigned char> scratch(soft_dice_scratch_bytes(kFullSize));
  for (const int labels : {36, 4}) {
    const DeviceArray<std::uint8_t> fixed(head_labels(kFullSize, 0.0, labels));
    const DeviceArray<std::uint8_t> moving(head_labels(kFullSize, 0.1, labels));
    for (const DiceSize form : {DiceSize::kSquares, DiceSize::kSums}) {
      SoftDice work = {fixed.get(), moving.get(), flow.get(), kFullSize, labels};
      work.form = form;
      const std::string name =
          std::to_string(labels) + (form == DiceSize::kSquares ? " labels, squares" : " labels, sums");
      const auto forward = [&](Stream stream) {
        soft_dice_forward(work, slopes.get(), loss.get(), scratch.get(), stream);
      };
      const auto backward = [&](Stream stream) {
        soft_dice_backward(work, slopes.get(), nullptr, to_flow.get(), stream);
      };
      bench.time({"soft_dice_forward", kSize, name, 14.0 * kVoxels}, forward);
      bench.time({"soft_dice_backward", kSize, name, 26.0 * kVoxels}, backward);
    }
  }
}

void bench_penalties(Bench& bench, const char* field, const DeviceArray<float>& flow, DeviceArray<float>& to_flow) {
  DeviceArray<float> loss(1);
  for (const FieldPenalty penalty : {FieldPenalty::kFolding, FieldPenalty::kBending}) {
    const std::string name = penalty == FieldPenalty::kFolding ? "folding" : "bending";
    DeviceArray<unsigned char> scratch(field_penalty_scratch_bytes(penalty, kFullSize));
    bench.time({name + "_forward", kSize, field, 12.0 * kVoxels}, [&](Stream stream) {
      field_penalty_forward(penalty, flow.get(), kFullSize, loss.get(), scratch.get(), stream);
    });
    bench.time({name + "_backward", kSize, field, 24.0 * kVoxels}, [&](Stream stream) {
      field_penalty_backward(penalty, flow.get(), kFullSize, nullptr, to_flow.get(), stream);
    });
  }
}

void bench_keypoints(Bench& bench, const DeviceArray<float>& flow, DeviceArray<float>& to_flow, int points) {
  const auto numbers = static_cast<std::size_t>(3 * points);
  const DeviceArray<float> fixed(uniform_values(numbers, 5, 0.0F, 150.0F));
  const DeviceArray<float> moving(uniform_values(numbers, 6, 0.0F, 150.0F));
  DeviceArray<float> slopes(numbers);
  DeviceArray<float> loss(1);
  DeviceArray<unsigned char> scratch(keypoint_scratch_bytes(points));
  const KeypointWork work = {flow.get(), kFullSize, fixed.get(), moving.get(), points};
  const std::string name = std::to_string(points) + " points";
  bench.time({"keypoint_forward", kSize, name, 120.0 * points},
             [&](Stream stream) { keypoint_forward(work, slopes.get(), loss.get(), scratch.get(), stream); });
  bench.time({"keypoint_backward", kSize, name, 12.0 * kVoxels},
             [&](Stream stream) { keypoint_backward(work, slopes.get(), nullptr, to_flow.get(), stream); });
}

}  // namespace

void bench_losses(Bench& bench) {
  const DeviceArray<float> flow(smooth_flow(kFullSize, 3, 5.0));
  DeviceArray<float> to_flow(flow.size());
  bench_keypoints(bench, flow, to_flow, 2000);
  bench_keypoints(bench, flow, to_flow, kMostKeypoints);
  bench_dice(bench, flow, to_flow);
  bench_penalties(bench, "smooth", flow, to_flow);
  const DeviceArray<float> rough(normal_values(flow.size(), 4, 1.0F));
  bench_penalties(bench, "folded in half of the voxels", rough, to_flow);
}

}  // namespace regatta::kernels
