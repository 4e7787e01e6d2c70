// By LibTorch's CUDA graphs, whose allocator keeps the memory of a pool.
#include <optional>

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "regatta/base/error.hpp"
#include "regatta/nn/graph_capture.hpp"

namespace regatta {

struct GraphPool::Impl {
  explicit Impl(const c10::Device& where)
      : device(where),
        stream(c10::cuda::getStreamFromPool(false, where.index())),
        pool(at::cuda::graph_pool_handle()) {}

  c10::Device device;
  c10::cuda::CUDAStream stream;  ///< that is recorded: the default one cannot be
  at::cuda::MempoolId_t pool;
};

GraphPool::GraphPool(const c10::Device& device) {
  REGATTA_REQUIRE(device.is_cuda(), BugError, "graphs are captured on GPUs alone, got ", device.str());
  impl_ = std::make_unique<Impl>(device);
}

GraphPool::~GraphPool() = default;

struct CapturedGraph::Impl {
  /// Leaves the stream usable; the error that broke the capture is the one to tell.
  void end_failed_capture() {
    try {
      graph.capture_end();
    } catch (const std::exception&) {
      operations = 0;
    }
  }

  at::cuda::CUDAGraph graph{/*keep_graph=*/true};
  std::size_t operations = 0;
};

CapturedGraph::CapturedGraph(GraphPool& pool, const std::function<void()>& work) : impl_(std::make_unique<Impl>()) {
  const c10::cuda::CUDAGuard device(pool.impl().device);
  c10::cuda::device_synchronize();
  c10::cuda::CUDACachingAllocator::emptyCache();  // what uncaptured steps used cannot be taken by the pool otherwise
  const c10::cuda::CUDAStreamGuard stream(pool.impl().stream);
  impl_->graph.capture_begin(pool.impl().pool, cudaStreamCaptureModeThreadLocal);
  try {
    work();
  } catch (const std::exception&) {
    impl_->end_failed_capture();
    throw;
  }
  impl_->graph.capture_end();
  REGATTA_REQUIRE(cudaGraphGetNodes(impl_->graph.raw_cuda_graph(), nullptr, &impl_->operations) == cudaSuccess,
                  DeviceError, "a captured graph cannot be read");
  impl_->graph.instantiate();
}

std::int64_t CapturedGraph::operations() const {
  return static_cast<std::int64_t>(impl_->operations);
}

CapturedGraph::~CapturedGraph() = default;

void CapturedGraph::replay() {
  impl_->graph.replay();
}

}  // namespace regatta
