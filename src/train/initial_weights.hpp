// The weights that a fine-tuning starts from: the recipe's /model/init_from.
#pragma once

#include <string>

#include "regatta/nn/weights.hpp"

namespace regatta {

/// "/model/init_from: PATH": what messages about the file begin with.
std::string initial_weights_source(const std::string& path);

/// The parameters of a file: weights of a training, a checkpoint (without its optimiser state) or what another program
/// wrote (without the buffers that are no parameters). @throws DataError naming the option and the file
SafetensorsFile read_initial_weights(const std::string& path);

}  // namespace regatta
