// The device that a training runs on: choice, memory, determinism. The only place that knows whether CUDA is built in.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

namespace regatta {

/// @param text  "auto" (cuda:0 if there is one, else cpu), "cpu" or "cuda:N"
/// @throws ConfigError for another text, DeviceError for a GPU that is not there
c10::Device choose_device(const std::string& text);

/// "NVIDIA H200", or "cpu".
std::string device_name(const c10::Device& device);

/// Largest number of bytes that tensors held at once since the start or `reset_peak`; 0 on the CPU.
std::int64_t peak_device_bytes(const c10::Device& device);
void reset_peak(const c10::Device& device);

/// The memory of one stretch of work, measured without losing the longer peak of `peak_device_bytes`. One at a time per
/// device.
class PeakMeter {
 public:
  explicit PeakMeter(const c10::Device& device);

  /// Largest number of bytes held since the start beyond what was held then; 0 on the CPU.
  std::int64_t bytes() const;

 private:
  c10::Device device_;
  std::int64_t before_ = 0;
};

/// Bytes of the device's memory that no process holds, what LibTorch has cached included; of the host's for the CPU.
std::int64_t free_device_bytes(const c10::Device& device);

/// Copies from host to device beside the work of the thread that computes. Used by one other thread.
class UploadStream {
 public:
  explicit UploadStream(const c10::Device& device);
  ~UploadStream();
  UploadStream(const UploadStream&) = delete;
  UploadStream& operator=(const UploadStream&) = delete;

  /// A host tensor to copy from: page-locked for a GPU.
  at::Tensor staging(at::IntArrayRef sizes, at::ScalarType type) const;

  /// By the thread that computes: memory that the work given to the device so far reads may be overwritten after it.
  void mark_used();

  /// By the other thread: uploads that follow wait for that work.
  void wait_for_mark();

  /// Returns once `to` holds the values.
  void upload(const at::Tensor& to, const at::Tensor& from);

 private:
  struct Impl;
  c10::Device device_;
  std::unique_ptr<Impl> impl_;
};

/// Gives memory that no tensor holds back to the device; nothing on the CPU.
void release_cached(const c10::Device& device);

/// Waits until the device has done all work given to it.
void synchronize(const c10::Device& device);

/// The same result in every run: deterministic cuDNN algorithms, none chosen by timing. TF32 in convolutions as asked,
/// never in matrix products.
void set_deterministic(bool tf32);

/// CPU threads of one operator; on the CPU their number decides the last bits. @throws ConfigError below 1
void set_cpu_threads(int count);

/// "LibTorch 2.11.0, CUDA 13.0, cuDNN 9.19.0"; the last two where they are built in.
std::string torch_version_text();

}  // namespace regatta
