// What names and shapes of another program's weights do not tell: options of our networks under which the same weights
// give another field.
#pragma once

#include <string>
#include <vector>

namespace regatta {

/// A network that its authors' program computes otherwise than ours does by default.
struct PublishedForm {
  const char* model;
  const char* option;  ///< of the network; true: as published
  const char* effect;  ///< what the authors' program does
};

/// @return null for a network that computes as published anyhow
const PublishedForm* published_form(const std::string& model);

/// Options of which published weights exist with more than one value, beside those of `published_form`.
std::vector<std::string> untold_options(const std::string& model);

}  // namespace regatta
