// docs/models.md, from the registry and from what the networks do on tensors without data.
#pragma once

#include <ostream>

namespace regatta::app {

void print_model_docs(std::ostream& out);

}  // namespace regatta::app
