// Convolutions of the fast backend against the reference: values, and the gradients that readers give back.
#include "nn/fast/conv.hpp"

#include "nn/fast/reading.hpp"

#include <optional>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/prelu.h>

#include "nn/layers/resize.hpp"
#include "regatta/nn/model.hpp"
#include "support/catch.hpp"
#include "support/golden_network.hpp"

namespace regatta::test {
namespace {

constexpr double kBf16 = 1.5e-2;  ///< operands and results are rounded to 8 bits

at::Tensor volumes(std::int64_t channels, std::int64_t D, std::int64_t H, std::int64_t W, std::uint64_t seed) {
  return noise(D * channels, H, W, seed).view({1, channels, D, H, W}).sub(0.5).to(at::kFloat);
}

at::Tensor leaf(const at::Tensor& tensor) {
  return tensor.detach().clone().set_requires_grad(true);
}

/// Three layers as a U-Net has them: stride 2 with LeakyReLU, a convolution of its up-sampled result beside the images
/// and a field of it all. Of each backend from the same weights.
struct SmallNet {
  explicit SmallNet(Backend backend) : parameters({.backend = backend, .channels_last = true}) {
    down.emplace(parameters, "down", ConvShape{.in = 8, .out = 16, .stride = 2, .activation = Activation::leaky(0.2)});
    join.emplace(parameters, "join", ConvShape{.in = 24, .out = 16, .activation = Activation::leaky(0.2)});
    head.emplace(parameters, "head", ConvShape{.in = 16, .out = 3, .field = true});
    parameters.initialise(4);
  }

  at::Tensor operator()(const at::Tensor& images) const {
    const Feature low = (*down)({Feature(images)});
    const Feature full = (*join)({upsample_nearest(low), Feature(images)});
    return (*head)({full}).value() +
           resize(low.value().narrow(1, 0, 3).to(at::kFloat), grid_of(images), {.align_corners = true});
  }

  Parameters parameters;
  std::optional<Conv3d> down;
  std::optional<Conv3d> join;
  std::optional<Conv3d> head;
};

/// As LKU-Net has them: PReLUs, one of a negative slope, stride 2, a block of parallel kernels, a transposed
/// convolution beside a skip connection and a field.
struct LargeKernelNet {
  explicit LargeKernelNet(Backend backend) : parameters({.backend = backend, .channels_last = true}) {
    const auto prelu = [](std::int64_t in, std::int64_t out, std::int64_t stride, const char* slope) {
      return ConvShape{.in = in, .out = out, .stride = stride, .activation = Activation::prelu(), .slope_name = slope};
    };
    entry.emplace(parameters, "entry", prelu(2, 8, 1, "entry.slope"));
    down.emplace(parameters, "down", prelu(8, 16, 2, "down.slope"));
    block.emplace(parameters, "block", 16, 5, false);
    up.emplace(parameters, "up", prelu(16, 16, 1, "up.slope"));
    join.emplace(parameters, "join", prelu(24, 16, 1, "join.slope"));
    head.emplace(parameters, "head", ConvShape{.in = 16, .out = 3, .bias = false, .field = true});
    parameters.initialise(5);
    const at::NoGradGuard no_grad;
    for (const Parameter& parameter : parameters.items()) {
      if (parameter.name == "join.slope") {
        at::Tensor(parameter.value).fill_(-0.15);
      }
    }
  }

  at::Tensor operator()(const at::Tensor& images) const {
    const Feature skip = (*entry)({Feature(images)});
    const Feature low = (*block)((*down)({skip}));
    return (*head)({(*join)({(*up)(low), skip})}).value();
  }

  Parameters parameters;
  std::optional<Conv3d> entry;
  std::optional<Conv3d> down;
  std::optional<LargeKernelConv> block;
  std::optional<UpConv3d> up;
  std::optional<Conv3d> join;
  std::optional<Conv3d> head;
};

/// A field of what a 1x1x1 convolution makes, with biases that are large where the field is small.
struct FieldOfPoints {
  explicit FieldOfPoints(Backend backend) : parameters({.backend = backend, .channels_last = true}) {
    field.emplace(parameters, "field", ConvShape{.in = 5, .out = 3, .bias_init = Init::constant(0.0), .field = true});
    points.emplace(parameters, "points", ConvShape{.in = 16, .out = 5, .kernel = 1, .bias_init = Init::constant(2.0)});
    parameters.initialise(6);
  }

  at::Tensor operator()(const at::Tensor& features) const { return field->after(*points, {Feature(features)}).value(); }

  Parameters parameters;
  std::optional<Conv3d> field;
  std::optional<Conv3d> points;
};

at::Tensor gradients_of(const Parameters& parameters) {
  at::Tensor all;
  for (const Parameter& parameter : parameters.items()) {
    const at::Tensor one = parameter.value.grad().reshape({-1});
    all = all.defined() ? at::cat({all, one}) : one;
  }
  return all;
}

/// Both fields agree; their backward passes are run.
template <class Net>
void check_fields(const Net& reference, const Net& fast, const at::Tensor& to_reference, const at::Tensor& to_fast,
                  const at::Tensor& weights) {
  const at::Tensor expected = reference(to_reference);
  const at::Tensor found = fast(to_fast);
  CHECK(found.scalar_type() == at::kFloat);
  CHECK(relative_difference(found, expected) < kBf16);
  (expected * weights).sum().backward();
  (found * weights).sum().backward();
}

}  // namespace

TEST_CASE("layers of the fast backend give the reference's field and gradients within bf16") {
  const at::Tensor images = volumes(8, 6, 10, 8, 1);
  const at::Tensor weights = volumes(3, 6, 10, 8, 2);
  SmallNet reference(Backend::kReference);
  SmallNet fast(Backend::kFast);
  const at::Tensor to_reference = leaf(images);
  const at::Tensor to_fast = leaf(images);
  check_fields(reference, fast, to_reference, to_fast, weights);
  CHECK(relative_difference(to_fast.grad(), to_reference.grad()) < kBf16);
  CHECK(relative_difference(gradients_of(fast.parameters), gradients_of(reference.parameters)) < kBf16);
}

TEST_CASE("a field of a 1x1x1 convolution is one convolution on the fast backend, with the reference's borders") {
  const at::Tensor features = volumes(32, 6, 10, 9, 1).view({2, 16, 6, 10, 9});
  const at::Tensor weights = volumes(6, 6, 10, 9, 2).view({2, 3, 6, 10, 9});
  FieldOfPoints reference(Backend::kReference);
  FieldOfPoints fast(Backend::kFast);
  const at::Tensor to_reference = leaf(features);
  const at::Tensor to_fast = leaf(features);
  check_fields(reference, fast, to_reference, to_fast, weights);
  CHECK(relative_difference(to_fast.grad(), to_reference.grad()) < kBf16);
  for (std::size_t i = 0; i < fast.parameters.items().size(); ++i) {
    INFO(fast.parameters.items()[i].name);
    CHECK(relative_difference(fast.parameters.items()[i].value.grad(), reference.parameters.items()[i].value.grad()) <
          kBf16);
  }
  const at::NoGradGuard no_grad;  // of nothing but biases: they are in float32
  CHECK(relative_difference(fast(features * 0.0), reference(features * 0.0)) < 1e-6);
}

TEST_CASE("layers with PReLUs and parallel kernels give the reference's field and gradients within bf16") {
  // Weight gradients of oneDNN in bf16 are wrong where a volume is about as small as the kernel.
  const at::Tensor images = volumes(2, 12, 20, 16, 1);
  const at::Tensor weights = volumes(3, 12, 20, 16, 2);
  LargeKernelNet reference(Backend::kReference);
  LargeKernelNet fast(Backend::kFast);
  check_fields(reference, fast, images, images, weights);
  CHECK(relative_difference(gradients_of(fast.parameters), gradients_of(reference.parameters)) < 3.0 * kBf16);
  for (std::size_t i = 0; i < fast.parameters.items().size(); ++i) {
    const Parameter& parameter = fast.parameters.items()[i];
    INFO(parameter.name);
    if (parameter.value.numel() > 1) {  // a slope's is a sum that cancels
      CHECK(relative_difference(parameter.value.grad(), reference.parameters.items()[i].value.grad()) < 4.0 * kBf16);
    }
  }
  const at::NoGradGuard no_grad;
  CHECK(relative_difference(fast(images), reference(images)) < kBf16);
}

TEST_CASE("what a reader gives back of a PReLU is LibTorch's gradient, of any slope") {
  const double value = GENERATE(0.25, -0.15);
  const at::Tensor raw = leaf(volumes(8, 6, 10, 8, 3).to(at::kBFloat16).to(at::kFloat));
  const at::Tensor slope = leaf(at::full({1}, value));
  const at::Tensor upstream = volumes(8, 6, 10, 8, 4).add(0.3).to(at::kBFloat16);
  at::prelu(raw, slope).backward(upstream.to(at::kFloat));
  fast::Reading reading;
  reading.raw = fast::in_layout(raw.detach());
  reading.slope = slope.detach();
  const fast::ReadingGradient found = fast::given_back(fast::in_layout(upstream), reading);
  CHECK(relative_difference(found.raw, raw.grad()) < 0.005);
  CHECK(relative_difference(found.slope, slope.grad()) < 0.005);
}

TEST_CASE("a PReLU is left to readers beside its result, in trainings alone") {
  LargeKernelNet fast(Backend::kFast);
  const at::Tensor images = volumes(2, 6, 10, 8, 1);
  const Feature trained = (*fast.entry)({Feature(images)});
  CHECK(trained.slope.defined());
  CHECK(trained.activated.defined());
  CHECK_FALSE(trained.activated.requires_grad());
  CHECK(relative_difference(trained.value(), trained.activated) < kBf16);
  const at::NoGradGuard no_grad;
  const Feature inferred = (*fast.entry)({Feature(images)});
  CHECK_FALSE(inferred.slope.defined());
  CHECK(relative_difference(inferred.raw, trained.activated) < kBf16);
}

TEST_CASE("up-sampling and the derivative of a LeakyReLU are left to readers that take them") {
  SmallNet fast(Backend::kFast);
  const Feature low = (*fast.down)({Feature(volumes(8, 6, 10, 8, 1))});
  CHECK(low.deferred);
  CHECK(low.leaky == 0.2);
  CHECK(low.raw.scalar_type() == at::kBFloat16);
  const Feature read = upsample_nearest(low);
  CHECK(read.upsample);
  CHECK(read.raw.is_same(low.raw));
  CHECK(read.value().sizes() == at::IntArrayRef({1, 16, 6, 10, 8}));
  SmallNet reference(Backend::kReference);
  const Feature plain = (*reference.down)({Feature(volumes(8, 6, 10, 8, 1))});
  CHECK_FALSE(plain.deferred);
  CHECK_FALSE(upsample_nearest(plain).upsample);
}

TEST_CASE("a network without a fast form runs by reference whatever is asked for") {
  const NetworkContext fast = {.backend = Backend::kFast, .channels_last = true, .without_data = true};
  CHECK(make_model("voxelmorph-2", Json::object(), fast)->context().backend == Backend::kFast);
  CHECK(make_model("transmorph-affine", Json{{"size", {64, 96, 64}}}, fast)->context().backend == Backend::kReference);
}

}  // namespace regatta::test
