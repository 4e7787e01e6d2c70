// The deterministic weights and images behind the project's golden numbers: sines of the index, no random generator,
// so that a Python script makes the same ones.
#pragma once

#include <ATen/core/Tensor.h>

#include "regatta/nn/parameters.hpp"

namespace regatta::test {

/// Element i of tensor t: s = sin(0.7 i + 0.3 t). Two or more dimensions: s / sqrt(product of all sizes but the first);
/// one dimension named *.weight: 1 + 0.1 s, or 0.25 if it has one element; other: 0.1 s.
void set_golden_weights(Parameters& parameters);

/// 0.5 + 0.5 sin(0.05 (d + 2 h + 3 w) + c): [1, 1, D, H, W] float32. Golden pairs: moving c = 0, fixed c = 1.
at::Tensor golden_image(std::int64_t D, std::int64_t H, std::int64_t W, double c);

/// Uniform in [0, 1) by a counter-based generator: [1, 1, D, H, W] float64.
at::Tensor noise(std::int64_t D, std::int64_t H, std::int64_t W, std::uint64_t seed);

/// |a - b| / |b| in the Euclidean norm.
double relative_difference(const at::Tensor& a, const at::Tensor& b);

}  // namespace regatta::test
