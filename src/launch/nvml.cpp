// NVML by dlopen: no header and no library of NVIDIA is needed to build.
#include "launch/nvml.hpp"

#include <array>
#include <memory>

#include <dlfcn.h>

namespace regatta {
namespace {

// From nvml.h, whose binary interface is stable: 0 is success, a device is an opaque pointer, texts take 96 bytes.
struct Memory {
  unsigned long long total = 0;
  unsigned long long free = 0;
  unsigned long long used = 0;
};
using Init = int (*)();
using Shutdown = int (*)();
using DriverVersion = int (*)(char*, unsigned);
using DeviceCount = int (*)(unsigned*);
using DeviceByIndex = int (*)(unsigned, void**);
using DeviceText = int (*)(void*, char*, unsigned);
using DeviceMemory = int (*)(void*, Memory*);
using Text = std::array<char, 96>;

template <class Function>
Function find(void* library, const char* name) {
  return reinterpret_cast<Function>(::dlsym(library, name));
}

/// What is not needed to run a sweep: a library that lacks it is good enough.
void add_details(void* library, void* device, NvmlGpu& gpu) {
  Text name{};
  const auto name_of = find<DeviceText>(library, "nvmlDeviceGetName");
  if (name_of != nullptr && name_of(device, name.data(), static_cast<unsigned>(name.size())) == 0) {
    gpu.name = name.data();
  }
  Memory memory;
  const auto memory_of = find<DeviceMemory>(library, "nvmlDeviceGetMemoryInfo");
  if (memory_of != nullptr && memory_of(device, &memory) == 0) {
    gpu.memory_bytes = static_cast<std::int64_t>(memory.total);
    gpu.used_bytes = static_cast<std::int64_t>(memory.used);
  }
}

}  // namespace

std::optional<NvmlReport> nvml_report() {
  const std::unique_ptr<void, int (*)(void*)> library(
      ::dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL),
      [](void* handle) { return handle == nullptr ? 0 : ::dlclose(handle); });
  if (!library) {
    return std::nullopt;
  }
  const auto init = find<Init>(library.get(), "nvmlInit_v2");
  const auto shutdown = find<Shutdown>(library.get(), "nvmlShutdown");
  const auto device_count = find<DeviceCount>(library.get(), "nvmlDeviceGetCount_v2");
  const auto by_index = find<DeviceByIndex>(library.get(), "nvmlDeviceGetHandleByIndex_v2");
  const auto uuid_of = find<DeviceText>(library.get(), "nvmlDeviceGetUUID");
  const auto driver_of = find<DriverVersion>(library.get(), "nvmlSystemGetDriverVersion");
  if (init == nullptr || shutdown == nullptr || device_count == nullptr || by_index == nullptr || uuid_of == nullptr ||
      init() != 0) {
    return std::nullopt;
  }
  NvmlReport report;
  Text driver{};
  if (driver_of != nullptr && driver_of(driver.data(), static_cast<unsigned>(driver.size())) == 0) {
    report.driver = driver.data();
  }
  unsigned count = 0;
  bool good = device_count(&count) == 0;
  for (unsigned index = 0; good && index < count; ++index) {
    void* device = nullptr;
    Text uuid{};
    good = by_index(index, &device) == 0 && uuid_of(device, uuid.data(), static_cast<unsigned>(uuid.size())) == 0;
    NvmlGpu gpu;
    gpu.uuid = uuid.data();
    if (good) {
      add_details(library.get(), device, gpu);
    }
    report.gpus.push_back(std::move(gpu));
  }
  shutdown();
  return good ? std::optional(report) : std::nullopt;
}

}  // namespace regatta
