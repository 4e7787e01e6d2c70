// The weights that a fine-tuning starts from: the recipe's /model/init_from.
#pragma once

#include <string>

#include "regatta/config/recipe.hpp"
#include "regatta/nn/weights.hpp"

namespace regatta {

/// "/model/init_from: PATH": what messages about the file begin with.
std::string initial_weights_source(const std::string& path);

/// The parameters of a file: weights of a training, a checkpoint (without its optimiser state) or what another program
/// wrote (without the buffers that are no parameters). @throws DataError naming the option and the file
SafetensorsFile read_initial_weights(const std::string& path);

/// Where weights and recipe seem to mean two forms of a network (see `published_form`): a note for the user, else
/// empty.
/// @param model  of the recipe, options resolved
std::string form_note(const SafetensorsFile& file, const ModelChoice& model);

}  // namespace regatta
