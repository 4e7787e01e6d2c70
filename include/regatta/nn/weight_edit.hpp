// Edits of named tensors, behind `regatta convert` and `/model/init_from`. They change a file that has been read;
// nothing here touches disk or metadata.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "regatta/nn/weights.hpp"

namespace regatta {

/// Removes tensors whose names start with the prefix. @return how many
std::int64_t drop_prefix(SafetensorsFile& file, const std::string& prefix);

/// Puts `to` in the place of the prefix `from`. @return how many names changed
/// @throws DataError if two tensors would have one name
std::int64_t rename_prefix(SafetensorsFile& file, const std::string& from, const std::string& to);

/// Gives tensors that an earlier version named otherwise the names that they have today (VFA's, until they became its
/// authors'), the optimiser's moments included. Every reader of our own files calls it.
/// @return what was done, for the log ("88 tensors had names of an earlier version: ..."); empty if nothing
/// @throws DataError if two tensors would have one name
std::string use_current_names(SafetensorsFile& file);

/// Removes what a checkpoint has besides the weights: optimiser state and sums for the log. @return how many
std::int64_t drop_training_state(SafetensorsFile& file);

/// Removes buffers that the reference programs save and no network of ours has: sampling grids and index tables, which
/// are known from the sizes. @return their names
std::vector<std::string> drop_reference_buffers(SafetensorsFile& file);

/// Replaces the parallel kernels of every large-kernel block by the one that they add up to (see `fold_kernels`),
/// under the names that `LargeKernelConv` registers when folded. Sums are taken in float32.
/// @return number of blocks
/// @throws DataError for a block with a tensor missing or of another shape
std::int64_t fold_large_kernels(SafetensorsFile& file);

/// Floating-point tensors become float16, or float32. @return how many changed
/// @throws DataError naming a tensor with a finite value that float16 cannot hold
std::int64_t convert_to_half(SafetensorsFile& file);
std::int64_t convert_to_float(SafetensorsFile& file);

}  // namespace regatta
