#include "regatta/nn/parameters.hpp"

#include <cstdint>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "regatta/base/error.hpp"
#include "regatta/base/random.hpp"

namespace regatta {
namespace {

float draw(const CounterRng& rng, const Init& init, std::uint64_t element, std::uint32_t tensor) {
  switch (init.kind) {
    case Init::Kind::kUniform: return static_cast<float>((2.0 * rng.uniform(element, tensor) - 1.0) * init.scale);
    case Init::Kind::kNormal: return static_cast<float>(rng.normal(element, tensor) * init.scale);
    case Init::Kind::kConstant: break;
  }
  return static_cast<float>(init.scale);
}

}  // namespace

at::Tensor Parameters::add(const std::string& name, std::vector<std::int64_t> shape, Init init) {
  for (const Parameter& item : items_) {
    REGATTA_REQUIRE(item.name != name, BugError, "parameter '", name, "' is registered twice");
  }
  const at::Device device = context_.without_data ? at::kMeta : at::kCPU;
  at::Tensor value = at::zeros(shape, at::device(device).dtype(at::kFloat));
  value.set_requires_grad(true);
  items_.push_back({name, value, init});
  return value;
}

std::int64_t Parameters::count() const {
  std::int64_t total = 0;
  for (const Parameter& item : items_) {
    total += item.value.numel();
  }
  return total;
}

void Parameters::initialise(std::uint64_t seed) {
  const at::NoGradGuard no_grad;
  const CounterRng rng(seed, RandomPurpose::kInitialise);
  for (std::size_t index = 0; index < items_.size(); ++index) {
    Parameter& item = items_[index];
    if (item.value.is_meta()) {
      continue;
    }
    const at::Tensor drawn = at::empty(item.value.sizes(), at::TensorOptions().dtype(at::kFloat));
    float* values = drawn.data_ptr<float>();
    for (std::int64_t i = 0; i < drawn.numel(); ++i) {
      values[i] = draw(rng, item.init, static_cast<std::uint64_t>(i), static_cast<std::uint32_t>(index));
    }
    item.value.copy_(drawn);
  }
}

void Parameters::to_device(const at::Device& device) {
  const at::NoGradGuard no_grad;
  for (Parameter& item : items_) {
    if (item.value.device() != device) {
      item.value.set_data(item.value.to(device));  // the tensor object stays: layers hold it too
      item.value.mutable_grad().reset();
    }
  }
}

}  // namespace regatta
