// Safetensors files: named tensors and text metadata, bounds-checked, never pickle.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "regatta/nn/parameters.hpp"

namespace regatta {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

struct SafetensorsFile {
  NamedTensors tensors;                         ///< on the CPU, in file order
  std::map<std::string, std::string> metadata;  ///< the header's "__metadata__"
};

/// Writes atomically; metadata gets "xxh3/<name>" for each tensor. Tensors on a device are copied to the host.
void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata);

/// Checks header size, offsets (inside the file, not overlapping), shapes against bytes, duplicate names and, where the
/// metadata has them, checksums. @throws DataError, one line naming the file and the tensor
SafetensorsFile read_safetensors(const std::filesystem::path& path);

/// Copies file tensors of the same names into the parameters, strictly: missing, surplus and differently shaped ones
/// are listed in one DataError. Names starting with a prefix in `ignored` may be surplus.
void load_parameters(Parameters& parameters, const SafetensorsFile& file, const std::string& source,
                     const std::vector<std::string>& ignored_prefixes = {});

}  // namespace regatta
