// What our CUDA kernels need to know of a GPU, and whether they are built. No CUDA header is needed to use this layer.
#pragma once

#include <cstddef>
#include <string>

struct CUstream_st;

namespace regatta::kernels {

/// CUDA's own stream type, cudaStream_t. Every kernel is given one, and returns before the device has done the work.
using Stream = CUstream_st*;

/// Decides which form of a kernel is taken, together with the size of the work.
struct Capability {
  int major = 0;
  int minor = 0;
  int multiprocessors = 0;
  std::size_t shared_bytes = 0;  ///< most that a block may ask for (sharedMemPerBlockOptin)

  /// Tensor cores with bf16 and asynchronous copies to shared memory: what every kernel here takes for granted.
  bool usable() const { return major >= 8; }

  /// Exactly 9.0, whose own instructions (wgmma) no other capability has.
  bool is_hopper() const { return major == 9 && minor == 0; }
};

/// Whether this build has CUDA kernels, and "nvcc V13.0.88" or "left out: no nvcc".
bool built();
std::string build_text();

/// @throws DeviceError if there is no such GPU, NotBuilt without CUDA kernels
Capability capability(int device);

/// The GPU as an A100 sees the kernels: forms for compute capability 8.0 alone, with 163 KiB of shared memory a block.
Capability as_sm80(Capability real);

}  // namespace regatta::kernels
