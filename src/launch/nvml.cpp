// NVML by dlopen: no header and no library of NVIDIA is needed to build.
#include "launch/nvml.hpp"

#include <array>
#include <memory>

#include <dlfcn.h>

namespace regatta {
namespace {

// From nvml.h, whose binary interface is stable: 0 is success, a device is an opaque pointer, UUIDs take 96 bytes.
using Init = int (*)();
using Shutdown = int (*)();
using DeviceCount = int (*)(unsigned*);
using DeviceByIndex = int (*)(unsigned, void**);
using DeviceUuid = int (*)(void*, char*, unsigned);

template <class Function>
Function find(void* library, const char* name) {
  return reinterpret_cast<Function>(::dlsym(library, name));
}

}  // namespace

std::optional<std::vector<std::string>> nvml_uuids() {
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
  const auto uuid_of = find<DeviceUuid>(library.get(), "nvmlDeviceGetUUID");
  if (init == nullptr || shutdown == nullptr || device_count == nullptr || by_index == nullptr || uuid_of == nullptr ||
      init() != 0) {
    return std::nullopt;
  }
  std::vector<std::string> uuids;
  unsigned count = 0;
  bool good = device_count(&count) == 0;
  for (unsigned index = 0; good && index < count; ++index) {
    void* device = nullptr;
    std::array<char, 96> uuid{};
    good = by_index(index, &device) == 0 && uuid_of(device, uuid.data(), static_cast<unsigned>(uuid.size())) == 0;
    uuids.emplace_back(uuid.data());
  }
  shutdown();
  return good ? std::optional(uuids) : std::nullopt;
}

}  // namespace regatta
