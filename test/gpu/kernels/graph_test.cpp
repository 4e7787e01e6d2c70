// A step of warp, losses, guard and optimiser as one CUDA graph: replays give what single launches give, with numbers
// that are read from the device again.
#include <vector>

#include "gpu/kernels/captured_work.hpp"
#include "gpu/kernels/device_array.hpp"
#include "gpu/kernels/random_values.hpp"
#include "gpu/kernels/volumes.hpp"
#include "regatta/kernels/adam.hpp"
#include "regatta/kernels/gradient_guard.hpp"
#include "regatta/kernels/jacobian.hpp"
#include "regatta/kernels/label_overlap.hpp"
#include "regatta/kernels/ncc.hpp"
#include "regatta/kernels/pack.hpp"
#include "regatta/kernels/warp.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

/// The field itself is what the optimiser trains.
struct Step {
  VolumeSize size = small_sizes()[1];
  std::size_t count = static_cast<std::size_t>(size.all());
  Capability chip = capability(0);
  DeviceArray<std::uint8_t> fixed{head_image(size, 1)};
  DeviceArray<std::uint8_t> moving{head_image(size, 2)};
  DeviceArray<float> flow{smooth_flow(size, 3, 1.0)};
  DeviceArray<std::uint32_t> quads{quad_count(size)};
  DeviceArray<std::uint32_t> warped{count};
  DeviceArray<float> coefficients{ncc_coefficient_count(size)};
  DeviceArray<float> to_warped{count};
  DeviceArray<float> to_flow{3 * count};
  DeviceArray<float> losses{2};
  DeviceArray<float> moments{std::vector<float>(9 * count)};
  DeviceArray<AdamStep> now{1};
  DeviceArray<float> singles{std::vector<float>(3)};
  DeviceArray<double> doubles{std::vector<double>(2 + GuardState::kRemembered)};
  DeviceArray<unsigned char> field_scratch{diffusion_scratch_bytes(size)};
  DeviceArray<unsigned char> ncc_scratch{ncc_scratch_bytes(chip)};
  DeviceArray<unsigned char> guard_scratch{gradient_guard_scratch_bytes()};
  DeviceArray<std::int64_t> counts{static_cast<std::size_t>(kLabelRows) * kLabelValues};
  DeviceArray<double> jacobian{kJacobianSums};
  DeviceArray<unsigned char> jacobian_scratch{jacobian_scratch_bytes(size)};
  DeviceArray<Bf16> packed{4 * count};

  void queue(Stream stream) {
    pack_quads(moving.get(), size, quads.get(), stream);
    WarpForward forward = {{quads.get(), SourceType::kQuads}, flow.get(), size, nullptr, warped.get()};
    forward.penalty = Penalty::kSquared;
    forward.loss = losses.get();
    forward.scratch = field_scratch.get();
    warp_forward(forward, stream);
    const NccPair pair = {fixed.get(), FixedImage::kBytes, warped.get(), size, 9, -1.0};
    ncc_forward(pair, coefficients.get(), losses.get() + 1, ncc_scratch.get(), chip, stream);
    ncc_backward(pair, coefficients.get(), nullptr, to_warped.get(), chip, stream);
    WarpBackward backward = {forward.source, flow.get(), size, to_warped.get(), {to_flow.get(), nullptr}};
    backward.penalty = Penalty::kSquared;
    warp_backward(backward, stream);
    const auto n = static_cast<std::int64_t>(3 * count);
    gradient_guard(
        {to_flow.get(), n, losses.get() + 1, now.get(), 5.0},
        {singles.get(), singles.get() + 1, doubles.get(), doubles.get() + 1, doubles.get() + 2, singles.get() + 2},
        guard_scratch.get(), chip, stream);
    float* m = moments.get();
    adam({flow.get(), to_flow.get(), m, m + n, m + 2 * n, nullptr, n}, {}, now.get(), singles.get() + 2, chip, stream);
    label_counts(fixed.get(), moving.get(), flow.get(), size, LabelWarp::kLargestWeight, counts.get(), stream);
    jacobian_sums(flow.get(), fixed.get(), size, {}, jacobian.get(), jacobian_scratch.get(), stream);
    pack_field(flow.get(), size, packed.get(), stream);
  }

  void set_now(double update) { now.set({{0.1 / update, update}}); }
};

}  // namespace

TEST_CASE("a captured step replays bit by bit what single launches do") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  Step single;
  Step captured;
  const CapturedWork in_graph([&](Stream stream) { captured.queue(stream); });
  std::vector<float> losses;
  for (double update = 1.0; update < 6.0; update += 1.0) {
    single.set_now(update);
    captured.set_now(update);
    single.queue(nullptr);
    wait_for_gpu();
    in_graph.run();
    wait_for_gpu();
    CHECK(same_bits(single.flow.values(), captured.flow.values()));
    CHECK(same_bits(single.losses.values(), captured.losses.values()));
    CHECK(single.counts.values() == captured.counts.values());
    CHECK(same_bits(single.jacobian.values(), captured.jacobian.values()));
    CHECK(same_bits(single.packed.values(), captured.packed.values()));
    losses.push_back(captured.losses.values()[1]);
  }
  CHECK(losses.back() < losses.front());  // it registers
}

}  // namespace regatta::kernels
