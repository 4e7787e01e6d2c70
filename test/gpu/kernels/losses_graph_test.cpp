// Losses of labels, fields and masked images inside a CUDA graph: fields and upstream derivatives are read again.
#include <vector>

#include "gpu/kernels/captured_work.hpp"
#include "gpu/kernels/device_array.hpp"
#include "gpu/kernels/volumes.hpp"
#include "regatta/kernels/field_penalty.hpp"
#include "regatta/kernels/ncc.hpp"
#include "regatta/kernels/soft_dice.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

struct Losses {
  VolumeSize size = small_sizes()[2];
  std::size_t count = static_cast<std::size_t>(size.all());
  Capability chip = capability(0);
  DeviceArray<std::uint8_t> fixed{head_labels(size, 0.0, 36)};
  DeviceArray<std::uint8_t> moving{head_labels(size, 0.1, 36)};
  DeviceArray<std::uint8_t> image{head_image(size, 1)};
  DeviceArray<std::uint32_t> warped{std::vector<std::uint32_t>(count, 8192)};
  DeviceArray<float> flow{3 * count};
  DeviceArray<float> upstream{1};
  DeviceArray<float> slopes{soft_dice_slope_count(size)};
  DeviceArray<unsigned char> dice_scratch{soft_dice_scratch_bytes(size)};
  DeviceArray<unsigned char> bending_scratch{field_penalty_scratch_bytes(FieldPenalty::kBending, size)};
  DeviceArray<unsigned char> ncc_scratch{ncc_scratch_bytes(chip)};
  DeviceArray<float> coefficients{ncc_coefficient_count(size)};
  DeviceArray<float> losses{4};
  DeviceArray<float> gradients{10 * count};

  void queue(Stream stream) {
    const SoftDice dice = {fixed.get(), moving.get(), flow.get(), size, 36};
    float* to = gradients.get();
    soft_dice_forward(dice, slopes.get(), losses.get(), dice_scratch.get(), stream);
    soft_dice_backward(dice, slopes.get(), upstream.get(), to, stream);
    for (const FieldPenalty penalty : {FieldPenalty::kFolding, FieldPenalty::kBending}) {
      const bool folds = penalty == FieldPenalty::kFolding;
      field_penalty_forward(penalty, flow.get(), size, losses.get() + (folds ? 1 : 2), bending_scratch.get(), stream);
      field_penalty_backward(penalty, flow.get(), size, upstream.get(), to + (folds ? 3 : 6) * count, stream);
    }
    NccPair pair = {image.get(), FixedImage::kBytes, warped.get(), size, 5};
    pair.mask = fixed.get();
    ncc_forward(pair, coefficients.get(), losses.get() + 3, ncc_scratch.get(), chip, stream);
    ncc_backward(pair, coefficients.get(), upstream.get(), to + 9 * count, chip, stream);
  }

  void set(std::uint64_t seed) {
    flow.set(smooth_flow(size, seed, 6.0));
    upstream.set({static_cast<float>(seed)});
  }
};

}  // namespace

TEST_CASE("captured losses of labels, fields and masks replay bit by bit with what is on the device") {
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
    CHECK(first != captured.losses.values());
    first = captured.losses.values();
  }
}

}  // namespace regatta::kernels
