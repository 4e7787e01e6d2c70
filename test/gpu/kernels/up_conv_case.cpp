#include "gpu/kernels/up_conv_case.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "gpu/kernels/bf16_values.hpp"
#include "gpu/kernels/errors.hpp"

namespace regatta::kernels {
namespace {

constexpr float kSlope = 0.2F;
constexpr float kPreluSlope = -0.15F;  // trained slopes may be negative
constexpr std::int64_t kSomeValues = 6000;
constexpr std::int64_t kSomeWeights = 24;

std::vector<float> random_floats(std::int64_t count, float scale, std::uint64_t seed) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    values[i] = to_float(to_bf16(scale * random_value(seed, i)));
  }
  return values;
}

std::int64_t small_count(const UpConvShape& shape) {
  return shape.size.all() * shape.channels;
}

UpConvPlace place_of(const VolumeSize& size, int channels, std::int64_t i) {
  const std::int64_t voxel = i / channels;
  return {voxel / size.voxels(), voxel / size.plane() % size.d, voxel / size.w % size.h, voxel % size.w,
          static_cast<int>(i % channels)};
}

/// Compares values with their references: all, or some.
template <class Value, class Reference>
double deviation(std::int64_t all, std::int64_t some, const Value& value, const Reference& reference) {
  const std::int64_t count = std::min(all, some);
  std::vector<double> got(static_cast<std::size_t>(count));
  std::vector<double> wanted(static_cast<std::size_t>(count));
  in_parallel(count, [&](std::int64_t i) {
    const std::int64_t at = count == all ? i : static_cast<std::int64_t>(hash(i + 1) % static_cast<std::uint64_t>(all));
    got[i] = value(at);
    wanted[i] = reference(at);
  });
  return relative_error(got, wanted);
}

template <class T>
void append(std::vector<std::uint8_t>& bytes, const std::vector<T>& values) {
  const auto* begin = reinterpret_cast<const std::uint8_t*>(values.data());
  bytes.insert(bytes.end(), begin, begin + values.size() * sizeof(T));
}

}  // namespace

UpConvCase::UpConvCase(const UpConvShape& shape, const Capability& chip, std::uint64_t seed)
    : shape_(shape),
      chip_(chip),
      in_(random_bf16(small_count(shape), seed)),
      before_(random_bf16(shape.input_prelu ? small_count(shape) : 0, seed + 1)),
      gradient_(random_bf16(8 * small_count(shape), seed + 2)),
      weights_(random_floats(std::int64_t{8} * shape.channels * shape.channels, 0.3F, seed + 3)),
      bias_(random_floats(shape.channels, 1.0F, seed + 4)),
      slope_(1, kPreluSlope),
      device_in_(in_),
      device_before_(before_),
      device_gradient_(gradient_),
      device_weights_(weights_),
      device_bias_(bias_),
      device_slope_(slope_),
      packed_(packed_bytes(shape)),
      scratch_(std::max(weight_scratch_bytes(shape, chip), slope_scratch_bytes(shape, chip))),
      out_(gradient_.size()),
      raw_(shape.prelu ? gradient_.size() : 0),
      input_gradient_(in_.size()),
      weight_gradient_(weights_.size()),
      bias_gradient_(bias_.size()),
      slope_gradient_(1) {}

UpConvForward UpConvCase::forward_arrays(bool device) const {
  UpConvForward arrays;
  arrays.in = device ? device_in_.get() : in_.data();
  arrays.packed = packed_.get();
  arrays.bias = device ? device_bias_.get() : bias_.data();
  arrays.slope = kSlope;
  if (shape_.prelu) {
    arrays.prelu = device ? device_slope_.get() : slope_.data();
    arrays.before_prelu = const_cast<Bf16*>(raw_.get());
  }
  arrays.out = const_cast<Bf16*>(out_.get());
  return arrays;
}

UpConvInputGradient UpConvCase::gradient_arrays(bool device) const {
  UpConvInputGradient arrays;
  arrays.output_gradient = device ? device_gradient_.get() : gradient_.data();
  arrays.packed = packed_.get();
  arrays.slope = kSlope;
  if (shape_.input_prelu) {
    arrays.before_prelu = device ? device_before_.get() : before_.data();
    arrays.prelu = device ? device_slope_.get() : slope_.data();
    arrays.slope_gradient = const_cast<float*>(slope_gradient_.get());
    arrays.scratch = const_cast<std::uint8_t*>(scratch_.get());
  } else {
    arrays.activation = device ? device_in_.get() : in_.data();
  }
  arrays.input_gradient = const_cast<Bf16*>(input_gradient_.get());
  return arrays;
}

UpConvWeightGradient UpConvCase::weight_arrays(bool device) const {
  UpConvWeightGradient arrays;
  arrays.in = device ? device_in_.get() : in_.data();
  arrays.output_gradient = device ? device_gradient_.get() : gradient_.data();
  arrays.scratch = const_cast<std::uint8_t*>(scratch_.get());
  arrays.weights = const_cast<float*>(weight_gradient_.get());
  arrays.bias = const_cast<float*>(bias_gradient_.get());
  return arrays;
}

void UpConvCase::pack(Stream stream) {
  const UpConvPackJob job = {shape_, device_weights_.get(), packed_.get()};
  pack_up_conv({&job, 1}, chip_, stream);
}

void UpConvCase::queue(UpConvPass pass, Stream stream) {
  switch (pass) {
    case UpConvPass::kForward: up_conv_forward(shape_, forward_arrays(true), chip_, stream); break;
    case UpConvPass::kInputGradient: up_conv_input_gradient(shape_, gradient_arrays(true), chip_, stream); break;
    case UpConvPass::kWeightGradient: up_conv_weight_gradient(shape_, weight_arrays(true), chip_, stream); break;
  }
}

void UpConvCase::poison() {
  packed_.poison();
  scratch_.poison();
  out_.poison();
  raw_.poison();
  input_gradient_.poison();
  weight_gradient_.poison();
  bias_gradient_.poison();
  slope_gradient_.poison();
}

double UpConvCase::check(UpConvPass pass, bool all) {
  poison();
  pack(nullptr);
  queue(pass, nullptr);
  wait_for_gpu();
  const std::int64_t some = all ? std::numeric_limits<std::int64_t>::max() : kSomeValues;
  if (pass == UpConvPass::kForward) {
    const auto error = [&](const std::vector<Bf16>& values, const UpConvForward& arrays) {
      return deviation(
          static_cast<std::int64_t>(values.size()), some, [&](std::int64_t i) { return to_float(values[i]); },
          [&](std::int64_t i) {
            const UpConvPlace place = place_of(shape_.output_size(), shape_.channels, i);
            return up_conv_forward_reference(shape_, arrays, weights_.data(), place);
          });
    };
    UpConvForward before = forward_arrays(false);
    before.slope = 1.0F;
    before.prelu = nullptr;
    return std::max(error(out_.values(), forward_arrays(false)), error(raw_.values(), before));
  }
  if (pass == UpConvPass::kInputGradient) {
    const std::vector<Bf16> values = input_gradient_.values();
    return deviation(
        small_count(shape_), some, [&](std::int64_t i) { return to_float(values[i]); },
        [&](std::int64_t i) {
          return up_conv_input_gradient_reference(shape_, gradient_arrays(false), weights_.data(),
                                                  place_of(shape_.size, shape_.channels, i));
        });
  }
  std::vector<float> values = weight_gradient_.values();
  const std::vector<float> bias = bias_gradient_.values();
  values.insert(values.end(), bias.begin(), bias.end());
  const double error = deviation(
      static_cast<std::int64_t>(values.size()), all ? some : kSomeWeights, [&](std::int64_t i) { return values[i]; },
      [&](std::int64_t i) { return up_conv_weight_gradient_reference(shape_, weight_arrays(false), i); });
  const bool whole = std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
  return whole ? error : std::numeric_limits<double>::infinity();
}

double UpConvCase::slope_deviation() const {
  std::vector<double> terms(before_.size());
  in_parallel(static_cast<std::int64_t>(terms.size()), [&](std::int64_t i) {
    terms[i] = std::min(to_float(before_[i]), 0.0F) *
               up_conv_activation_gradient_reference(shape_, gradient_.data(), weights_.data(),
                                                     place_of(shape_.size, shape_.channels, i));
  });
  double sum = 0.0;
  double squares = 0.0;
  for (const double term : terms) {
    sum += term;
    squares += term * term;
  }
  const double error = std::abs(slope_gradient_.values()[0] - sum) / std::sqrt(squares);
  return std::isfinite(error) ? error : std::numeric_limits<double>::infinity();
}

std::vector<std::uint8_t> UpConvCase::result(UpConvPass pass) const {
  std::vector<std::uint8_t> bytes;
  if (pass == UpConvPass::kForward) {
    append(bytes, out_.values());
    append(bytes, raw_.values());
  } else if (pass == UpConvPass::kInputGradient) {
    append(bytes, input_gradient_.values());
    append(bytes, slope_gradient_.values());
  } else {
    append(bytes, weight_gradient_.values());
    append(bytes, bias_gradient_.values());
  }
  return bytes;
}

bool UpConvCase::repeats(UpConvPass pass, const std::function<void()>& run) {
  const std::vector<std::uint8_t> before = result(pass);
  poison();
  wait_for_gpu();
  run();
  wait_for_gpu();
  return same_bits(before, result(pass));
}

bool UpConvCase::margins_hold() const {
  return packed_.margins_hold() && scratch_.margins_hold() && out_.margins_hold() && raw_.margins_hold() &&
         input_gradient_.margins_hold() && weight_gradient_.margins_hold() && bias_gradient_.margins_hold() &&
         slope_gradient_.margins_hold();
}

double UpConvCase::bytes(UpConvPass pass) const {
  const double small = 2.0 * static_cast<double>(in_.size());
  const double large = 8.0 * small;
  switch (pass) {
    case UpConvPass::kForward: return small + (shape_.prelu ? 2.0 : 1.0) * large;
    case UpConvPass::kInputGradient: return large + 2.0 * small;
    case UpConvPass::kWeightGradient: return large + small;
  }
  return 0.0;
}

}  // namespace regatta::kernels
