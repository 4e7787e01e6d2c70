// What callers see of the convolutions: checks, the choice of a form, the calls.
#include "regatta/kernels/conv.hpp"

#include <algorithm>
#include <initializer_list>

#include "kernels/conv/choice.hpp"
#include "regatta/base/error.hpp"
#include "regatta/kernels/activation.hpp"

namespace regatta::kernels {

using conv::choose_forward;
using conv::choose_gradient;
using conv::Family;
using conv::ForwardChoice;
using conv::WeightSlice;

namespace {

constexpr int kFlow = 3;
constexpr int kQuads = 4;
constexpr int kRaw = 2;

ForwardChoice choice_of(const ConvShape& shape, ConvPass pass, const Capability& chip) {
  const std::optional<ForwardChoice> choice =
      pass == ConvPass::kForward ? choose_forward(shape, chip) : choose_gradient(shape, pass, chip);
  REGATTA_REQUIRE(choice.has_value(), BugError, "convolution of edge ", shape.edge, ", ", shape.first.channels, " + ",
                  shape.second.channels, " -> ", shape.out, ", stride ", shape.stride, ": no kernel for pass ",
                  static_cast<int>(pass));
  return *choice;
}

std::vector<WeightSlice> weight_slices_of(const ConvShape& shape, const ConvInput& input, const Capability& chip) {
  std::vector<WeightSlice> slices = conv::weight_slices(shape, input, chip);
  REGATTA_REQUIRE(!slices.empty(), BugError, "weight gradient of ", input.channels, " -> ", shape.out, ", stride ",
                  shape.stride, ": no kernel");
  return slices;
}

/// "weights 64 -> 48, weights 16 -> 48"
std::string slices_text(const std::vector<WeightSlice>& slices) {
  std::vector<std::string> texts;
  for (const WeightSlice& slice : slices) {
    texts.push_back(slice.choice.text);
  }
  return join(texts, ", ");
}

void require(bool given, const char* what) {
  REGATTA_REQUIRE(given, BugError, "convolution: no ", what);
}

void require_large(const ConvShape& shape, std::initializer_list<const void*> parallel) {
  for (const void* array : parallel) {
    REGATTA_REQUIRE(array == nullptr || shape.edge > 3, BugError, "parallel kernels of a convolution of edge 3");
  }
}

template <class Call>
void set_size(Call& call, const VolumeSize& size) {
  call.N = size.n;
  call.D = static_cast<int>(size.d);
  call.H = static_cast<int>(size.h);
  call.W = static_cast<int>(size.w);
}

template <class Call>
void set_input_size(Call& call, const VolumeSize& size) {
  call.input_D = static_cast<int>(size.d);
  call.input_H = static_cast<int>(size.h);
  call.input_W = static_cast<int>(size.w);
}

VolumeSize half_of(const VolumeSize& size) {
  return {size.n, size.d / 2, size.h / 2, size.w / 2};
}

}  // namespace

bool has_form(const ConvShape& shape, ConvPass pass, const Capability& chip) {
  switch (pass) {
    case ConvPass::kForward: return choose_forward(shape, chip).has_value();
    case ConvPass::kFirstGradient:
    case ConvPass::kSecondGradient: return choose_gradient(shape, pass, chip).has_value();
    case ConvPass::kWeightGradient:
      return !conv::weight_slices(shape, shape.first, chip).empty() &&
             (shape.second.channels == 0 || !conv::weight_slices(shape, shape.second, chip).empty());
  }
  return false;
}

std::string form_text(const ConvShape& shape, ConvPass pass, const Capability& chip) {
  if (pass != ConvPass::kWeightGradient) {
    return choice_of(shape, pass, chip).text;
  }
  const std::string first = slices_text(weight_slices_of(shape, shape.first, chip));
  return shape.second.channels == 0 ? first
                                    : str(first, ", ", slices_text(weight_slices_of(shape, shape.second, chip)));
}

std::size_t packed_bytes(const ConvShape& shape, ConvPass pass, const Capability& chip) {
  if (pass == ConvPass::kWeightGradient) {
    return 0;
  }
  const conv::Packing packing = choice_of(shape, pass, chip).packing;
  return sizeof(std::uint32_t) * packing.groups * packing.group_words();
}

void pack_weights(std::span<const PackJob> jobs, const Capability& chip, Stream stream) {
  while (!jobs.empty()) {
    const std::size_t count = std::min<std::size_t>(jobs.size(), conv::kPackJobs);
    conv::PackBatch batch;
    for (std::size_t i = 0; i < count; ++i) {
      require(jobs[i].weights != nullptr && jobs[i].packed != nullptr, "weights to pack");
      require_large(jobs[i].shape, {jobs[i].inner, jobs[i].centre});
      batch.source[i] = {jobs[i].weights, jobs[i].inner, jobs[i].centre};
      batch.packed[i] = static_cast<std::uint32_t*>(jobs[i].packed);
      batch.packing[i] = choice_of(jobs[i].shape, jobs[i].pass, chip).packing;
    }
    conv::launch_pack(batch, static_cast<int>(count), stream);
    jobs = jobs.subspan(count);
  }
}

void conv_forward(const ConvShape& shape, const ConvForward& arrays, const Capability& chip, Stream stream) {
  const ForwardChoice choice = choice_of(shape, ConvPass::kForward, chip);
  require(arrays.first != nullptr && (shape.second.channels == 0 || arrays.second != nullptr), "input");
  require(arrays.packed != nullptr && arrays.out != nullptr, "packed weights or output");
  conv::ExtendedCall call;
  int wide = 0;
  const auto add_input = [&](const ConvInput& input, const Bf16* values) {
    if (input.channels == kRaw) {
      call.thin = values;
    } else if (input.channels > 0) {
      call.wide[wide++] = values;
    }
  };
  add_input(shape.first, arrays.first);
  add_input(shape.second, arrays.second);
  require_large(shape, {arrays.inner_bias, arrays.centre_bias});
  REGATTA_REQUIRE(shape.prelu || (arrays.prelu == nullptr && arrays.before_prelu == nullptr), BugError,
                  "a PReLU's slope or values for a convolution without one");
  REGATTA_REQUIRE(!shape.prelu || arrays.prelu != nullptr, BugError, "convolution with PReLU: no slope");
  call.weights = arrays.packed;
  call.bias = arrays.bias;
  call.more_bias[0] = arrays.inner_bias;
  call.more_bias[1] = arrays.centre_bias;
  call.out = arrays.out;
  call.raw = arrays.before_prelu;
  call.slope = arrays.slope;
  call.slope_at = arrays.prelu;
  call.groups = choice.packing.groups;
  set_size(call, shape.output_size());
  set_input_size(call, shape.size);
  conv::launch_form(choice.family, choice.form, call, chip.multiprocessors, stream);
}

std::size_t child_sum_bytes(const ConvShape& shape) {
  if (!shape.first.upsampled) {
    return 0;
  }
  const VolumeSize& size = shape.size;
  return static_cast<std::size_t>(size.n * (size.d + 1) * (size.h + 1) * (size.w + 1)) * shape.out * sizeof(Bf16);
}

void child_sums(const ConvShape& shape, const Bf16* output_gradient, void* sums, Stream stream) {
  require(output_gradient != nullptr && sums != nullptr, "gradient or sums");
  REGATTA_REQUIRE(shape.out % 8 == 0, BugError, "child sums of ", shape.out, " channels, not a multiple of 8");
  conv::launch_child_sums(output_gradient, sums, shape.size, shape.out, stream);
}

std::size_t slope_scratch_bytes(const ConvShape& shape, ConvPass pass, const Capability& chip) {
  const ConvInput& input = pass == ConvPass::kSecondGradient ? shape.second : shape.first;
  return input.prelu ? sizeof(float) * choice_of(shape, pass, chip).blocks(chip) : 0;
}

void conv_input_gradient(const ConvShape& shape, ConvPass pass, const ConvInputGradient& arrays, const Capability& chip,
                         Stream stream) {
  const ForwardChoice choice = choice_of(shape, pass, chip);
  const bool folded = choice.family == Family::kFold;
  conv::ExtendedCall call;
  const void* source = folded ? arrays.child_sums : arrays.output_gradient;
  require(source != nullptr, folded ? "child sums" : "output gradient");
  require(arrays.packed != nullptr && arrays.input_gradient != nullptr, "packed weights or input gradient");
  (shape.out == kFlow ? call.thin : call.wide[0]) = source;
  call.weights = arrays.packed;
  const bool prelu = (pass == ConvPass::kSecondGradient ? shape.second : shape.first).prelu;
  const bool complete = arrays.before_prelu != nullptr && arrays.prelu != nullptr && arrays.slope_gradient != nullptr &&
                        arrays.scratch != nullptr;
  const bool some = arrays.before_prelu != nullptr || arrays.prelu != nullptr || arrays.slope_gradient != nullptr;
  REGATTA_REQUIRE(prelu ? complete && arrays.activation == nullptr : !some, BugError,
                  "input gradient: a PReLU's arrays, all of them, go with an input that one made");
  call.activation = prelu ? arrays.before_prelu : arrays.activation;
  call.slope = arrays.slope;
  call.slope_at = arrays.prelu;
  call.slope_partial = static_cast<float*>(arrays.scratch);
  call.out = arrays.input_gradient;
  call.groups = choice.packing.groups;
  set_size(call, folded ? half_of(shape.size) : shape.size);
  set_input_size(call, shape.output_size());
  conv::launch_form(choice.family, choice.form, call, chip.multiprocessors, stream);
  if (prelu) {
    conv::launch_sum(call.slope_partial, choice.blocks(chip), arrays.slope_gradient, stream);
  }
}

std::size_t weight_scratch_bytes(const ConvShape& shape, const Capability& chip) {
  std::size_t bytes = 0;
  for (const ConvInput& input : {shape.first, shape.second}) {
    if (input.channels == 0) {
      continue;
    }
    for (const WeightSlice& slice : weight_slices_of(shape, input, chip)) {
      bytes = std::max(bytes, slice.choice.scratch_bytes());
      if (slice.choice.family == Family::kHopperWeights) {  // the bias's sums are apart
        bytes = std::max(bytes, activation_scratch_bytes({shape.output_size().all(), shape.out}, chip));
      }
    }
  }
  return bytes;
}

namespace {

/// @param offset  of the input among those that the weights know
void weight_gradient_of(const ConvShape& shape, const ConvInput& input, const WeightSlice& slice, const Bf16* values,
                        int offset, float* bias, const ConvWeightGradient& arrays, const Capability& chip,
                        Stream stream) {
  const conv::WeightChoice& choice = slice.choice;
  const bool folded = choice.family == Family::kFoldWeights;
  conv::WeightCall call;
  require(values != nullptr, "input");
  call.input = values + slice.first;
  call.pitch = input.channels;
  call.gradient = folded ? arrays.child_sums : arrays.output_gradient;
  require(call.gradient != nullptr, folded ? "child sums" : "output gradient");
  call.partial = static_cast<float*>(arrays.scratch);
  call.channels = shape.out == kFlow ? kQuads : shape.out;
  if (arrays.gradient_channels != 0) {
    REGATTA_REQUIRE(choice.family == Family::kWeights && shape.out != kFlow && arrays.gradient_channels % 8 == 0 &&
                        arrays.gradient_channels >= shape.out,
                    BugError, "weight gradient of ", shape.out, " of ", arrays.gradient_channels, " channels");
    call.channels = arrays.gradient_channels;
  }
  call.groups = choice.groups;
  call.slices = choice.slices;
  call.blocks = choice.blocks;
  set_size(call, folded ? half_of(shape.size) : shape.output_size());
  set_input_size(call, shape.size);
  if (choice.family == Family::kHopperWeights && bias != nullptr) {
    channel_sums({shape.output_size().all(), shape.out}, arrays.output_gradient,
                 {bias, arrays.inner_bias, arrays.centre_bias}, arrays.scratch, chip, stream);
  }
  conv::launch_form(choice.family, choice.form, call, chip.multiprocessors, stream);
  conv::ReduceCall reduce;
  reduce.partial = call.partial;
  reduce.weights = arrays.weights;
  reduce.bias = bias;
  reduce.inner = arrays.inner;
  reduce.centre = arrays.centre;
  reduce.more_bias[0] = arrays.inner_bias;
  reduce.more_bias[1] = arrays.centre_bias;
  reduce.edge = shape.edge;
  reduce.blocks = choice.blocks;
  reduce.groups = choice.groups;
  reduce.values = choice.values;
  reduce.order = choice.order;
  reduce.slices = choice.slices;
  reduce.pairs = choice.pairs;
  reduce.channels = choice.in > 0 ? choice.in : slice.channels;
  reduce.offset = offset + slice.first;
  reduce.weights_in = shape.in();
  reduce.out = choice.out;
  reduce.real_out = shape.out;
  conv::launch_reduce(reduce, stream);
}

}  // namespace

void conv_weight_gradient(const ConvShape& shape, const ConvWeightGradient& arrays, const Capability& chip,
                          Stream stream) {
  require(arrays.scratch != nullptr && arrays.weights != nullptr, "scratch or weight gradient");
  require_large(shape, {arrays.inner, arrays.centre, arrays.inner_bias, arrays.centre_bias});
  const bool second = shape.second.channels > 0;
  const auto add_input = [&](const ConvInput& input, const Bf16* values, int offset, float* bias) {
    for (const WeightSlice& slice : weight_slices_of(shape, input, chip)) {
      weight_gradient_of(shape, input, slice, values, offset, slice.first == 0 ? bias : nullptr, arrays, chip, stream);
    }
  };
  add_input(shape.first, arrays.first, 0, second ? nullptr : arrays.bias);
  if (second) {
    add_input(shape.second, arrays.second, shape.first.channels, arrays.bias);
  }
}

}  // namespace regatta::kernels
