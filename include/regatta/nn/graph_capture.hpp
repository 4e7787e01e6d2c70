// Work of the device recorded once and replayed as a whole (a CUDA graph): the host gives one order instead of
// hundreds.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include <c10/core/Device.h>

namespace regatta {

enum class Capture {
  kAllowed,
  kNever  ///< the reference of captured work
};

/// Graphs of one training share a memory pool: they run one after the other, so that the tensors of one may lie where
/// those of another did.
class GraphPool {
 public:
  /// @throws BugError unless the device is a GPU
  explicit GraphPool(const c10::Device& device);
  ~GraphPool();
  GraphPool(const GraphPool&) = delete;
  GraphPool& operator=(const GraphPool&) = delete;

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

class CapturedGraph {
 public:
  /// Records what `work` gives to the device, without doing it. The work must wait for nothing and read no number of
  /// the device; tensors that it keeps may be read after a replay. What it reads from outside must stay where it is.
  /// Other threads may give work to the device meanwhile. @throws DeviceError if something cannot be recorded
  CapturedGraph(GraphPool& pool, const std::function<void()>& work);
  ~CapturedGraph();
  CapturedGraph(const CapturedGraph&) = delete;
  CapturedGraph& operator=(const CapturedGraph&) = delete;

  /// Does the work once more, after what was given to the device before. Returns at once.
  void replay();

  /// Kernels, copies and fills in it.
  std::int64_t operations() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace regatta
