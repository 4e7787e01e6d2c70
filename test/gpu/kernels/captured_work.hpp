// Work that is queued once into a CUDA graph and run from there.
#pragma once

#include <functional>

#include "gpu/kernels/device_array.hpp"
#include "regatta/kernels/device.hpp"

namespace regatta::kernels {

class CapturedWork {
 public:
  /// @param queue  puts the work on the stream that it gets
  explicit CapturedWork(const std::function<void(Stream)>& queue) {
    REGATTA_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
    REGATTA_CUDA(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
    queue(stream_);
    REGATTA_CUDA(cudaStreamEndCapture(stream_, &graph_));
    REGATTA_CUDA(cudaGraphInstantiate(&captured_, graph_, 0));
  }

  ~CapturedWork() {
    cudaGraphExecDestroy(captured_);
    cudaGraphDestroy(graph_);
    cudaStreamDestroy(stream_);
  }

  CapturedWork(const CapturedWork&) = delete;
  CapturedWork& operator=(const CapturedWork&) = delete;

  /// Does not wait for it.
  void run() const { REGATTA_CUDA(cudaGraphLaunch(captured_, stream_)); }

 private:
  cudaStream_t stream_ = nullptr;
  cudaGraph_t graph_ = nullptr;
  cudaGraphExec_t captured_ = nullptr;
};

}  // namespace regatta::kernels
