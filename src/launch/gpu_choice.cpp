// GPUs by CUDA_VISIBLE_DEVICES, NVML and /proc.
#include "regatta/launch/gpu_choice.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "launch/nvml.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/text.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

/// The devices that CUDA would see: up to the first invalid entry, as CUDA itself reads the list.
std::vector<std::string> visible_devices(const GpuSituation& situation) {
  std::vector<std::string> devices;
  if (!situation.visible) {
    for (int index = 0; index < situation.present; ++index) {
      devices.push_back(str(index));
    }
    return devices;
  }
  for (const std::string& part : split(*situation.visible, ',')) {
    const std::string name(trim(part));
    if (name.empty() || name.starts_with('-') || name == "NoDevFiles") {
      break;
    }
    devices.push_back(name);
  }
  return devices;
}

int count_entries(const fs::path& folder, const std::string& prefix) {
  int count = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    const std::string rest = name.starts_with(prefix) ? name.substr(prefix.size()) : "";
    if (prefix.empty() || (!rest.empty() && rest.find_first_not_of("0123456789") == std::string::npos)) {
      ++count;
    }
  }
  return count;
}

}  // namespace

GpuChoice choose_gpu(const GpuSituation& situation) {
  if (situation.wanted == "cpu") {
    return {};
  }
  const auto devices = visible_devices(situation);
  const int count = static_cast<int>(devices.size());
  if (count == 0) {
    REGATTA_REQUIRE(situation.wanted == "auto", DeviceError, "device: '", situation.wanted, "' is wanted, but ",
                    situation.visible ? str("CUDA_VISIBLE_DEVICES is '", *situation.visible, "'")
                                      : std::string("this machine has no GPU"));
    return {};
  }
  const int index = count == 1 ? 0 : situation.local_rank;
  REGATTA_REQUIRE(index < count, DeviceError, "device: ", situation.local_size, " ranks on this machine, but ", count,
                  " visible GPUs: start one rank per GPU, or give --device cpu");
  return {"cuda:0", devices[static_cast<std::size_t>(index)], index};
}

int count_gpus() {
  if (const auto report = nvml_report()) {
    return static_cast<int>(report->gpus.size());
  }
  const int listed = count_entries("/proc/driver/nvidia/gpus", "");
  return listed > 0 ? listed : count_entries("/dev", "nvidia");
}

int count_visible_gpus() {
  GpuSituation situation;
  if (const char* visible = std::getenv("CUDA_VISIBLE_DEVICES"); visible != nullptr) {
    situation.visible = visible;
  }
  situation.present = count_gpus();
  return std::min(static_cast<int>(visible_devices(situation).size()), situation.present);
}

std::string gpu_identity(const GpuChoice& choice) {
  if (!choice.is_gpu()) {
    return "";
  }
  const bool is_number =
      choice.visible.find_first_not_of("0123456789") == std::string::npos && choice.visible.size() < 6;
  if (const auto report = nvml_report(); report && is_number) {
    const std::size_t number = std::stoul(choice.visible);
    if (number < report->gpus.size()) {
      return report->gpus[number].uuid;
    }
  }
  return choice.visible;
}

void check_gpu_is_own(const std::vector<std::pair<std::string, std::string>>& identities, int rank) {
  const auto& own = identities.at(static_cast<std::size_t>(rank));
  for (int other = 0; other < rank && !own.second.empty(); ++other) {
    REGATTA_REQUIRE(identities[static_cast<std::size_t>(other)] != own, DeviceError, "device: ranks ", other, " and ",
                    rank, " of ", own.first, " would share GPU ", own.second,
                    ": one rank per GPU (srun: --gpus-per-node with --gpu-bind=none), or give --device cpu");
  }
}

}  // namespace regatta
