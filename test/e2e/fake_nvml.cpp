// Stands in for libnvidia-ml.so.1: one GPU, whose UUID ends in the rank's number on its machine, or in 0 for all
// ranks if FAKE_NVML is "same".
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

int device = 0;

}  // namespace

extern "C" {

int nvmlInit_v2() {
  return 0;
}

int nvmlShutdown() {
  return 0;
}

int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = 1;
  return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned, void** handle) {
  *handle = &device;
  return 0;
}

int nvmlDeviceGetUUID(void*, char* uuid, unsigned length) {
  const char* mode = std::getenv("FAKE_NVML");
  const char* rank = std::getenv("OMPI_COMM_WORLD_LOCAL_RANK");
  const bool same = mode != nullptr && std::strcmp(mode, "same") == 0;
  std::snprintf(uuid, length, "GPU-fake-%s", same || rank == nullptr ? "0" : rank);
  return 0;
}
}
