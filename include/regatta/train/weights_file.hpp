// What a weights file says besides its tensors: the network they belong to and how scans are prepared for it. Written
// by trainings (best.safetensors) and by `regatta convert`, read by `load_trained_model`.
#pragma once

#include <map>
#include <string>

#include "regatta/config/json.hpp"
#include "regatta/volume/archive.hpp"
#include "regatta/volume/stated_preprocess.hpp"

namespace regatta {

/// Name, shape, spacing, orientation, labels and preprocessing of the data, as metadata.
std::map<std::string, std::string> data_metadata(const Archive& archive);

/// The same of data that are not here: what `register` needs to prepare scans.
std::map<std::string, std::string> data_metadata(const StatedPreprocess& stated);

/// Metadata of weights that no training of ours made: the network, and nothing that is not known.
/// @param options  the network's, resolved
std::map<std::string, std::string> network_metadata(const std::string& model, const Json& options);

}  // namespace regatta
