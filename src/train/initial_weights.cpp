#include "train/initial_weights.hpp"

#include "regatta/base/error.hpp"
#include "regatta/nn/weight_edit.hpp"

namespace regatta {

std::string initial_weights_source(const std::string& path) {
  return str("/model/init_from: ", path);
}

SafetensorsFile read_initial_weights(const std::string& path) {
  try {
    SafetensorsFile file = read_safetensors(path);
    drop_training_state(file);
    drop_reference_buffers(file);
    return file;
  } catch (const DataError& error) {
    throw DataError(str("/model/init_from: ", error.what()));
  }
}

}  // namespace regatta
