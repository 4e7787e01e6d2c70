#include <cmath>

#include "regatta/kernels/softsign.hpp"

namespace regatta::kernels {
namespace {

double factor_of(const Softsign& softsign, std::size_t i) {
  return softsign.factors[i / static_cast<std::size_t>(softsign.size.voxels()) % 3];
}

}  // namespace

std::vector<double> softsign_reference(const Softsign& softsign, const std::vector<double>& input) {
  std::vector<double> output;
  for (std::size_t i = 0; i < input.size(); ++i) {
    output.push_back(factor_of(softsign, i) * input[i] / (1.0 + std::abs(input[i])));
  }
  return output;
}

std::vector<double> softsign_gradient_reference(const Softsign& softsign, const std::vector<double>& input,
                                                const std::vector<double>& to_output) {
  std::vector<double> to_input;
  for (std::size_t i = 0; i < input.size(); ++i) {
    to_input.push_back(factor_of(softsign, i) * to_output[i] / std::pow(1.0 + std::abs(input[i]), 2));
  }
  return to_input;
}

}  // namespace regatta::kernels
