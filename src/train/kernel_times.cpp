#include "regatta/train/kernel_times.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <torch/csrc/autograd/profiler_kineto.h>

#include "regatta/nn/device.hpp"

namespace regatta {
namespace {

namespace profiler = torch::autograd::profiler;

/// "void a::b<2>(float*, int)" -> "a::b<2>"
std::string without_arguments(std::string name) {
  if (const std::string prefix = "void "; name.rfind(prefix, 0) == 0) {
    name.erase(0, prefix.size());
  }
  if (name.empty() || name.back() != ')') {
    return name;
  }
  int depth = 0;
  for (std::size_t i = name.size(); i-- > 0;) {
    depth += name[i] == ')' ? 1 : name[i] == '(' ? -1 : 0;
    if (depth == 0) {
      return name.substr(0, i);
    }
  }
  return name;
}

}  // namespace

KernelWatch::KernelWatch(const at::Device& device) : device_(device) {
  begin();
}

KernelWatch::~KernelWatch() {
  if (running_) {
    profiler::disableProfiler();
  }
}

void KernelWatch::begin() {
  using torch::profiler::impl::ActivityType;
  if (!device_.is_cuda()) {
    return;
  }
  synchronize(device_);
  const torch::profiler::impl::ProfilerConfig config(torch::profiler::impl::ProfilerState::KINETO);
  const std::set<ActivityType> activities = {ActivityType::CUDA};
  profiler::prepareProfiler(config, activities);
  profiler::enableProfiler(config, activities);
  running_ = true;
}

std::vector<KernelTime> KernelWatch::take() {
  if (!running_) {
    return {};
  }
  synchronize(device_);
  const auto result = profiler::disableProfiler();
  running_ = false;
  std::map<std::string, KernelTime> by_name;
  for (const profiler::KinetoEvent& event : result->events()) {
    if (event.deviceType() == c10::DeviceType::CUDA) {
      KernelTime& kernel = by_name[without_arguments(event.name())];
      kernel.calls += 1;
      kernel.ms += 1e-6 * static_cast<double>(event.durationNs());
    }
  }
  std::vector<KernelTime> all;
  for (auto& [name, kernel] : by_name) {
    kernel.name = name;
    all.push_back(kernel);
  }
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.ms > b.ms; });
  begin();
  return all;
}

double total_ms(const std::vector<KernelTime>& kernels) {
  double total = 0.0;
  for (const KernelTime& kernel : kernels) {
    total += kernel.ms;
  }
  return total;
}

}  // namespace regatta
