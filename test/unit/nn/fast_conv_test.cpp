// Convolutions of the fast backend against the reference: values, and the gradients that readers give back.
#include "nn/fast/conv.hpp"

#include <optional>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>

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
    return (*head)({full}).value() + resize(low.value().narrow(1, 0, 3).to(at::kFloat), grid_of(images), true);
  }

  Parameters parameters;
  std::optional<Conv3d> down;
  std::optional<Conv3d> join;
  std::optional<Conv3d> head;
};

at::Tensor gradients_of(const Parameters& parameters) {
  at::Tensor all;
  for (const Parameter& parameter : parameters.items()) {
    const at::Tensor one = parameter.value.grad().reshape({-1});
    all = all.defined() ? at::cat({all, one}) : one;
  }
  return all;
}

}  // namespace

TEST_CASE("layers of the fast backend give the reference's field and gradients within bf16") {
  const at::Tensor images = volumes(8, 6, 10, 8, 1);
  const at::Tensor weights = volumes(3, 6, 10, 8, 2);
  SmallNet reference(Backend::kReference);
  SmallNet fast(Backend::kFast);
  const at::Tensor to_reference = leaf(images);
  const at::Tensor to_fast = leaf(images);
  const at::Tensor expected = reference(to_reference);
  const at::Tensor found = fast(to_fast);
  CHECK(found.scalar_type() == at::kFloat);
  CHECK(relative_difference(found, expected) < kBf16);
  (expected * weights).sum().backward();
  (found * weights).sum().backward();
  CHECK(relative_difference(to_fast.grad(), to_reference.grad()) < kBf16);
  CHECK(relative_difference(gradients_of(fast.parameters), gradients_of(reference.parameters)) < kBf16);
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
  CHECK(make_model("transmorph-tiny", Json::object(), fast)->context().backend == Backend::kReference);
}

}  // namespace regatta::test
