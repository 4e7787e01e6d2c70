// The build without CUDA.
#include "regatta/base/error.hpp"
#include "regatta/nn/graph_capture.hpp"

namespace regatta {

struct GraphPool::Impl {};

GraphPool::GraphPool(const c10::Device& device) {
  throw NotBuilt(str("graphs on ", device.str(), ": this build has no CUDA"));
}

GraphPool::~GraphPool() = default;

struct CapturedGraph::Impl {};

CapturedGraph::CapturedGraph(GraphPool&, const std::function<void()>&) {
  throw NotBuilt("this build has no CUDA");
}

CapturedGraph::~CapturedGraph() = default;

void CapturedGraph::replay() {}

std::int64_t CapturedGraph::operations() const {
  return 0;
}

}  // namespace regatta
