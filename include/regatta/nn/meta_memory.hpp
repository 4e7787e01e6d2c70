// Memory of tensors without data (the Meta device): what they would take on a GPU, counted while they come and go.
#pragma once

#include <cstdint>
#include <memory>

namespace regatta {

/// Counts what this thread makes on the Meta device while it lives, as CUDA's caching allocator would hand it out: in
/// blocks of 512 bytes. Tensors made earlier do not count. Not nested.
class MetaMemory {
 public:
  MetaMemory();
  ~MetaMemory();
  MetaMemory(const MetaMemory&) = delete;
  MetaMemory& operator=(const MetaMemory&) = delete;

  std::int64_t live_bytes() const;

  /// Most bytes alive at once since the start or `reset_peak`.
  std::int64_t peak_bytes() const;
  void reset_peak();

  struct Bytes {
    std::int64_t live = 0;
    std::int64_t peak = 0;
  };

 private:
  std::shared_ptr<Bytes> bytes_;  ///< shared with the tensors: they may outlive this object
};

}  // namespace regatta
