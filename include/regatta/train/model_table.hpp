// The networks of the registry with what they cost at one size: behind `regatta plan --models` and docs/models.md.
#pragma once

#include <optional>

#include "regatta/config/json.hpp"
#include "regatta/volume/archive.hpp"

namespace regatta {

/// {"models": [{"name", "help", "source", "parameters", "size_multiple", "options"}, ...]}, every network at its
/// default options. With a shape also "size" and in each row "mul_adds", "mul_adds_published" (see Work),
/// "training_bytes" and "inference_bytes" (see MemoryNeed; the training is `baseline_recipe`), or "error": why it does
/// not take that shape.
Json model_table(const std::optional<Shape3>& shape);

}  // namespace regatta
