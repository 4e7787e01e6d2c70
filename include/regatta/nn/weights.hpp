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
  std::string xxh3;                             ///< of the whole file's bytes
};

/// Writes atomically; metadata gets "xxh3/<name>" for each tensor. Tensors on a device are copied to the host.
void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata);

/// Checks header size, offsets (inside the file, without overlap or gap), shapes against bytes, duplicate names and,
/// where the metadata has them, checksums. @throws DataError, one line naming the file and the tensor; for files of
/// PyTorch and HDF5 with what to do
SafetensorsFile read_safetensors(const std::filesystem::path& path);

/// Names, shapes and types of the file against the parameters, strictly: missing, surplus and differently shaped ones
/// are listed in one ListedError, headed by the prefix that would make them fit. Names starting with a prefix in
/// `ignored` may be surplus. float16 and bfloat16 fit float32 parameters. Tensors without data (the Meta device) will
/// do on both sides.
void check_parameters(const Parameters& parameters, const SafetensorsFile& file, const std::string& source,
                      const std::vector<std::string>& ignored_prefixes = {});

/// Checks, then copies file tensors of the same names into the parameters.
/// @return what was converted on the way, for the log and the record ("84 tensors from F16 to F32"); empty if nothing
std::string load_parameters(Parameters& parameters, const SafetensorsFile& file, const std::string& source,
                            const std::vector<std::string>& ignored_prefixes = {});

/// "F32", "BF16" ...: the type's name in safetensors files. @throws BugError for types that these do not have
const char* safetensors_type(const at::Tensor& tensor, const std::string& name);

}  // namespace regatta
