// How much a network computes: multiplications-and-additions of a forward pass, biases, norms and activations left out.
#pragma once

#include <cstdint>
#include <string>

#include "regatta/config/json.hpp"

#include <cstdint>

namespace regatta {

struct Work {
  double convolution = 0.0;
  double linear = 0.0;
  double attention = 0.0;

  /// As the tools behind published tables count: a linear layer once for all its tokens, a transposed convolution at
  /// its output's voxels, attention not at all.
  double published = 0.0;

  double total() const { return convolution + linear + attention; }
};

/// Collects what layers of this thread do while it lives. Not nested.
class WorkCount {
 public:
  WorkCount();
  ~WorkCount();
  WorkCount(const WorkCount&) = delete;
  WorkCount& operator=(const WorkCount&) = delete;

  const Work& work() const { return work_; }

 private:
  Work work_;
};

/// The work of one forward pass of one pair, by running the network on tensors without data.
/// @throws ConfigError for a name or options that there are not, DataError for a size that the network does not take
Work work_of(const std::string& model, const Json& options, std::int64_t D, std::int64_t H, std::int64_t W);

}  // namespace regatta
