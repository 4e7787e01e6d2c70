// Every network on a GPU: the field of the CPU, and gradients that repeat bit for bit where the network says so. What
// is drawn there, and the metrics' fast forms.
#include <algorithm>
#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <nlohmann/json.hpp>

#include "nn/layers/sampling.hpp"
#include "nn/layers/transformer.hpp"
#include "nn/models/parts/transmorph_parts.hpp"
#include "regatta/kernels/draw.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/nn/loss.hpp"
#include "regatta/nn/metric.hpp"
#include "regatta/nn/model.hpp"
#include "support/catch.hpp"
#include "support/golden_network.hpp"
#include "support/golden_pair.hpp"

namespace regatta::test {
namespace {

/// Networks that are made for one size.
Json small_options(const std::string& name) {
  return name.ends_with("-affine") ? Json{{"size", {64, 96, 64}}} : Json::object();
}

struct Step {
  at::Tensor flow;
  std::vector<at::Tensor> gradients;
};

/// One forward and backward pass of a training step with NCC and diffusion.
Step step_of(const std::unique_ptr<Model>& model, const c10::Device& device) {
  model->parameters().to_device(device);
  model->set_training({11, 5});
  PairState pair;
  pair.moving = golden_image(64, 96, 64, 0.0).to(device);
  pair.fixed = golden_image(64, 96, 64, 1.0).to(device);
  const ModelOutput out = model->forward(pair.moving, pair.fixed);
  const PairState seen = with_output(pair, out);
  (make_loss("ncc", Json::object())->value(seen) + make_loss("grad", Json::object())->value(seen)).backward();
  Step step{out.flow.detach().cpu(), {}};
  for (const Parameter& parameter : model->parameters().items()) {
    step.gradients.push_back(parameter.value.grad().defined() ? parameter.value.grad().cpu() : at::Tensor());
  }
  return step;
}

Step step_on(const c10::Device& device, const std::string& name, Backend backend = Backend::kReference) {
  const auto model = make_model(name, small_options(name), {.backend = backend, .channels_last = true});
  REQUIRE(model->context().backend == backend);
  model->parameters().initialise(11);
  return step_of(model, device);
}

/// |a - b| / |b| over all gradients as one vector.
double relative_difference_of(const Step& a, const Step& b) {
  double apart = 0.0;
  double norm = 0.0;
  for (std::size_t i = 0; i < b.gradients.size(); ++i) {
    REQUIRE(a.gradients[i].defined() == b.gradients[i].defined());
    if (b.gradients[i].defined()) {
      apart += (a.gradients[i] - b.gradients[i]).square().sum().item<double>();
      norm += b.gradients[i].square().sum().item<double>();
    }
  }
  return std::sqrt(apart / norm);
}

/// TransMorph's last two decoder blocks, e channels at a quarter of the size, and the convolutions of the images beside
/// them.
struct Decoder {
  Decoder(Backend backend, std::int64_t e, const c10::Device& device)
      : parameters({.backend = backend, .channels_last = true}),
        half(parameters, "half", 2, e / 2),
        full(parameters, "full", 2, 16),
        first(parameters, "first", e, e / 2, e / 2),
        second(parameters, "second", e / 2, 16, 16, true) {
    parameters.initialise(4);
    parameters.to_device(device);
  }

  /// The result, and the gradients of all parameters and of `features`.
  std::vector<at::Tensor> operator()(const at::Tensor& features, const at::Tensor& half_pair,
                                     const at::Tensor& full_pair) const {
    const auto typed = [&](const at::Tensor& tensor) {
      return tensor.to(parameters.context().activations()).contiguous(at::MemoryFormat::ChannelsLast3d);
    };
    const at::Tensor input = typed(features).detach().set_requires_grad(true);
    const at::Tensor out =
        second(first(input, half.skip({typed(half_pair)})), full.skip({typed(full_pair)})).to(at::kFloat);
    out.narrow(4, 0, out.size(4) / 2).square().mean().backward();  // the whole volume's is that of a constant
    std::vector<at::Tensor> all = {out.detach(), input.grad().to(at::kFloat)};
    for (const Parameter& parameter : parameters.items()) {
      all.push_back(parameter.value.grad());
    }
    return all;
  }

  Parameters parameters;
  models::ConvNorm half;
  models::ConvNorm full;
  models::DecoderBlock first;
  models::DecoderBlock second;
};

/// Why our kernels cannot run; empty: they can.
std::string why_no_kernels(const c10::Device& device) {
  return !device.is_cuda() ? "no GPU" : kernels::built() ? "" : kernels::build_text();
}

}  // namespace

TEST_CASE("on a GPU drop path drops what it drops on the CPU, and another step other branches", "[gpu]") {
  const c10::Device device = choose_device("auto");
  if (!why_no_kernels(device).empty()) {
    REGATTA_SKIP(why_no_kernels(device));
  }
  const at::Tensor step = at::full({}, 0.0, at::device(device).dtype(at::kDouble));
  int dropped = 0;
  for (std::int64_t number = 1; number <= 200; ++number) {
    step.fill_(static_cast<double>(number));
    const SampleFactors on_device = drop_path_factors(TrainingDraw{7, 0, step}, 0.3, 5, 4);
    const SampleFactors on_host = drop_path_factors(TrainingDraw{7, number}, 0.3, 5, 4);
    REQUIRE(on_device.on_device.defined());
    CHECK(on_device.on_device.cpu().equal(at::tensor(on_host.on_host, at::kFloat)));
    dropped += static_cast<int>(std::count(on_host.on_host.begin(), on_host.on_host.end(), 0.0));
  }
  CHECK(dropped > 180);
  CHECK(dropped < 300);
  const auto of_device = block_factors(TrainingDraw{7, 0, step}, 0.3, 10, 3);  // of step 200
  const auto of_host = block_factors(TrainingDraw{7, 200}, 0.3, 10, 3);
  for (std::size_t block = 0; block < of_host.size(); ++block) {
    for (std::size_t branch = 0; branch < 2; ++branch) {
      REQUIRE(of_device[block][branch].on_device.is_contiguous());
      CHECK(of_device[block][branch].on_device.cpu().equal(at::tensor(of_host[block][branch].on_host, at::kFloat)));
    }
  }
}

TEST_CASE("on a GPU sampled velocities are the numbers of the CPU generator", "[gpu]") {
  const c10::Device device = choose_device("auto");
  if (!why_no_kernels(device).empty()) {
    REGATTA_SKIP(why_no_kernels(device));
  }
  const at::Tensor like = at::zeros({1, 3, 13, 17, 19}, at::device(device).dtype(at::kFloat));
  const at::Tensor step = at::full({}, 41.0, at::device(device).dtype(at::kDouble));
  const at::Tensor drawn = normal_like(like, {11, 0, step}, 1).cpu();
  const std::vector<float> expected =
      kernels::draw_normal_reference({11, RandomPurpose::kSampling, 1, 0}, 41, like.numel());
  CHECK((drawn.flatten() - at::tensor(expected, at::kFloat)).abs().max().item<double>() < 1e-6);
}

TEST_CASE("on a GPU the fast forms of metrics measure what the reference does", "[gpu]") {
  const c10::Device device = choose_device("auto");
  if (!why_no_kernels(device).empty()) {
    REGATTA_SKIP(why_no_kernels(device));
  }
  PairState pair = golden_pair(1.0);
  pair.flow = pair.flow.to(device, at::kFloat);
  pair.fixed_labels = pair.fixed_labels.to(device);
  pair.moving_labels = pair.moving_labels.to(device);
  pair.fixed = golden_image(37, 45, 70, 0.0).to(device);
  pair.warped = golden_image(37, 45, 70, 1.0).to(device);
  pair.in_unit_range = true;
  const auto check = [&](const char* name, double most_apart) {
    INFO(name);
    const auto metric = find_metric(name).make();
    pair.backend = Backend::kReference;
    CHECK_FALSE(metric->pending(pair).has_value());
    const Measured reference = metric->measure(pair);
    pair.backend = Backend::kFast;
    CHECK(metric->pending(pair).has_value());
    const Measured fast = metric->measure(pair);
    REQUIRE(fast.size() == reference.size());
    for (std::size_t i = 0; i < fast.size(); ++i) {
      CHECK(fast[i].first == reference[i].first);
      CHECK(std::isnan(fast[i].second) == std::isnan(reference[i].second));
      CHECK((std::isnan(fast[i].second) || std::abs(fast[i].second - reference[i].second) <= most_apart));
    }
  };
  const double amplitude = GENERATE(1.0, 3.0);
  INFO("field " << amplitude);
  pair.flow = golden_pair(amplitude).flow.to(device, at::kFloat);
  check("dice", 0.0);
  check("dice_linear", 2e-3);  // a voxel that two labels share to the last digits
  check("ncc", 1e-6);
  check("mse", 0.0);
  check("folding", 0.0);
  check("sdlogj", 1e-12);
  pair.fixed_mask = pair.fixed_labels.gt(0).to(at::kByte);
  check("folding", 0.0);
  check("sdlogj", 1e-12);
}

TEST_CASE("on a GPU all metrics of a pair together are those one by one", "[gpu]") {
  const c10::Device device = choose_device("auto");
  if (!why_no_kernels(device).empty()) {
    REGATTA_SKIP(why_no_kernels(device));
  }
  PairState pair = golden_pair(3.0);
  pair.backend = Backend::kFast;
  pair.in_unit_range = true;
  pair.flow = pair.flow.to(device, at::kFloat);
  pair.fixed_labels = pair.fixed_labels.to(device);
  pair.moving_labels = pair.moving_labels.to(device);
  pair.fixed = golden_image(37, 45, 70, 0.0).to(device);
  pair.warped = golden_image(37, 45, 70, 1.0).to(device);
  std::vector<std::unique_ptr<Metric>> made;
  std::vector<const Metric*> metrics;
  for (const char* name : {"sdlogj", "dice", "hd95", "folding", "ncc", "mse", "dice_linear"}) {
    made.push_back(find_metric(name).make());
    metrics.push_back(made.back().get());
  }
  const std::vector<Measured> together = measure_all(metrics, pair);
  REQUIRE(together.size() == metrics.size());
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    const Measured alone = metrics[i]->measure(pair);
    REQUIRE(together[i].size() == alone.size());
    for (std::size_t k = 0; k < alone.size(); ++k) {
      INFO(alone[k].first);
      CHECK(together[i][k].first == alone[k].first);
      CHECK((together[i][k].second == alone[k].second || std::isnan(alone[k].second)));
    }
  }
}

TEST_CASE("on a GPU networks of the fast backend give the reference's field and gradients, twice the same", "[gpu]") {
  const c10::Device device = choose_device("auto");
  if (!why_no_kernels(device).empty()) {
    REGATTA_SKIP(why_no_kernels(device));
  }
  set_deterministic(false);
  for (const char* name :
       {"vfa", "voxelmorph-2", "voxelmorph", "voxelmorph-pairwise", "voxelmorph-diff", "lkunet", "unet", "symnet",
        "fourier-net", "fourier-net-plus", "transmorph-small", "transmorph-diff", "transmorph-bspl"}) {
    INFO(name);
    const Step reference = step_on(device, name);
    const Step fast = step_on(device, name, Backend::kFast);
    const Step again = step_on(device, name, Backend::kFast);
    const double field = relative_difference(fast.flow, reference.flow);
    const double gradients = relative_difference_of(fast, reference);
    std::cout << name << ": field " << field << ", gradients " << gradients << " from the reference" << std::endl;
    CHECK((field < 0.06 ||
           (fast.flow - reference.flow).abs().max().item<double>() < 1e-4));  // velocities are kept in 16 bits
    CHECK(gradients < (std::string(name) == "vfa" ? 0.25 : 0.15));            // bf16 through its 22 norms
    CHECK(relative_difference_of(again, fast) == 0.0);
  }
}

TEST_CASE("on a GPU decoder blocks of widths that have no kernels of their own give the reference's gradients",
          "[gpu]") {
  const c10::Device device = choose_device("auto");
  if (!why_no_kernels(device).empty()) {
    REGATTA_SKIP(why_no_kernels(device));
  }
  set_deterministic(false);
  const auto volumes = [&](std::int64_t channels, std::int64_t D, std::int64_t H, std::int64_t W, std::uint64_t seed) {
    const at::Tensor values = noise(D * channels, H, W, seed).view({1, channels, D, H, W}).sub(0.5);
    return values.to(at::kBFloat16).to(device, at::kFloat);
  };
  for (const std::int64_t e : {48, 96}) {
    const at::Tensor features = volumes(e, 24, 48, 48, 1);
    const at::Tensor half = volumes(2, 48, 96, 96, 2);  // above 400 000 voxels
    const at::Tensor full = volumes(2, 96, 192, 192, 3);
    const std::vector<at::Tensor> expected = Decoder(Backend::kReference, e, device)(features, half, full);
    const std::vector<at::Tensor> found = Decoder(Backend::kFast, e, device)(features, half, full);
    const std::vector<at::Tensor> again = Decoder(Backend::kFast, e, device)(features, half, full);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const double apart = relative_difference(found[i], expected[i]);
      std::cout << e << " channels, " << i << ": " << apart << std::endl;
      // The same decoder in float64 with its weights, features and gradients rounded to bf16: .008 and up to .076.
      CHECK(apart < (i == 0 ? 1.5e-2 : 0.11));
      CHECK(found[i].equal(again[i]));
    }
  }
}

TEST_CASE("networks on a GPU repeat their gradients bit for bit where they say so", "[gpu]") {
  const c10::Device device = choose_device("auto");
  if (!device.is_cuda()) {
    REGATTA_SKIP("no GPU");
  }
  set_deterministic(false);
  for (const ModelRow& row : model_rows()) {
    const bool numerical = row.make(row.name, small_options(row.name), {})->numerical_on_cuda();
    const Step first = step_on(device, row.name);
    const Step second = step_on(device, row.name);
    bool same = true;
    for (std::size_t i = 0; i < first.gradients.size(); ++i) {
      same = same && (!first.gradients[i].defined() || first.gradients[i].equal(second.gradients[i]));
    }
    std::cout << row.name << ": gradients " << (same ? "repeat" : "differ") << ", says "
              << (numerical ? "numerical" : "bitwise") << std::endl;
    INFO(row.name);
    CHECK(first.flow.equal(second.flow));
    CHECK((same || numerical));
  }
}

TEST_CASE("networks on a GPU give the field of the CPU", "[gpu]") {
  const c10::Device device = choose_device("auto");
  if (!device.is_cuda()) {
    REGATTA_SKIP("no GPU");
  }
  set_deterministic(false);
  for (const ModelRow& row : model_rows()) {
    const std::string name = row.name;
    if (name.find("large") != std::string::npos || name.find("huge") != std::string::npos) {
      continue;  // minutes on a CPU; the same code as their smaller forms
    }
    INFO(name);
    const Step gpu = step_on(device, name);
    const Step cpu = step_on(c10::Device(c10::kCPU), name);
    const double difference = (gpu.flow - cpu.flow).abs().mean().item<double>();
    const double size = cpu.flow.abs().mean().item<double>();
    std::cout << name << ": mean difference of the field " << difference << " of " << size << " voxels" << std::endl;
    // Networks that draw velocities have other draws on each kind of device, tiny at the start.
    CHECK(difference < 1e-3 * size + 2e-2);
  }
}

}  // namespace regatta::test
