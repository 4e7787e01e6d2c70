// Forward passes without gradients over pair after pair, as captured graphs where they can be. `register`, which runs
// one pair, calls the network itself.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "regatta/nn/graph_capture.hpp"
#include "regatta/nn/model.hpp"

namespace regatta {

class Inference {
 public:
  static constexpr int kUncaptured = 2;  ///< passes of a size that run as they are: libraries make their plans in them

  /// @param model    outlives this
  /// @param backend  of the run; the fast one's passes on a GPU are captured, unless the network says why not
  /// @param pool     memory of the captured passes, shared with the training's steps; null: a pool of its own
  Inference(Model& model, Backend backend, Capture capture = Capture::kAllowed,
            std::shared_ptr<GraphPool> pool = nullptr);
  ~Inference();
  Inference(const Inference&) = delete;
  Inference& operator=(const Inference&) = delete;

  /// One pass over [N, 1, D, H, W] volumes. From the third of a size on it is a replay, equal to the bit. Weights are
  /// read where they are: they may change between passes.
  /// @return what may be read until the next pass, or the next step that shares the pool
  ModelOutput run_(const at::Tensor& moving, const at::Tensor& fixed);

  Model& model() { return model_; }

  std::int64_t replays() const { return replays_; }

  /// What the device does in a replay of the newest size: kernels, copies, fills; 0 before the first.
  std::int64_t operations() const { return operations_; }

 private:
  struct Size;

  void capture_(Size& size, const at::Tensor& moving, const at::Tensor& fixed);

  Model& model_;
  bool captures_;
  std::shared_ptr<GraphPool> pool_;
  std::map<std::string, std::unique_ptr<Size>> sizes_;
  std::int64_t replays_ = 0;
  std::int64_t operations_ = 0;
};

}  // namespace regatta
