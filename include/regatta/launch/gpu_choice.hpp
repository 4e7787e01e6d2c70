// Which GPU a rank gives its trials: one pure function, and what it must know of this machine. No CUDA here: the rank
// never touches a GPU itself.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace regatta {

/// What decides a rank's GPU.
struct GpuSituation {
  std::string wanted = "auto";         ///< auto, cpu or cuda (a recipe's "cuda:1" counts as cuda)
  std::optional<std::string> visible;  ///< CUDA_VISIBLE_DEVICES, if set
  int present = 0;                     ///< GPUs of this machine, used only where `visible` is not set
  int local_rank = 0;                  ///< among the ranks of this machine
  int local_size = 1;
};

struct GpuChoice {
  std::string device = "cpu";  ///< for the child: "cpu" or "cuda:0"
  std::string visible;         ///< CUDA_VISIBLE_DEVICES for the child: one device, or empty
  int index = -1;              ///< position among the visible devices, -1 for the CPU

  bool is_gpu() const { return index >= 0; }
};

/// One visible device: that one. Several: the one with the rank's number on its machine. None: the CPU.
/// @throws DeviceError if a GPU is wanted and there is none, or if there are fewer GPUs than ranks on this machine
GpuChoice choose_gpu(const GpuSituation& situation);

/// GPUs of this machine: NVML's count where its library is there, else /proc/driver/nvidia/gpus, else /dev/nvidia0...
int count_gpus();

/// Those of them that CUDA would see here: CUDA_VISIBLE_DEVICES may name fewer.
int count_visible_gpus();

/// What tells one GPU from another on its machine: NVML's UUID of the chosen device, or the text of `choice.visible`
/// where there is no NVML. (Under cgroups every task may see its own GPU as number 0: numbers alone prove nothing.)
std::string gpu_identity(const GpuChoice& choice);

/// @param identities  (machine, GPU identity) per rank; an empty identity is a CPU
/// @throws DeviceError naming both ranks if `rank` has the same GPU as a lower one
void check_gpu_is_own(const std::vector<std::pair<std::string, std::string>>& identities, int rank);

}  // namespace regatta
