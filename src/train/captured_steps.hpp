// Training steps as captured graphs, one per kind of batch: the first ones of a kind run as they are, then one is
// recorded, and all further ones are replays.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "regatta/nn/graph_capture.hpp"
#include "regatta/nn/loss.hpp"
#include "regatta/train/optimizer.hpp"
#include "train/batch_share.hpp"

namespace regatta {

class CapturedSteps {
 public:
  /// @param pool  memory of the captured steps
  /// @param work  one step over a batch, its share of a larger one and numbers that stay where they are; it must not
  ///              wait for the device
  CapturedSteps(const at::Device& device, Capture capture, std::shared_ptr<GraphPool> pool,
                std::function<void(const PairState&, const BatchShare&, const UpdateNumbers&)> work);
  ~CapturedSteps();

  /// One step. The host may be at most 32 steps ahead of the device, else it waits.
  void run(const PairState& batch, const BatchShare& share, double lr, std::int64_t update);

  std::int64_t replays() const { return replays_; }

  /// What the device does in a replay of the newest kind; 0 before the first.
  std::int64_t operations() const { return operations_; }

 private:
  struct Kind;
  class Numbers;

  std::function<void(const PairState&, const BatchShare&, const UpdateNumbers&)> work_;
  Capture capture_;
  std::unique_ptr<Numbers> numbers_;
  std::shared_ptr<GraphPool> pool_;
  std::map<std::string, std::unique_ptr<Kind>> kinds_;
  std::int64_t replays_ = 0;
  std::int64_t operations_ = 0;
};

}  // namespace regatta
