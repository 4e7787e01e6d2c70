// The vocabulary of layers: each memory-lean form against the plain one, values and derivatives.
#include <atomic>
#include <memory>
#include <string_view>

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/conv3d.h>
#include <ATen/ops/conv_transpose3d.h>
#include <ATen/ops/full.h>
#include <ATen/ops/instance_norm.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/prelu.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/upsample_trilinear3d.h>
#include <ATen/record_function.h>

#include "nn/layers/conv.hpp"
#include "nn/layers/norm.hpp"
#include "nn/layers/recompute.hpp"
#include "nn/layers/resize.hpp"
#include "nn/layers/transformer.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/nn/work.hpp"
#include "support/catch.hpp"
#include "support/golden_network.hpp"

namespace regatta::test {
namespace {

/// `channels` different volumes as the channels of one float32 batch.
at::Tensor channels_of_noise(std::int64_t channels, std::uint64_t seed) {
  std::vector<at::Tensor> volumes;
  for (std::int64_t c = 0; c < channels; ++c) {
    volumes.push_back(noise(4, 6, 5, seed + static_cast<std::uint64_t>(c)).sub(0.5));
  }
  return at::cat(volumes, 1).to(at::kFloat);
}

at::Tensor leaf(const at::Tensor& tensor) {
  return tensor.detach().clone().set_requires_grad(true);
}

/// A scalar that weighs every value differently.
at::Tensor weighed(const at::Tensor& tensor) {
  return (tensor * tensor.detach().cos().add(0.3)).sum();
}

struct ConvCase {
  Parameters parameters;
  std::vector<at::Tensor> inputs;

  std::vector<at::Tensor> gradients() {
    std::vector<at::Tensor> all;
    for (const at::Tensor& input : inputs) {
      all.push_back(input.grad());
    }
    for (const Parameter& parameter : parameters.items()) {
      all.push_back(parameter.value.grad().clone());
      parameter.value.mutable_grad().reset();
    }
    return all;
  }
};

}  // namespace

TEST_CASE("a convolution of a list equals the convolution of the concatenation, with its gradients") {
  for (const std::int64_t second : {2, 9}) {
    INFO("channels " << second);
    ConvCase ours;
    const Conv3d conv(ours.parameters, "block",
                      {.in = 8 + second, .out = 3, .stride = 2, .activation = Activation::leaky(0.2)});
    set_golden_weights(ours.parameters);
    ours.inputs = {leaf(channels_of_noise(8, 1)), leaf(channels_of_noise(second, 20))};
    const at::Tensor out = conv({ours.inputs[0], ours.inputs[1]}).value();
    CHECK(out.sizes() == at::IntArrayRef({1, 3, 2, 3, 3}));
    weighed(out).backward();
    const auto got = ours.gradients();
    std::vector<at::Tensor> plain = {leaf(ours.inputs[0]), leaf(ours.inputs[1])};
    const at::Tensor expected = at::leaky_relu(
        at::conv3d(at::cat(plain, 1), ours.parameters.items()[0].value, ours.parameters.items()[1].value, 2, 1), 0.2);
    weighed(expected).backward();
    CHECK(relative_difference(out, expected) < 1e-6);
    ours.inputs = plain;
    const auto want = ours.gradients();
    for (std::size_t i = 0; i < want.size(); ++i) {
      CHECK(relative_difference(got[i], want[i]) < 1e-5);
    }
  }
}

TEST_CASE("a convolution of one small volume equals the plain sums in float64, with its gradients") {
  struct Case {
    std::array<std::int64_t, 3> size;
    std::int64_t stride;
    std::int64_t kernel;
    bool prelu;
    bool channels_last;
  };
  const Case given = GENERATE(
      Case{{8, 6, 5}, 1, 3, false, true}, Case{{7, 6, 5}, 1, 3, false, true}, Case{{8, 6, 5}, 1, 3, true, true},
      Case{{7, 9, 6}, 1, 3, true, false}, Case{{9, 12, 14}, 2, 3, false, true}, Case{{12, 12, 11}, 2, 3, true, true},
      Case{{13, 15, 16}, 3, 3, false, false}, Case{{1, 9, 12}, 1, 3, false, true}, Case{{3, 4, 5}, 1, 3, true, true},
      Case{{8, 6, 5}, 1, 1, true, true}, Case{{8, 6, 5}, 1, 5, false, true});
  const auto [d, h, w] = given.size;
  INFO("size " << d << 'x' << h << 'x' << w << ", stride " << given.stride << ", kernel " << given.kernel << ", PReLU "
               << given.prelu << ", channels last " << given.channels_last);
  Parameters parameters;
  const Conv3d conv(
      parameters, "block",
      {.in = 4, .out = 6, .kernel = given.kernel, .stride = given.stride, .activation = Activation::leaky(0.2)});
  set_golden_weights(parameters);
  std::vector<at::Tensor> volumes;
  for (std::uint64_t c = 0; c < 4; ++c) {
    volumes.push_back(noise(d, h, w, c + 1).sub(0.5));
  }
  const auto format = given.channels_last ? at::MemoryFormat::ChannelsLast3d : at::MemoryFormat::Contiguous;
  const at::Tensor input = at::cat(volumes, 1).to(at::kFloat).contiguous(format).requires_grad_(true);
  const at::Tensor slope = at::full({1}, -0.3, at::kFloat).requires_grad_(true);
  const at::Tensor out = conv({given.prelu ? Feature(input, slope) : Feature(input)}).value();
  weighed(out).backward();

  std::vector<at::Tensor> exact;
  for (const at::Tensor& tensor : {input, slope, parameters.items()[0].value, parameters.items()[1].value}) {
    exact.push_back(leaf(tensor.to(at::kDouble)));
  }
  const at::Tensor read = given.prelu ? at::prelu(exact[0], exact[1]) : exact[0];
  const at::Tensor expected = at::leaky_relu(at::conv3d(read, exact[2], exact[3], given.stride, given.kernel / 2), 0.2);
  weighed(expected).backward();
  CHECK(out.sizes() == expected.sizes());
  CHECK(relative_difference(out, expected) < 1e-5);
  CHECK(relative_difference(input.grad(), exact[0].grad()) < 1e-5);
  CHECK(relative_difference(parameters.items()[0].value.grad(), exact[2].grad()) < 1e-5);
  CHECK(relative_difference(parameters.items()[1].value.grad(), exact[3].grad()) < 1e-5);
  if (given.prelu) {
    CHECK(relative_difference(slope.grad(), exact[1].grad()) < 1e-4);
  }
}

// LibTorch's plain convolution, which it takes for one sample of a small volume, needs 3.7 times as long as two
// samples (docs/performance.md).
TEST_CASE("on the CPU a convolution of one small pair does not take LibTorch's plain path, forward and backward") {
  if (!at::hasMKLDNN()) {
    REGATTA_SKIP("LibTorch was built without oneDNN");
  }
  static std::atomic<int> plain_calls{0};
  const auto handle =
      at::addGlobalCallback(at::RecordFunctionCallback([](const at::RecordFunction& call) {
                              if (std::string_view(call.name()).find("slow_conv3d") != std::string_view::npos) {
                                ++plain_calls;
                              }
                              return std::unique_ptr<at::ObserverContext>();
                            }).scopes({at::RecordScope::FUNCTION}));
  Parameters parameters;
  const Conv3d conv(parameters, "block", {.in = 8, .out = 8});
  set_golden_weights(parameters);
  const at::Tensor input =
      at::ones({1, 8, 24, 24, 24}, at::kFloat).contiguous(at::MemoryFormat::ChannelsLast3d).requires_grad_(true);
  at::conv3d(input, parameters.items()[0].value);
  const int of_libtorch = plain_calls.exchange(0);
  weighed(conv({input}).value()).backward();
  const int of_layer = plain_calls;
  at::removeCallback(handle);
  CHECK(of_libtorch > 0);
  CHECK(of_layer == 0);
}

TEST_CASE("a PReLU that readers apply has the gradients of one that is applied at once, negative slopes too") {
  for (const double slope : {0.25, -0.5, 0.0}) {
    INFO("slope " << slope);
    ConvCase ours;
    const Conv3d first(ours.parameters, "a.0",
                       {.in = 2, .out = 8, .activation = Activation::prelu(), .slope_name = "a.1.weight"});
    const Conv3d second(ours.parameters, "b", {.in = 8, .out = 2, .bias = false});
    const UpConv3d up(ours.parameters, "c.0",
                      {.in = 8, .out = 3, .activation = Activation::prelu(), .slope_name = "c.1.weight"});
    set_golden_weights(ours.parameters);
    const at::Tensor& a_slope = ours.parameters.items()[2].value;
    const at::Tensor& c_slope = ours.parameters.items()[6].value;
    {
      const at::NoGradGuard no_grad;
      a_slope.fill_(slope);
    }
    ours.inputs = {leaf(channels_of_noise(2, 3))};
    const Feature feature = first({ours.inputs[0]});
    const at::Tensor out = weighed(second({feature}).value()) + weighed(up(feature).value());
    out.backward();
    const auto got = ours.gradients();

    const auto& items = ours.parameters.items();
    std::vector<at::Tensor> plain = {leaf(ours.inputs[0])};
    const at::Tensor hidden = at::prelu(at::conv3d(plain[0], items[0].value, items[1].value, 1, 1), a_slope);
    const at::Tensor raised = at::prelu(at::conv_transpose3d(hidden, items[4].value, items[5].value, 2), c_slope);
    const at::Tensor expected = weighed(at::conv3d(hidden, items[3].value, {}, 1, 1)) + weighed(raised);
    expected.backward();
    CHECK(relative_difference(out, expected) < 1e-6);
    ours.inputs = plain;
    const auto want = ours.gradients();
    for (std::size_t i = 0; i < want.size(); ++i) {
      INFO("gradient " << i);
      CHECK((got[i] - want[i]).norm().item<double>() < 1e-5 * (1.0 + want[i].norm().item<double>()));
    }
  }
}

TEST_CASE("the large-kernel block folds into one kernel") {
  Parameters parallel;
  const LargeKernelConv block(parallel, "ec3", 3, 5, false);
  set_golden_weights(parallel);
  Parameters one;
  const LargeKernelConv folded(one, "ec3", 3, 5, true);
  const auto& items = parallel.items();
  {
    const at::NoGradGuard no_grad;
    one.items()[0].value.copy_(fold_kernels({items[0].value, items[2].value, items[4].value}, 5));
    one.items()[1].value.copy_(items[1].value + items[3].value + items[5].value);
    one.items()[2].value.copy_(items[6].value);
  }
  CHECK(one.items()[0].name == "ec3.folded.weight");
  const at::Tensor input = channels_of_noise(3, 7);
  CHECK(relative_difference(folded({input}).value(), block({input}).value()) < 1e-6);
}

TEST_CASE("instance norm equals LibTorch's, with and without scale, and its gradients") {
  for (const bool affine : {false, true}) {
    INFO("affine " << affine);
    Parameters parameters;
    const Activation leaky = Activation::leaky(0.01);
    const InstanceNorm norm = affine ? InstanceNorm(parameters, "n", 4, leaky) : InstanceNorm(leaky);
    set_golden_weights(parameters);
    const at::Tensor ours = leaf(channels_of_noise(4, 11));
    const at::Tensor plain = leaf(ours);
    const at::Tensor out = norm(ours);
    weighed(out).backward();
    std::vector<at::Tensor> got = {ours.grad()};
    std::vector<at::Tensor> want;
    at::Tensor weight;
    at::Tensor bias;
    if (affine) {
      weight = leaf(parameters.items()[0].value);
      bias = leaf(parameters.items()[1].value);
      got.push_back(parameters.items()[0].value.grad());
      got.push_back(parameters.items()[1].value.grad());
    }
    const at::Tensor expected =
        at::leaky_relu(at::instance_norm(plain, weight, bias, {}, {}, true, 0.1, 1e-5, false), 0.01);
    weighed(expected).backward();
    want = {plain.grad()};
    if (affine) {
      want.push_back(weight.grad());
      want.push_back(bias.grad());
    }
    CHECK(relative_difference(out, expected) < 1e-5);
    for (std::size_t i = 0; i < want.size(); ++i) {
      CHECK(relative_difference(got[i], want[i]) < 1e-4);
    }
  }
}

TEST_CASE("window attention equals the plain form, with regions and bias, and its gradients") {
  const std::int64_t heads = 2;
  const at::Tensor flat = channels_of_noise(36, 5).flatten();                          // 4320 values
  const at::Tensor base = flat.narrow(0, 0, 4 * 6 * 3 * 8).view({4, 6, 24}).mul(3.0);  // 2 volumes of 2 windows
  const at::Tensor bias_base = flat.narrow(0, 600, heads * 36).view({heads, 6, 6});
  const at::Tensor regions = channels_of_noise(1, 9).flatten().narrow(0, 0, 12).view({2, 6}).gt(0.0).to(at::kLong);
  for (const bool masked : {false, true}) {
    const at::Tensor qkv = leaf(base);
    const at::Tensor bias = leaf(bias_base);
    const at::Tensor qkv_plain = leaf(base);
    const at::Tensor bias_plain = leaf(bias_base);
    const at::Tensor rows = masked ? regions : at::Tensor();
    const at::Tensor out = window_attention(qkv, bias, rows, heads);
    const at::Tensor expected = window_attention_plain(qkv_plain, bias_plain, rows, heads);
    weighed(out).backward();
    weighed(expected).backward();
    CHECK(relative_difference(out, expected) < 1e-6);
    CHECK(relative_difference(qkv.grad(), qkv_plain.grad()) < 1e-5);
    CHECK(relative_difference(bias.grad(), bias_plain.grad()) < 1e-5);
  }
}

TEST_CASE("a part that is recomputed has the gradients of one that is kept, its parameters too") {
  Parameters parameters;
  const Linear linear(parameters, "fc", {.in = 5, .out = 5});
  set_golden_weights(parameters);
  const at::Tensor base = channels_of_noise(1, 2).flatten().narrow(0, 0, 20).view({4, 5});
  std::vector<at::Tensor> input_gradients;
  std::vector<at::Tensor> weight_gradients;
  for (const bool on : {false, true}) {
    const at::Tensor input = leaf(base);
    const at::Tensor out = recomputed(on, input, [&](const at::Tensor& x) { return linear(linear(x).sin()); });
    weighed(out).backward();
    input_gradients.push_back(input.grad());
    weight_gradients.push_back(parameters.items()[0].value.grad().clone());
    parameters.items()[0].value.mutable_grad().reset();
  }
  CHECK(relative_difference(input_gradients[1], input_gradients[0]) < 1e-6);
  CHECK(relative_difference(weight_gradients[1], weight_gradients[0]) < 1e-6);
}

TEST_CASE("trilinear resizing equals LibTorch's, and a field is scaled with its grid") {
  const at::Tensor volume = leaf(channels_of_noise(3, 4));
  const at::Tensor plain = leaf(volume);
  for (const bool corners : {false, true}) {
    const at::Tensor out = resize(volume, {7, 6, 10}, {.align_corners = corners});
    const at::Tensor expected = at::upsample_trilinear3d(plain, at::IntArrayRef({7, 6, 10}), corners);
    CHECK(out.equal(expected));
    weighed(out).backward();
    weighed(expected).backward();
    CHECK(relative_difference(volume.grad(), plain.grad()) < 1e-6);
  }
  const at::Tensor field = resize_field(channels_of_noise(3, 4), {8, 12, 10});
  CHECK(relative_difference(field, upsample_trilinear(channels_of_noise(3, 4)) * 2.0) < 1e-6);
  CHECK(upsample_nearest(volume)[0][0][5][2][7].item<float>() == volume[0][0][2][1][3].item<float>());
}

TEST_CASE("drop path draws from seed and step, keeps the mean and leaves evaluation alone") {
  CHECK(drop_path_factors(std::nullopt, 0.3, 1, 2).on_host == std::vector<double>{1.0, 1.0});
  const TrainingDraw draw{7, 123};
  CHECK(drop_path_factors(draw, 0.3, 4, 8).on_host == drop_path_factors(draw, 0.3, 4, 8).on_host);
  double sum = 0.0;
  for (std::int64_t step = 0; step < 4000; ++step) {
    sum += drop_path_factors(TrainingDraw{7, step}, 0.3, 4, 1).on_host.front();
  }
  CHECK(sum / 4000.0 == Approx(1.0).margin(0.03));
  const auto blocks = block_factors(draw, 0.4, 5, 8);
  REQUIRE(blocks.size() == 5);
  CHECK(blocks[0][1].on_host == std::vector<double>(8, 1.0));
  CHECK(blocks[3][1].on_host == drop_path_factors(draw, 0.4 * 3 / 4, 7, 8).on_host);
  const at::Tensor input = channels_of_noise(1, 1);
  Parameters parameters;
  const LayerNorm norm(parameters, "norm", input.size(4));
  const auto twice = [&](const at::Tensor& normed) {
    CHECK(normed.mean(4).abs().max().item<double>() < 1e-6);
    return Unbiased{input * 2.0};
  };
  CHECK(add_branch({input}, {{1.0}}, norm, twice).value().equal(input * 3.0));
  CHECK(add_branch({input}, {{0.0}}, norm, twice).value().is_same(input));
  CHECK(relative_difference(add_branch({input}, {{1.25}}, norm, twice).value(), input * 3.5) < 1e-6);
}

TEST_CASE("drop path gives the same bits by factors of the host and of the device, branches of parts of a batch too") {
  const at::Tensor batch = at::cat({channels_of_noise(1, 1), channels_of_noise(1, 2), channels_of_noise(1, 3)});
  Parameters parameters;
  const LayerNorm norm(parameters, "norm", batch.size(4));
  const auto twice = [&](const at::Tensor&) { return Unbiased{batch * 2.0}; };
  for (const std::vector<double>& factors : std::vector<std::vector<double>>{
           {1.0, 1.0, 1.0}, {0.0, 0.0, 0.0}, {1.0 / 0.7, 0.0, 1.0 / 0.7}, {0.0, 1.0 / 0.85, 0.0}}) {
    const at::Tensor by_host = add_branch({batch}, {factors}, norm, twice).value();
    CHECK(add_branch({batch}, {{}, at::tensor(factors, at::kFloat)}, norm, twice).value().equal(by_host));
  }
}

TEST_CASE("layers count their work, a transposed convolution at its input") {
  const at::NoGradGuard no_grad;
  Parameters parameters;
  const Conv3d conv(parameters, "conv", {.in = 3, .out = 2, .stride = 2});
  const UpConv3d up(parameters, "up", {.in = 2, .out = 4});
  const Linear linear(parameters, "linear", {.in = 4, .out = 7});
  const WorkCount count;
  const at::Tensor half = conv({channels_of_noise(3, 1)}).value();  // [1, 2, 2, 3, 3]
  linear(up({half}).value().permute({0, 2, 3, 4, 1}));              // [1, 4, 6, 6, 4]
  CHECK(count.work().convolution == 18.0 * 162 + 18.0 * 64);
  CHECK(count.work().linear == 144.0 * 28);
  CHECK(count.work().published == 18.0 * 162 + 144.0 * 64 + 28);
}

}  // namespace regatta::test
