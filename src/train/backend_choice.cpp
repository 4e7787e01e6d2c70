#include "regatta/train/backend_choice.hpp"

#include "regatta/base/error.hpp"
#include "regatta/kernels/device.hpp"

namespace regatta {

const char* backend_name(Backend backend) {
  return backend == Backend::kFast ? "fast" : "reference";
}

std::string why_not_fast(const at::Device& device) {
  if (!device.is_cuda()) {
    return "the device is not a GPU";
  }
  if (!kernels::built()) {
    return str("this build has no CUDA kernels: ", kernels::build_text());
  }
  const kernels::Capability chip = kernels::capability(device.index());
  return chip.usable() ? "" : str("the GPU has compute capability ", chip.major, ".", chip.minor, ", 8.0 is needed");
}

Backend choose_backend(const std::string& text, const at::Device& device) {
  REGATTA_REQUIRE(text == "auto" || text == "fast" || text == "reference", ConfigError, "/run/backend: '",
                  one_line(text, 60), "', have: auto, fast, reference");
  if (text == "reference") {
    return Backend::kReference;
  }
  const std::string lack = why_not_fast(device);
  if (text == "fast" && !lack.empty()) {
    const std::string line = str("/run/backend: fast, but ", lack, "; auto and reference run here");
    REGATTA_REQUIRE(!device.is_cuda() || kernels::built(), NotBuilt, line);
    throw DeviceError(line);
  }
  return lack.empty() ? Backend::kFast : Backend::kReference;
}

Backend continued_backend(const std::string& text, const std::string& before, const at::Device& device) {
  return choose_backend(text == "auto" && before == backend_name(Backend::kReference) ? before : text, device);
}

Backend priced_backend(const RunOptions& run) {
  return run.backend == "reference" || run.device == "cpu" ? Backend::kReference : Backend::kFast;
}

NetworkContext network_context(const RunOptions& run, const at::Device& device, Backend backend) {
  return {.backend = backend,
          .channels_last = run.channels_last || backend == Backend::kFast,
          .without_data = device.is_meta()};
}

}  // namespace regatta
