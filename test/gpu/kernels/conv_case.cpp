#include "gpu/kernels/conv_case.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "gpu/kernels/bf16_values.hpp"
#include "gpu/kernels/errors.hpp"
#include "regatta/base/text.hpp"

namespace regatta::kernels {
namespace {

constexpr float kSlope = 0.2F;
constexpr float kPreluSlope = -0.15F;  // trained slopes may be negative
constexpr int kFlow = 3;
constexpr int kQuads = 4;
constexpr std::int64_t kSomeVoxels = 6000;
constexpr std::int64_t kSomeWeights = 24;

/// The fourth channel of quads is zero.
std::vector<Bf16> random_gradient(const ConvShape& shape, std::uint64_t seed) {
  std::vector<Bf16> values = random_bf16(shape.output_size().all() * (shape.out == kFlow ? kQuads : shape.out), seed);
  for (std::size_t i = 3; shape.out == kFlow && i < values.size(); i += kQuads) {
    values[i] = {0};
  }
  return values;
}

/// Values that bf16 holds, so that rounding them for the kernels changes nothing. `volume`: of the kernel.
std::vector<float> random_weights(const ConvShape& shape, int volume, std::uint64_t seed) {
  std::vector<float> values(static_cast<std::size_t>(shape.out) * shape.in() * volume);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = to_float(to_bf16(0.1F * random_value(seed, static_cast<std::int64_t>(i))));
  }
  return values;
}

std::vector<float> random_bias(int count, std::uint64_t seed) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    values[i] = random_value(seed, i);
  }
  return values;
}

std::int64_t elements(const ConvShape& shape, const ConvInput& input) {
  return shape.size.all() / (input.upsampled ? 8 : 1) * input.channels;
}

bool has_parts(const ConvShape& shape) {
  return shape.edge > 3;
}

int volume_of_kernel(const ConvShape& shape) {
  return shape.edge * shape.edge * shape.edge;
}

/// Of what made the inputs: channels of the larger one, or none.
std::int64_t before_elements(const ConvShape& shape) {
  return std::max(shape.first.prelu ? elements(shape, shape.first) : 0,
                  shape.second.prelu ? elements(shape, shape.second) : 0);
}

std::size_t slope_scratch(const ConvShape& shape, const Capability& chip) {
  std::size_t bytes = 0;
  for (const ConvPass pass : {ConvPass::kFirstGradient, ConvPass::kSecondGradient}) {
    bytes = std::max(bytes, has_form(shape, pass, chip) ? slope_scratch_bytes(shape, pass, chip) : 0);
  }
  return bytes;
}

std::size_t weight_scratch(const ConvShape& shape, const Capability& chip) {
  return has_form(shape, ConvPass::kWeightGradient, chip) ? weight_scratch_bytes(shape, chip) : 0;
}

std::size_t packed_size(const ConvShape& shape, ConvPass pass, const Capability& chip) {
  return has_form(shape, pass, chip) ? packed_bytes(shape, pass, chip) : 0;
}

}  // namespace

ConvCase::ConvCase(const ConvShape& shape, const Capability& chip, std::uint64_t seed)
    : shape_(shape),
      chip_(chip),
      first_(random_bf16(elements(shape, shape.first), seed)),
      second_(random_bf16(elements(shape, shape.second), seed + 1)),
      before_(random_bf16(before_elements(shape), seed + 5)),
      gradient_(random_gradient(shape, seed + 2)),
      weights_(random_weights(shape, volume_of_kernel(shape), seed + 3)),
      inner_(random_weights(shape, has_parts(shape) ? 27 : 0, seed + 6)),
      centre_(random_weights(shape, has_parts(shape) ? 1 : 0, seed + 7)),
      folded_(has_parts(shape) ? folded_weights(shape, weights_.data(), inner_.data(), centre_.data()) : weights_),
      bias_(random_bias(shape.out, seed + 4)),
      slope_(1, kPreluSlope),
      device_first_(first_),
      device_second_(second_),
      device_before_(before_),
      device_gradient_(gradient_),
      device_weights_(weights_),
      device_inner_(inner_),
      device_centre_(centre_),
      device_bias_(bias_),
      device_slope_(slope_),
      packed_{DeviceArray<std::uint8_t>(packed_size(shape, ConvPass::kForward, chip)),
              DeviceArray<std::uint8_t>(packed_size(shape, ConvPass::kFirstGradient, chip)),
              DeviceArray<std::uint8_t>(packed_size(shape, ConvPass::kSecondGradient, chip))},
      sums_(child_sum_bytes(shape)),
      scratch_(std::max(weight_scratch(shape, chip), slope_scratch(shape, chip))),
      out_(static_cast<std::size_t>(shape.output_size().all()) * shape.out * (shape.out == kFlow ? 4 : 2)),
      raw_(shape.prelu ? out_.size() : 0),
      first_gradient_(first_.size()),
      second_gradient_(second_.size()),
      weight_gradient_(weights_.size()),
      inner_gradient_(inner_.size()),
      centre_gradient_(centre_.size()),
      bias_gradient_(bias_.size()),
      more_bias_gradients_(has_parts(shape) ? 2 * bias_.size() : 0),
      slope_gradient_(1) {}

ConvForward ConvCase::forward_arrays(bool device) const {
  ConvForward arrays;
  arrays.first = device ? device_first_.get() : first_.data();
  arrays.second = device ? device_second_.get() : second_.data();
  arrays.packed = packed_[0].get();
  arrays.bias = device ? device_bias_.get() : bias_.data();
  arrays.slope = shape_.out == kFlow ? 1.0F : kSlope;
  arrays.out = const_cast<std::uint8_t*>(out_.get());
  if (has_parts(shape_)) {  // the same thrice
    arrays.inner_bias = arrays.bias;
    arrays.centre_bias = arrays.bias;
  }
  if (shape_.prelu) {
    arrays.prelu = device ? device_slope_.get() : slope_.data();
    arrays.before_prelu = reinterpret_cast<Bf16*>(const_cast<std::uint8_t*>(raw_.get()));
  }
  return arrays;
}

ConvInputGradient ConvCase::gradient_arrays(ConvPass pass, bool device) const {
  const bool first = pass == ConvPass::kFirstGradient;
  ConvInputGradient arrays;
  arrays.output_gradient = device ? device_gradient_.get() : gradient_.data();
  arrays.child_sums = sums_.get();
  arrays.packed = packed_[first ? 1 : 2].get();
  arrays.activation =
      device ? (first ? device_first_.get() : device_second_.get()) : (first ? first_.data() : second_.data());
  arrays.slope = kSlope;
  arrays.input_gradient = const_cast<Bf16*>((first ? first_gradient_ : second_gradient_).get());
  if ((first ? shape_.first : shape_.second).prelu) {
    arrays.activation = nullptr;
    arrays.before_prelu = device ? device_before_.get() : before_.data();
    arrays.prelu = device ? device_slope_.get() : slope_.data();
    arrays.slope_gradient = const_cast<float*>(slope_gradient_.get());
    arrays.scratch = const_cast<std::uint8_t*>(scratch_.get());
  }
  return arrays;
}

ConvWeightGradient ConvCase::weight_arrays(bool device) const {
  ConvWeightGradient arrays;
  arrays.first = device ? device_first_.get() : first_.data();
  arrays.second = device ? device_second_.get() : second_.data();
  arrays.output_gradient = device ? device_gradient_.get() : gradient_.data();
  arrays.child_sums = sums_.get();
  arrays.scratch = const_cast<std::uint8_t*>(scratch_.get());
  arrays.weights = const_cast<float*>(weight_gradient_.get());
  arrays.bias = const_cast<float*>(bias_gradient_.get());
  if (has_parts(shape_)) {
    arrays.inner = const_cast<float*>(inner_gradient_.get());
    arrays.centre = const_cast<float*>(centre_gradient_.get());
    arrays.inner_bias = const_cast<float*>(more_bias_gradients_.get());
    arrays.centre_bias = arrays.inner_bias + bias_.size();
  }
  return arrays;
}

void ConvCase::pack(ConvPass pass, Stream stream) {
  if (pass != ConvPass::kWeightGradient) {
    PackJob job = {shape_, pass, device_weights_.get(), packed_[static_cast<int>(pass)].get()};
    if (has_parts(shape_)) {
      job.inner = device_inner_.get();
      job.centre = device_centre_.get();
    }
    pack_weights({&job, 1}, chip_, stream);
  }
}

void ConvCase::queue(ConvPass pass, Stream stream) {
  switch (pass) {
    case ConvPass::kForward: conv_forward(shape_, forward_arrays(true), chip_, stream); break;
    case ConvPass::kFirstGradient:
    case ConvPass::kSecondGradient:
      conv_input_gradient(shape_, pass, gradient_arrays(pass, true), chip_, stream);
      break;
    case ConvPass::kWeightGradient: conv_weight_gradient(shape_, weight_arrays(true), chip_, stream); break;
  }
}

void ConvCase::queue_child_sums(Stream stream) {
  if (sums_.size() > 0) {
    child_sums(shape_, device_gradient_.get(), sums_.get(), stream);
  }
}

void ConvCase::poison() {
  out_.poison();
  raw_.poison();
  inner_gradient_.poison();
  centre_gradient_.poison();
  more_bias_gradients_.poison();
  slope_gradient_.poison();
  sums_.poison();
  scratch_.poison();
  first_gradient_.poison();
  second_gradient_.poison();
  weight_gradient_.poison();
  bias_gradient_.poison();
}

double ConvCase::check(ConvPass pass, Sampling sampling) {
  poison();
  pack(pass, nullptr);
  if (pass != ConvPass::kForward) {
    queue_child_sums(nullptr);
  }
  queue(pass, nullptr);
  wait_for_gpu();
  if (pass == ConvPass::kWeightGradient) {
    return parts_agree() ? check_weights(sampling) : std::numeric_limits<double>::infinity();
  }
  const double error = check_voxels(pass, sampling);
  return pass == ConvPass::kForward && shape_.prelu ? std::max(error, check_before_prelu(sampling)) : error;
}

namespace {

/// Values and their references at the sampled places of [N, voxels, channels].
template <class Value, class Reference>
double deviation(const VolumeSize& size, int channels, Sampling sampling, const Value& value,
                 const Reference& reference) {
  const std::int64_t voxels = size.all();
  const std::int64_t count = sampling == Sampling::kAll          ? voxels * channels
                             : sampling == Sampling::kEveryVoxel ? voxels
                                                                 : kSomeVoxels;
  std::vector<double> got(static_cast<std::size_t>(count));
  std::vector<double> wanted(static_cast<std::size_t>(count));
  in_parallel(count, [&](std::int64_t i) {
    std::int64_t voxel = i;
    auto channel = static_cast<int>(i % channels);
    if (sampling == Sampling::kAll) {
      voxel = i / channels;
    } else if (sampling == Sampling::kSome) {
      voxel = static_cast<std::int64_t>(hash(static_cast<std::uint64_t>(i)) % static_cast<std::uint64_t>(voxels));
    }
    const ConvPlace place = {voxel / size.voxels(), voxel / size.plane() % size.d, voxel / size.w % size.h,
                             voxel % size.w, channel};
    got[i] = value(voxel, channel);
    wanted[i] = reference(place);
  });
  return relative_error(got, wanted);
}

}  // namespace

double ConvCase::check_voxels(ConvPass pass, Sampling sampling) const {
  if (pass == ConvPass::kForward) {
    const VolumeSize size = shape_.output_size();
    const std::vector<std::uint8_t> bytes = out_.values();
    const auto value = [&](std::int64_t voxel, int channel) -> double {
      if (shape_.out == kFlow) {
        const std::int64_t at = (voxel / size.voxels() * kFlow + channel) * size.voxels() + voxel % size.voxels();
        return reinterpret_cast<const float*>(bytes.data())[at];
      }
      return to_float(reinterpret_cast<const Bf16*>(bytes.data())[voxel * shape_.out + channel]);
    };
    return deviation(size, shape_.out, sampling, value, [&](const ConvPlace& place) {
      return conv_forward_reference(shape_, forward_arrays(false), folded_.data(), place);
    });
  }
  const bool first = pass == ConvPass::kFirstGradient;
  const ConvInput& input = first ? shape_.first : shape_.second;
  VolumeSize size = shape_.size;
  if (input.upsampled) {
    size = {size.n, size.d / 2, size.h / 2, size.w / 2};
  }
  const std::vector<Bf16> values = (first ? first_gradient_ : second_gradient_).values();
  const auto value = [&](std::int64_t voxel, int channel) -> double {
    return to_float(values[voxel * input.channels + channel]);
  };
  return deviation(size, input.channels, sampling, value, [&](const ConvPlace& place) {
    return conv_input_gradient_reference(shape_, pass, gradient_arrays(pass, false), folded_.data(), place);
  });
}

double ConvCase::check_before_prelu(Sampling sampling) const {
  const std::vector<std::uint8_t> bytes = raw_.values();
  const auto value = [&](std::int64_t voxel, int channel) -> double {
    return to_float(reinterpret_cast<const Bf16*>(bytes.data())[voxel * shape_.out + channel]);
  };
  ConvForward arrays = forward_arrays(false);
  arrays.prelu = nullptr;
  arrays.slope = 1.0F;
  return deviation(shape_.output_size(), shape_.out, sampling, value, [&](const ConvPlace& place) {
    return conv_forward_reference(shape_, arrays, folded_.data(), place);
  });
}

double ConvCase::slope_deviation(ConvPass pass) const {
  const bool first = pass == ConvPass::kFirstGradient;
  const std::int64_t channels = (first ? shape_.first : shape_.second).channels;
  const VolumeSize& size = shape_.size;
  std::vector<double> terms(static_cast<std::size_t>(size.all() * channels));
  in_parallel(static_cast<std::int64_t>(terms.size()), [&](std::int64_t i) {
    const std::int64_t voxel = i / channels;
    const ConvPlace place = {voxel / size.voxels(), voxel / size.plane() % size.d, voxel / size.w % size.h,
                             voxel % size.w, static_cast<int>(i % channels)};
    const double negative = std::min(to_float(before_[i]), 0.0F);
    terms[i] = negative * conv_activation_gradient_reference(shape_, pass, gradient_.data(), folded_.data(), place);
  });
  double sum = 0.0;
  double squares = 0.0;
  for (const double term : terms) {
    sum += term;
    squares += term * term;
  }
  const double error = std::abs(slope_gradient_.values()[0] - sum) / std::sqrt(squares);
  return error == error ? error : std::numeric_limits<double>::infinity();
}

/// Whether the gradients of the parallel kernels are those of the weights that they share.
bool ConvCase::parts_agree() const {
  if (!has_parts(shape_)) {
    return true;
  }
  const std::vector<float> whole = weight_gradient_.values();
  const std::vector<float> inner = inner_gradient_.values();
  const std::vector<float> centre = centre_gradient_.values();
  const std::vector<float> bias = bias_gradient_.values();
  const std::vector<float> more = more_bias_gradients_.values();
  for (std::size_t i = 0; i < centre.size(); ++i) {
    for (int tap = 0; tap < 27; ++tap) {
      if (inner[i * 27 + tap] != whole[i * 125 + (tap / 9 + 1) * 25 + (tap / 3 % 3 + 1) * 5 + tap % 3 + 1]) {
        return false;
      }
    }
    if (centre[i] != whole[i * 125 + 62]) {
      return false;
    }
  }
  return std::equal(bias.begin(), bias.end(), more.begin()) &&
         std::equal(bias.begin(), bias.end(), more.begin() + static_cast<std::ptrdiff_t>(bias.size()));
}

double ConvCase::check_weights(Sampling sampling) const {
  std::vector<float> values = weight_gradient_.values();
  const std::vector<float> bias = bias_gradient_.values();
  values.insert(values.end(), bias.begin(), bias.end());
  const auto all = static_cast<std::int64_t>(values.size());
  const std::int64_t count =
      sampling == Sampling::kAll ? all : std::min(all, sampling == Sampling::kSome ? kSomeWeights : 600);
  std::vector<double> got(static_cast<std::size_t>(count));
  std::vector<double> wanted(static_cast<std::size_t>(count));
  in_parallel(count, [&](std::int64_t i) {
    std::int64_t index = i;
    if (sampling != Sampling::kAll) {  // the last two are biases
      index = i + 2 >= count
                  ? all - 1 - (count - 1 - i)
                  : static_cast<std::int64_t>(hash(static_cast<std::uint64_t>(i)) % static_cast<std::uint64_t>(all));
    }
    got[i] = values[index];
    wanted[i] = conv_weight_gradient_reference(shape_, weight_arrays(false), index);
  });
  for (const float value : values) {  // all are written
    if (!(value == value)) {
      return std::numeric_limits<double>::infinity();
    }
  }
  return relative_error(got, wanted);
}

std::vector<std::uint8_t> ConvCase::result(ConvPass pass) const {
  const auto bytes = [](const auto& values) {
    const auto* begin = reinterpret_cast<const std::uint8_t*>(values.data());
    return std::vector<std::uint8_t>(begin, begin + values.size() * sizeof(values[0]));
  };
  const auto joined = [](std::vector<std::uint8_t> first, const std::vector<std::uint8_t>& second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
  };
  switch (pass) {
    case ConvPass::kForward: return joined(out_.values(), raw_.values());
    case ConvPass::kFirstGradient: return joined(bytes(first_gradient_.values()), bytes(slope_gradient_.values()));
    case ConvPass::kSecondGradient: return joined(bytes(second_gradient_.values()), bytes(slope_gradient_.values()));
    case ConvPass::kWeightGradient: break;
  }
  return joined(bytes(weight_gradient_.values()), bytes(bias_gradient_.values()));
}

bool ConvCase::repeats(ConvPass pass, const std::function<void()>& run) {
  const std::vector<std::uint8_t> before = result(pass);
  poison();
  wait_for_gpu();
  run();
  wait_for_gpu();
  return same_bits(before, result(pass));
}

bool ConvCase::margins_hold() const {
  return out_.margins_hold() && raw_.margins_hold() && slope_gradient_.margins_hold() &&
         inner_gradient_.margins_hold() && centre_gradient_.margins_hold() && more_bias_gradients_.margins_hold() &&
         first_gradient_.margins_hold() && second_gradient_.margins_hold() && weight_gradient_.margins_hold() &&
         bias_gradient_.margins_hold() && scratch_.margins_hold() && sums_.margins_hold() &&
         packed_[0].margins_hold() && packed_[1].margins_hold() && packed_[2].margins_hold();
}

double ConvCase::bytes(ConvPass pass) const {
  const double first = 2.0 * static_cast<double>(first_.size());
  const double second = 2.0 * static_cast<double>(second_.size());
  const double gradient = 2.0 * static_cast<double>(gradient_.size());
  switch (pass) {
    case ConvPass::kForward: return first + second + static_cast<double>(out_.size() + raw_.size());
    case ConvPass::kFirstGradient: return gradient + 2.0 * first;
    case ConvPass::kSecondGradient: return gradient + 2.0 * second;
    case ConvPass::kWeightGradient: return first + second + gradient;
  }
  return 0.0;
}

double ConvCase::operations(ConvPass pass) const {
  const double channels = pass == ConvPass::kFirstGradient    ? shape_.first.channels
                          : pass == ConvPass::kSecondGradient ? shape_.second.channels
                                                              : shape_.in();
  return 2.0 * volume_of_kernel(shape_) * channels * shape_.out * static_cast<double>(shape_.output_size().all());
}

std::string text_of(const ConvShape& shape) {
  const std::string second = shape.second.channels > 0 ? str(" + ", shape.second.channels) : std::string();
  return str(shape.first.channels, shape.first.upsampled ? " up" : "", second, " -> ", shape.out,
             shape.stride > 1 ? " stride 2" : "", shape.edge > 3 ? " 5x5x5" : "", shape.prelu ? " PReLU" : "");
}

}  // namespace regatta::kernels
