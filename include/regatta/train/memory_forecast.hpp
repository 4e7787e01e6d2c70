// How much device memory a training will take, before it runs there.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "regatta/nn/forms.hpp"
#include "regatta/train/resolve.hpp"

namespace regatta {

/// Peak bytes of tensors on a device, the resident data set left out.
struct MemoryNeed {
  std::int64_t training = 0;    ///< an optimiser step: weights, moments, batch, activations, gradients
  std::int64_t inference = 0;   ///< a forward pass of one pair without gradients: weights, volumes, activations
  std::vector<PartForm> parts;  ///< of the step, and their forms
};

/// Runs a whole step and a forward pass at the real shape on tensors without data and counts what they would hold, in
/// the blocks of CUDA's allocator. A captured step is given 56 MiB more. Not included: workspaces of cuDNN and cuBLAS,
/// and blocks that the allocator makes larger than requested. Takes milliseconds at any shape.
/// @param label_count    as in DataFacts; 0 without labels
/// @param in_unit_range  whether all images lie in [0, 1], as an archive's should
/// @throws ConfigError for the recipe, DataError for a shape that the network does not take
MemoryNeed memory_need(const Recipe& recipe, const Shape3& shape, std::int64_t label_count = 0,
                       Backend backend = Backend::kReference, bool in_unit_range = true);

/// How the parts of a training's step run on a device, as `forms_text` says it. Of the fast backend by a step on
/// tensors without data.
std::string step_forms(const ResolvedRecipe& resolved, Backend backend, const at::Device& device, bool in_unit_range);

/// Of the backend that the recipe's settings allow on a GPU. Remembers what it found: the trials of a sweep share
/// networks.
class MemoryForecast {
 public:
  /// Peak bytes of a training on a device, with the volumes that the recipe keeps there: all, unless /run/data is
  /// "streamed".
  std::int64_t bytes(const ResolvedRecipe& resolved);

  /// The same with as few volumes there as a training can do with: what "auto" comes down to on a small device. As
  /// `bytes` where the recipe wants all of them there.
  std::int64_t least_bytes(const ResolvedRecipe& resolved);

  /// The parts of its step, by the backend that is priced.
  const std::vector<PartForm>& parts(const ResolvedRecipe& resolved);

 private:
  const MemoryNeed& need_of(const ResolvedRecipe& resolved);
  std::int64_t network_bytes(const ResolvedRecipe& resolved) { return need_of(resolved).training; }

  std::map<std::string, MemoryNeed> known_;
};

}  // namespace regatta
