// What callers see of the transposed convolutions: checks and calls.
#include "regatta/kernels/up_conv.hpp"

#include <algorithm>

#include "kernels/conv/launch.hpp"
#include "kernels/up_conv/form.hpp"
#include "regatta/base/error.hpp"

namespace regatta::kernels {
namespace {

void require_form(const UpConvShape& shape, const Capability& chip) {
  REGATTA_REQUIRE(has_form(shape, chip), BugError, "transposed convolution of ", shape.channels,
                  " channels: no kernel");
}

void require(bool given, const char* what) {
  REGATTA_REQUIRE(given, BugError, "transposed convolution: no ", what);
}

template <class Call>
Call sized(const VolumeSize& size) {
  Call call;
  call.voxels = static_cast<std::uint32_t>(size.all());
  call.H = static_cast<std::uint32_t>(size.h);
  call.W = static_cast<std::uint32_t>(size.w);
  return call;
}

int gradient_blocks(const Capability& chip) {
  return chip.multiprocessors * up_conv::kGradientBlocks;
}

/// Each with a few stages at least: the sums of a block are stored and read again.
int weight_blocks(const UpConvShape& shape, const Capability& chip) {
  constexpr std::int64_t kFewestVoxels = 6 * up_conv::kStageVoxels;
  const auto most = static_cast<std::int64_t>(chip.multiprocessors) * up_conv::weight_blocks(shape.channels);
  return static_cast<int>(std::clamp<std::int64_t>(shape.size.all() / kFewestVoxels, 1, most));
}

}  // namespace

bool has_form(const UpConvShape& shape, const Capability& chip) {
  const VolumeSize& size = shape.size;
  constexpr std::int64_t kMost = std::int64_t{1} << 31;
  const bool sound = size.n > 0 && size.d > 0 && size.h > 0 && size.w > 0 && size.all() < kMost;
  return chip.usable() && sound && (shape.channels == 16 || shape.channels == 32);
}

std::size_t packed_bytes(const UpConvShape& shape) {
  return std::size_t{32} * shape.channels * shape.channels;
}

void pack_up_conv(std::span<const UpConvPackJob> jobs, const Capability& chip, Stream stream) {
  while (!jobs.empty()) {
    const std::size_t count = std::min<std::size_t>(jobs.size(), up_conv::kPackJobs);
    up_conv::PackBatch batch;
    for (std::size_t i = 0; i < count; ++i) {
      require_form(jobs[i].shape, chip);
      require(jobs[i].weights != nullptr && jobs[i].packed != nullptr, "weights to pack");
      batch.weights[i] = jobs[i].weights;
      batch.packed[i] = static_cast<std::uint32_t*>(jobs[i].packed);
      batch.channels[i] = jobs[i].shape.channels;
    }
    up_conv::launch_pack(batch, static_cast<int>(count), stream);
    jobs = jobs.subspan(count);
  }
}

void up_conv_forward(const UpConvShape& shape, const UpConvForward& arrays, const Capability& chip, Stream stream) {
  require_form(shape, chip);
  require(arrays.in != nullptr && arrays.packed != nullptr && arrays.out != nullptr, "input, packed weights or output");
  REGATTA_REQUIRE(shape.prelu ? arrays.prelu != nullptr : arrays.prelu == nullptr && arrays.before_prelu == nullptr,
                  BugError, "transposed convolution: a slope in memory goes with a PReLU");
  auto call = sized<up_conv::Call>(shape.size);
  call.source = arrays.in;
  call.weights = arrays.packed;
  call.bias = arrays.bias;
  call.slope = arrays.slope;
  call.slope_at = arrays.prelu;
  call.raw = arrays.before_prelu;
  call.out = arrays.out;
  up_conv::launch_forward(shape.channels, call, gradient_blocks(chip), stream);
}

std::size_t slope_scratch_bytes(const UpConvShape& shape, const Capability& chip) {
  return shape.input_prelu ? sizeof(float) * gradient_blocks(chip) : 0;
}

void up_conv_input_gradient(const UpConvShape& shape, const UpConvInputGradient& arrays, const Capability& chip,
                            Stream stream) {
  require_form(shape, chip);
  require(arrays.output_gradient != nullptr && arrays.packed != nullptr && arrays.input_gradient != nullptr,
          "output gradient, packed weights or input gradient");
  const bool complete = arrays.before_prelu != nullptr && arrays.prelu != nullptr && arrays.slope_gradient != nullptr &&
                        arrays.scratch != nullptr;
  const bool some = arrays.before_prelu != nullptr || arrays.prelu != nullptr || arrays.slope_gradient != nullptr;
  REGATTA_REQUIRE(shape.input_prelu ? complete && arrays.activation == nullptr : !some, BugError,
                  "input gradient: a PReLU's arrays, all of them, go with an input that one made");
  auto call = sized<up_conv::Call>(shape.size);
  call.source = arrays.output_gradient;
  call.weights = static_cast<const std::uint32_t*>(arrays.packed) + 4 * shape.channels * shape.channels;
  call.sign = shape.input_prelu ? arrays.before_prelu : arrays.activation;
  call.slope = arrays.slope;
  call.slope_at = arrays.prelu;
  call.slope_partial = shape.input_prelu ? static_cast<float*>(arrays.scratch) : nullptr;
  call.out = arrays.input_gradient;
  up_conv::launch_input_gradient(shape.channels, call, gradient_blocks(chip), stream);
  if (shape.input_prelu) {
    conv::launch_sum(call.slope_partial, gradient_blocks(chip), arrays.slope_gradient, stream);
  }
}

std::size_t weight_scratch_bytes(const UpConvShape& shape, const Capability& chip) {
  require_form(shape, chip);
  return sizeof(float) * weight_blocks(shape, chip) * up_conv::weight_values(shape.channels);
}

void up_conv_weight_gradient(const UpConvShape& shape, const UpConvWeightGradient& arrays, const Capability& chip,
                             Stream stream) {
  require_form(shape, chip);
  require(arrays.in != nullptr && arrays.output_gradient != nullptr, "input or output gradient");
  require(arrays.scratch != nullptr && arrays.weights != nullptr, "scratch or weight gradient");
  auto call = sized<up_conv::WeightCall>(shape.size);
  call.input = arrays.in;
  call.gradient = arrays.output_gradient;
  call.partial = static_cast<float*>(arrays.scratch);
  call.weights = arrays.weights;
  call.bias = arrays.bias;
  call.blocks = weight_blocks(shape, chip);
  up_conv::launch_weight_gradient(shape.channels, call, stream);
}

}  // namespace regatta::kernels
